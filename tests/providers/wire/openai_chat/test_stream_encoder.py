"""The stream encoder, judged by the official SDK: its accumulator must build the answer that went in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from providers.model import (
    Accumulator,
    AudioPart,
    Choice,
    Citation,
    Delta,
    ErrorInfo,
    EventKind,
    LLMRequest,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenDetails,
    ToolCallPart,
    Usage,
    finish_chunk,
    reasoning_chunk,
    text_chunk,
    tool_call_chunk,
)
from providers.wire.openai_chat import WIRE

Sdk = Callable[[bytes], ChatCompletion]
Chunks = Callable[[bytes], list[dict[str, Any]]]


def encode(*chunks: LLMResponse, include_usage: bool = False) -> bytes:
    body, _ = encode_counting(*chunks, include_usage=include_usage)
    return body


def encode_counting(*chunks: LLMResponse, include_usage: bool = False) -> tuple[bytes, int]:
    encoder = WIRE.stream_encoder(LLMRequest(model="asked-for", include_usage=include_usage))
    accumulator = Accumulator()
    out: list[bytes] = []
    for chunk in chunks:
        accumulator.add(chunk)
        out.append(encoder.encode(chunk))
    out.append(encoder.finish(accumulator.response()))
    return b"".join(out), encoder.dropped_blocks


def part_chunk(*parts: Part, index: int = 0) -> LLMResponse:
    return LLMResponse(choices=[Choice(index=index, delta=Delta(content=list(parts)))])


def deltas(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]


def test_plain_text(read_with_sdk: Sdk, chunks_with_sdk: Chunks) -> None:
    body = encode(text_chunk("Hel"), text_chunk("lo é"), finish_chunk("stop"))
    chunks = chunks_with_sdk(body)
    assert deltas(chunks) == [{"role": "assistant", "content": "Hel"}, {"content": "lo é"}, {}]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert body.endswith(b"data: [DONE]\n\n")
    completion = read_with_sdk(body)
    assert completion.choices[0].message.content == "Hello é"
    assert completion.usage is None


def test_head_is_the_providers_and_stays_the_same(chunks_with_sdk: Chunks) -> None:
    first = text_chunk("a")
    first.id, first.model, first.created, first.system_fingerprint = "c1", "m1", 5, "fp"
    second = text_chunk("b")
    second.id, second.model, second.created = "c2", "m2", 6
    heads = [
        (c["id"], c["model"], c["created"], c["object"], c["system_fingerprint"])
        for c in chunks_with_sdk(encode(first, second))
    ]
    assert heads == [("c1", "m1", 5, "chat.completion.chunk", "fp")] * 3


def test_head_is_made_up_where_the_provider_says_nothing(chunks_with_sdk: Chunks) -> None:
    chunks = chunks_with_sdk(encode(text_chunk("a"), text_chunk("b")))
    assert {(chunk["id"], chunk["created"]) for chunk in chunks} == {(chunks[0]["id"], chunks[0]["created"])}
    assert chunks[0]["id"].startswith("chatcmpl-")
    assert chunks[0]["created"] > 1_700_000_000
    assert chunks[0]["model"] == "asked-for"


def test_first_chunk_has_the_role_even_without_content(chunks_with_sdk: Chunks) -> None:
    start = LLMResponse(choices=[Choice(delta=Delta(role="assistant"))])
    assert deltas(chunks_with_sdk(encode(start, text_chunk("a")))) == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {},
    ]


def test_empty_stream_still_ends_well(read_with_sdk: Sdk) -> None:
    completion = read_with_sdk(encode())
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].message.role == "assistant"


def test_usage_only_for_who_asked(chunks_with_sdk: Chunks) -> None:
    details = TokenDetails(cached_tokens=3, cache_creation_tokens=2, reasoning_tokens=1)
    usage = Usage(prompt_tokens=10, completion_tokens=4, details=details)
    chunks = [text_chunk("a"), finish_chunk("stop"), LLMResponse(kind=EventKind.USAGE, usage=usage)]
    assert all("usage" not in chunk for chunk in chunks_with_sdk(encode(*chunks)))
    last = chunks_with_sdk(encode(*chunks, include_usage=True))[-1]
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2, "cache_creation_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }


def test_finish_reason_comes_once_and_where_it_belongs(chunks_with_sdk: Chunks) -> None:
    body = encode(text_chunk("a", finish_reason="length"), finish_chunk("length"))
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks_with_sdk(body)]
    assert reasons == [None, "length"]


def test_without_a_finish_reason_one_is_given(read_with_sdk: Sdk) -> None:
    assert read_with_sdk(encode(text_chunk("a"))).choices[0].finish_reason == "stop"
    body = encode(tool_call_chunk("{}", index=0, id="c", name="f"))
    assert read_with_sdk(body).choices[0].finish_reason == "tool_calls"


def test_tool_calls_are_numbered_among_themselves(read_with_sdk: Sdk, chunks_with_sdk: Chunks) -> None:
    body = encode(
        reasoning_chunk("hm", index=0),
        text_chunk("ok", index=1),
        tool_call_chunk(index=2, id="a", name="f"),
        tool_call_chunk('{"x":', index=2),
        tool_call_chunk(index=4, id="b", name="g"),
        tool_call_chunk("1}", index=2),
        tool_call_chunk("{}", index=4),
        finish_chunk("tool_calls"),
    )
    pieces = [piece for delta in deltas(chunks_with_sdk(body)) for piece in delta.get("tool_calls", ())]
    assert pieces[0] == {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert pieces[1] == {"index": 0, "function": {"arguments": '{"x":'}}
    assert pieces[2] == {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}
    message = read_with_sdk(body).choices[0].message
    assert [(call.id, call.function.arguments) for call in message.tool_calls or []] == [("a", '{"x":1}'), ("b", "{}")]


def test_another_id_under_the_same_index_is_another_call(read_with_sdk: Sdk) -> None:
    body = encode(
        tool_call_chunk("{}", index=0, id="a", name="f"),
        tool_call_chunk("[]", index=0, id="b", name="f"),
        finish_chunk("tool_calls"),
    )
    calls = read_with_sdk(body).choices[0].message.tool_calls or []
    assert [(call.id, call.function.arguments) for call in calls] == [("a", "{}"), ("b", "[]")]


def test_a_call_waits_for_its_id_and_name(read_with_sdk: Sdk, chunks_with_sdk: Chunks) -> None:
    body = encode(
        tool_call_chunk(index=0, id="a"),
        tool_call_chunk("{", index=0),
        tool_call_chunk("}", index=0, name="f"),
        finish_chunk("tool_calls"),
    )
    pieces = [delta["tool_calls"][0] for delta in deltas(chunks_with_sdk(body)) if "tool_calls" in delta]
    assert pieces == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
    ]


def test_a_call_without_id_gets_one(read_with_sdk: Sdk) -> None:
    calls = read_with_sdk(encode(tool_call_chunk("{}", index=0, name="f"))).choices[0].message.tool_calls or []
    assert calls[0].id.startswith("call_")
    assert calls[0].function.arguments == "{}"


def test_custom_call(chunks_with_sdk: Chunks) -> None:
    body = encode(part_chunk(ToolCallPart(id="a", name="sh", kind="custom")), part_chunk(ToolCallPart(arguments="ls")))
    pieces = [delta["tool_calls"][0] for delta in deltas(chunks_with_sdk(body)) if "tool_calls" in delta]
    assert pieces == [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": ""}},
        {"index": 0, "custom": {"input": "ls"}},
    ]


def test_signed_reasoning_is_said_whole_when_it_is_over(read_with_sdk: Sdk, chunks_with_sdk: Chunks) -> None:
    claude = "anthropic-claude-v1"
    body = encode(
        part_chunk(ReasoningPart(index=0, text="be", format=claude)),
        part_chunk(ReasoningPart(index=0, text="cause")),
        part_chunk(ReasoningPart(index=0, signature="SIG")),
        part_chunk(ReasoningPart(index=1, redacted="XYZ")),
        text_chunk("so", index=2),
        finish_chunk("stop"),
    )
    first = {"type": "reasoning.text", "text": "because", "signature": "SIG", "format": claude, "index": 0}
    second = {"type": "reasoning.encrypted", "data": "XYZ", "index": 1}
    assert deltas(chunks_with_sdk(body)) == [
        {"role": "assistant", "reasoning_content": "be"},
        {"reasoning_content": "cause"},
        {"reasoning_details": [first]},
        {"reasoning_details": [second]},
        {"content": "so"},
        {},
    ]
    extra = read_with_sdk(body).choices[0].message.model_extra or {}
    assert extra["reasoning_content"] == "because"
    assert extra["reasoning_details"] == [first, second]


def test_signature_after_the_text_is_not_lost(chunks_with_sdk: Chunks) -> None:
    body = encode(
        reasoning_chunk("why", index=0), text_chunk("so", index=1), reasoning_chunk("", index=0, signature="S")
    )
    details = [delta["reasoning_details"] for delta in deltas(chunks_with_sdk(body)) if "reasoning_details" in delta]
    assert details == [[{"type": "reasoning.text", "text": "why", "signature": "S", "index": 0}]]


def test_unsigned_reasoning_has_no_details() -> None:
    assert b"reasoning_details" not in encode(reasoning_chunk("why", index=0), text_chunk("so", index=1))


def test_refusal_and_audio(read_with_sdk: Sdk) -> None:
    body = encode(
        part_chunk(RefusalPart(text="I ca")),
        part_chunk(RefusalPart(text="n't")),
        part_chunk(AudioPart(index=1, id="au", data="AA", transcript="x")),
        part_chunk(AudioPart(index=1, data="BB", expires_at=3)),
    )
    message = read_with_sdk(body).choices[0].message
    assert message.refusal == "I can't"
    assert message.audio is not None
    assert (message.audio.id, message.audio.data, message.audio.expires_at) == ("au", "AABB", 3)


def test_citations_come_when_their_text_is_over(read_with_sdk: Sdk, chunks_with_sdk: Chunks) -> None:
    url = Citation(kind="web_search_result_location", url="https://e.org", title="E", api="anthropic-messages")
    no_url = Citation(kind="char_location", api="anthropic-messages")
    body, dropped = encode_counting(
        text_chunk("12345", index=0),
        part_chunk(TextPart(index=1, citations=[url])),
        text_chunk("678", index=1),
        part_chunk(TextPart(index=1, citations=[url, no_url])),
        text_chunk("9", index=2),
        finish_chunk("stop"),
    )
    cited = {"url": "https://e.org", "title": "E", "start_index": 5, "end_index": 8}
    annotations = [{"type": "url_citation", "url_citation": cited, "index": index} for index in (0, 1)]
    assert [delta["annotations"] for delta in deltas(chunks_with_sdk(body)) if "annotations" in delta] == [annotations]
    assert len(read_with_sdk(body).choices[0].message.annotations or []) == 2
    assert dropped == 1


def test_own_citations_go_back_as_they_came(chunks_with_sdk: Chunks) -> None:
    raw = {"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1, "x": 2}}
    citation = Citation(kind="url_citation", url="u", api="openai-chat", raw=raw)
    body = encode(part_chunk(TextPart(text="a", citations=[citation])))
    [annotations] = [delta["annotations"] for delta in deltas(chunks_with_sdk(body)) if "annotations" in delta]
    assert annotations == [{**raw, "index": 0}]


def test_opaque_blocks_are_counted_once_and_never_calls() -> None:
    block = OpaquePart(kind="server_tool_use", api="anthropic-messages", raw=msgspec.Raw(b'{"name":"web_search"}'))
    body, dropped = encode_counting(
        part_chunk(block),
        part_chunk(OpaquePart(input='{"q":')),
        part_chunk(OpaquePart(input="1}")),
        part_chunk(OpaquePart(index=1, kind="web_search_tool_result")),
        text_chunk("found", index=2),
        finish_chunk("stop"),
    )
    assert dropped == 2
    assert b"tool_calls" not in body
    assert b"web_search" not in body


def test_logprobs_go_with_their_text(chunks_with_sdk: Chunks) -> None:
    chunk = text_chunk("a")
    chunk.choices[0].logprobs = {"content": [{"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}]}
    first, last = chunks_with_sdk(encode(chunk))
    assert first["choices"][0]["logprobs"] == chunk.choices[0].logprobs
    assert last["choices"][0]["logprobs"] is None


def test_keep_alive_is_a_comment_and_done_says_nothing() -> None:
    encoder = WIRE.stream_encoder(LLMRequest(model="m"))
    assert encoder.encode(LLMResponse(kind=EventKind.KEEP_ALIVE)).startswith(b": ")
    assert encoder.encode(LLMResponse(kind=EventKind.DONE)) == b""


def test_an_error_chunk_is_said_and_nothing_follows() -> None:
    encoder = WIRE.stream_encoder(LLMRequest(model="m"))
    encoder.encode(text_chunk("a"))
    out = encoder.encode(LLMResponse(kind=EventKind.ERROR, error=ErrorInfo(message="no", code="c")))
    assert json.loads(out.removeprefix(b"data: ")) == {
        "error": {"message": "no", "type": "server_error", "param": None, "code": "c"}
    }
    assert encoder.finish(LLMResponse()) == b""


def test_several_choices(read_with_sdk: Sdk) -> None:
    body = encode(
        part_chunk(TextPart(text="a")),
        part_chunk(TextPart(text="x"), index=1),
        part_chunk(TextPart(text="b")),
        part_chunk(TextPart(text="y"), index=1),
    )
    assert [choice.message.content for choice in read_with_sdk(body).choices] == ["ab", "xy"]


_TEXT = st.text(max_size=4)
_PIECE = st.one_of(
    st.builds(TextPart, index=st.integers(0, 2), text=_TEXT),
    st.builds(ReasoningPart, index=st.integers(3, 5), text=_TEXT, signature=st.sampled_from(["", "", "S"])),
    st.builds(ToolCallPart, index=st.integers(6, 8), arguments=_TEXT),
    st.builds(RefusalPart, index=st.just(9), text=_TEXT),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(_PIECE, max_size=14), grouped=st.integers(1, 4))
def test_the_sdk_builds_what_the_accumulator_builds(read_with_sdk: Sdk, pieces: list[Part], grouped: int) -> None:
    seen: set[int] = set()
    for piece in pieces:
        if isinstance(piece, ToolCallPart) and piece.index not in seen:
            seen.add(piece.index)
            piece.id, piece.name = f"id{piece.index}", "f"
    chunks = [part_chunk(*pieces[at : at + grouped]) for at in range(0, len(pieces), grouped)]
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    completion = read_with_sdk(encode(*chunks))
    got = completion.choices[0].message
    choices = accumulator.response().choices
    content = choices[0].message.content if choices and choices[0].message else []
    calls = {part.id: part.arguments for part in content if isinstance(part, ToolCallPart)}
    texts = [piece.text for piece in pieces if isinstance(piece, TextPart)]
    reasoning = [piece.text for piece in pieces if isinstance(piece, ReasoningPart)]
    assert (got.content or "") == "".join(texts)
    assert (got.model_extra or {}).get("reasoning_content", "") == "".join(reasoning)
    assert {call.id: call.function.arguments for call in got.tool_calls or []} == calls
    signatures = [piece.signature for piece in pieces if isinstance(piece, ReasoningPart)]
    details = (got.model_extra or {}).get("reasoning_details") or []
    assert "".join(detail["signature"] for detail in details) == "".join(signatures)
    assert [detail["index"] for detail in details] == list(range(len(details)))
