"""Faults of the status: an answer of 400 or more, as JSON, as a proxy's HTML page, or empty. Does no I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Literal

import msgspec

from conformance.replay.answer import Answer
from conformance.replay.faults.base import Expectation, Fault

STATUSES = (401, 403, 404, 408, 413, 429, 500, 502, 503, 529)
BODIES: tuple[Literal["json", "html", "empty"], ...] = ("json", "html", "empty")
RETRIED = frozenset({408, 409, 429, *range(500, 600)})
"""Tried again, by the design; no other status is."""

LONGEST_RETRY_AFTER = 60
"""Seconds; a provider that asks for more is not waited for."""


@dataclass(frozen=True)
class StatusFault(Fault):
    """The provider answers with an error status."""

    status: int
    body: Literal["json", "html", "empty"] = "json"
    retry_after: int | None = None
    """Seconds, for the `Retry-After` header."""
    http_date: bool = False
    """`Retry-After` as a date (RFC 9110, 10.2.3)."""

    @property
    def sentence(self) -> str:
        after = ""
        if self.retry_after is not None:
            after = f", Retry-After {self.retry_after} s{' as a date' if self.http_date else ''}"
        return f"status {self.status} with {'an empty' if self.body == 'empty' else f'a {self.body}'} body{after}"

    def edit(self, answer: Answer) -> Answer:
        headers: dict[str, str] = {}
        if self.retry_after is not None:
            seconds = self.retry_after
            # A date has whole seconds: the next one, so that it is never too early.
            headers["retry-after"] = (
                formatdate(time.time() + seconds + 1, usegmt=True) if self.http_date else str(seconds)
            )
        match self.body:
            case "json":
                headers["content-type"] = "application/json"
                headers |= answer.wire.error_headers(self.status)
                body = msgspec.json.encode(answer.wire.error_body(self.status, f"{_reason(self.status)} (replayed)"))
            case "html":
                headers["content-type"] = "text/html"
                reason = _reason(self.status)
                body = (
                    f"<html><head><title>{self.status} {reason}</title></head><body>{reason}</body></html>\n".encode()
                )
            case "empty":
                body = b""
        return msgspec.structs.replace(answer, status=self.status, headers=headers, body=body, timing=None)

    def expect(self, answer: Answer) -> Expectation:
        retried = self.status in RETRIED and (self.retry_after or 0) <= LONGEST_RETRY_AFTER
        return Expectation(outcome="error", status=self.status, retried=retried)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Overloaded"
