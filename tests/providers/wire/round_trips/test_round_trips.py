"""A client's request, through the model in the middle, on a provider's wire, and back: nothing is lost in silence.

What comes back from a wire must be what the client said, less what the wire named when it left it out (`limits`).
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.errors import UnsupportedParameterError
from providers.model import LLMRequest, OpaquePart
from providers.wire import load_wire
from providers.wire.base import Translation, Wire
from tests.providers.wire.round_trips.changes import blank, blocks_as_texts, on_parts
from tests.providers.wire.round_trips.clients import (
    anthropic_messages,
    gemini_generate,
    openai_chat,
    openai_responses,
)
from tests.providers.wire.round_trips.limits import LIMITS, leave_out, name_of_refused
from tests.providers.wire.round_trips.plain import plain

CLIENTS = {
    "anthropic-messages": anthropic_messages.BODIES,
    "gemini-generate": gemini_generate.BODIES,
    "openai-chat": openai_chat.BODIES,
    "openai-responses": openai_responses.BODIES,
}

PROFILE = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def decoded(api: str, body: bytes) -> LLMRequest:
    wire = load_wire(api)
    assert isinstance(wire, Wire)
    return wire.decode_request(body)


def encoded(request: LLMRequest, api: str, model: str) -> tuple[bytes, list[str], str | None]:
    """The body on a wire, and what it leaves out under `dropUnsupported`; without, it refuses that or says the same.

    With it comes what is refused first then.
    """
    wire = load_wire(api)
    lenient, strict = Translation(api, drop_unsupported=True), Translation(api)
    body = wire.encode_request(request, model, lenient).body
    same, refused = body, None
    try:
        same = wire.encode_request(request, model, strict).body
    except UnsupportedParameterError as error:
        refused = error.param
    assert same == body
    assert refused is None or name_of_refused(request, refused) in lenient.dropped
    return body, lenient.dropped, refused


def fields_of(request: LLMRequest) -> Any:
    """What a request says, as plain data."""
    request.raw = None
    blank(OpaquePart, "place", to="")(request)  # turns are joined on the way
    return msgspec.json.decode(msgspec.json.encode(request))


@pytest.mark.parametrize("client", CLIENTS)
def test_back_to_the_same_api(client: str) -> None:
    @PROFILE
    @given(CLIENTS[client])
    def check(sent: dict[str, Any]) -> None:
        said = decoded(client, msgspec.json.encode(sent))
        body, dropped, refused = encoded(said, client, said.model)
        leave_out(said, dropped, refused, LIMITS[client])
        for message in said.messages:
            for index, part in enumerate(message.content):
                part.index = index
        assert fields_of(decoded(client, body)) == fields_of(said)

    check()


@pytest.mark.parametrize(("client", "target"), list(itertools.permutations(CLIENTS, 2)))
def test_to_another_api(client: str, target: str) -> None:
    limits = LIMITS[target]

    @PROFILE
    @given(CLIENTS[client], st.sampled_from(limits.models))
    def check(sent: dict[str, Any], model: str) -> None:
        said = decoded(client, msgspec.json.encode(sent))
        body, dropped, refused = encoded(said, target, model)
        heard = decoded(target, body)
        on_parts(OpaquePart, blocks_as_texts)(said)
        leave_out(said, dropped, refused, limits)
        if target == "gemini-generate":
            heard.stream = said.stream  # the path says it
        for request in (said, heard):
            for change in (plain, *limits.says, plain):
                change(request)
        assert fields_of(heard) == fields_of(said)

    check()
