"""Sealed reasoning: one provider's string on another's wire, and back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from providers.model import Choice, Delta, LLMRequest, LLMResponse, ReasoningPart
from providers.wire.anthropic_messages import WIRE as ANTHROPIC
from providers.wire.seals import seal, unseal

OWN = ("anthropic-claude-v1",)


@given(
    format_=st.text(min_size=1),
    id_=st.none() | st.text(min_size=1),
    string=st.text(min_size=1),
    is_redacted=st.booleans(),
)
def test_a_seal_gives_back_what_was_sealed(format_: str, id_: str | None, string: str, is_redacted: bool) -> None:
    field = "redacted" if is_redacted else "signature"
    part = ReasoningPart(format=format_, id=id_, **{field: string})
    if format_ not in OWN:
        assert unseal(ReasoningPart(**{field: seal(part, OWN)})) == part


def test_the_wires_own_strings_travel_as_they_are() -> None:
    for part in (ReasoningPart(signature="s=="), ReasoningPart(redacted="s==", format=OWN[0], id="x")):
        assert seal(part, OWN) == "s=="
    assert unseal(ReasoningPart(signature="s==")) == ReasoningPart(signature="s==")


def test_what_only_looks_like_a_seal_is_left_alone() -> None:
    for string in (":x", "c2 ln:x", "c2/ln:x"):
        assert unseal(ReasoningPart(signature=string)) == ReasoningPart(signature=string)


def test_a_block_without_a_string_keeps_its_id() -> None:
    part = ReasoningPart(format="openai-responses-v1", id="rs_1")
    assert unseal(ReasoningPart(signature=seal(part, OWN))) == part


def test_an_anthropic_client_gets_a_foreign_signature_sealed_and_gives_it_back_whole() -> None:
    pieces = [
        ReasoningPart(text="hm", id="rs_1", format="openai-responses-v1"),
        ReasoningPart(signature="gAAA"),
        ReasoningPart(index=1, redacted="gBBB", id="rs_2", format="openai-responses-v1"),
    ]
    encoder = ANTHROPIC.stream_encoder(LLMRequest(model="m"))
    stream = b"".join(encoder.encode(LLMResponse(choices=[Choice(delta=Delta(content=[piece]))])) for piece in pieces)
    stream += encoder.finish(LLMResponse())
    events = [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: ")]
    [signature] = [event["delta"]["signature"] for event in events if event.get("delta", {}).get("signature")]
    [data] = [event["content_block"]["data"] for event in events if "data" in event.get("content_block", {})]
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": signature},
        {"type": "redacted_thinking", "data": data},
    ]
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": blocks}]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()
    assert ANTHROPIC.decode_request(body).messages[1].content == [
        ReasoningPart(index=0, text="hm", signature="gAAA", id="rs_1", format="openai-responses-v1"),
        ReasoningPart(index=1, redacted="gBBB", id="rs_2", format="openai-responses-v1"),
    ]
