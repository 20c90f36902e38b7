"""What is reached over HTTP: the base of the gateway and of any other URL."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import trio

from conformance.answered import Answered, Failure
from conformance.subjects.base import ASK_SECONDS, Question, Subject
from conformance.subjects.http_client import Address, post


class HTTPSubject(Subject):
    """Asks at `address`, in the client API of `wire`."""

    address: Address
    extra_headers: Mapping[str, str] = {}

    def model_for(self, question: Question) -> str:
        return self.model

    async def ask(self, question: Question) -> Answered:
        model = self.model_for(question)
        path = self.wire.path(model, question.stream)
        body = self.wire.request(model, question.prompt, question.stream)
        with trio.move_on_after(ASK_SECONDS):
            return await post(self.address, self.wire, path, msgspec.json.encode(body), self.extra_headers, question)
        return Answered(hung=True, failure=Failure(message=f"no end within {ASK_SECONDS:g} s", shaped=False))

    @property
    def base_url(self) -> str:
        return self.address.url

    @property
    def headers(self) -> Mapping[str, str]:
        return self.extra_headers
