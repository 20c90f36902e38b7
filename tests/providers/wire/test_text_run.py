"""The fast lane of stream decoders and encoders gives what the ordinary way gives, for any bytes and any split."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError
from providers.model import Accumulator, LLMRequest, LLMResponse
from providers.model.text_run import TextRun, expand
from providers.wire import load_wire
from providers.wire.anthropic_messages import structs as anthropic
from providers.wire.anthropic_messages import text_run as anthropic_run
from providers.wire.openai_chat import response_structs as chat
from providers.wire.openai_chat import text_run as chat_run

APIS = ["openai-chat", "anthropic-messages"]


def data(event: object) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def chat_event(**delta: Any) -> bytes:
    return data({"id": "c", "model": "m", "created": 7, "choices": [{"index": 0, "delta": delta}]})


def chat_text(text: str) -> bytes:
    return chat_event(content=text)


def anthropic_event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + data({"type": kind, **fields})


def anthropic_text(text: str, index: int = 0) -> bytes:
    return anthropic_event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


CHAT_ODD = [
    chat_event(role="assistant", content=""),
    chat_event(role="assistant", content="said with a role"),
    chat_event(role="user", content="said with another role"),
    chat_event(content=None),
    chat_event(content="", tool_calls=[{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]),
    chat_event(content="a", reasoning_content="b"),
    chat_event(content="a", unknown={"deep": [1]}),
    chat_event(content=["not", "text"]),
    chat_event(content=[{"type": "text", "text": "a"}]),
    chat_event(content="a", annotations=[{"type": "url_citation", "url_citation": {"url": "u"}}]),
    data({"choices": [{"index": 1, "delta": {"content": "another choice"}}]}),
    data({"choices": [{"delta": {"content": "no index"}}]}),
    data({"choices": [{"index": None, "delta": {"content": "no index"}}]}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]}),
    data({"choices": [{"index": 0, "delta": {"content": "the end"}, "finish_reason": "stop"}]}),
    data({"choices": [{"index": 0, "delta": {"content": "no end"}, "finish_reason": ""}]}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}, "usage": {"prompt_tokens": 1}}]}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": {"prompt_tokens": 2}}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}], "x_groq": {"usage": {"prompt_tokens": 3}}}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}], "citations": ["http://a"]}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}], "system_fingerprint": "f", "service_tier": "t"}),
    data(
        {"choices": [{"index": 0, "delta": {"content": "a"}}], "system_fingerprint": "g", "id": "other", "created": 9}
    ),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}], "created": 1.5}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}], "id": 5}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}], "object": "error"}),
    data({"choices": [{"index": 0, "delta": {"content": "a"}}], "error": {"message": "bad"}}),
    data({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 5}}),
    data({"choices": [{"index": 0, "delta": {"content": "a\U0010f800"}}], "text": 1}),
    b"data: [DONE]\n\n",
]
ANTHROPIC_ODD = [
    anthropic_event("message_start", message={"id": "m", "role": "assistant", "content": [], "model": "x"}),
    anthropic_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    anthropic_event("content_block_start", index=1, content_block={"type": "server_tool_use", "id": "s", "input": {}}),
    anthropic_text("of another block", 1),
    anthropic_text("of a third block", 2),
    anthropic_text(""),
    anthropic_event("content_block_delta", index=2, delta={"type": "thinking_delta", "thinking": "hm"}),
    anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a", "citation": {}}),
    anthropic_event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": {"type": "x"}}),
    anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": 1}),
    anthropic_event("content_block_delta", delta={"type": "text_delta", "text": "no index"}),
    anthropic_event("content_block_stop", index=0),
    anthropic_event("ping"),
    anthropic_event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1}),
    anthropic_event("message_stop"),
    anthropic_event("error", error={"type": "overloaded_error", "message": "busy"}),
    anthropic_text("a").replace(b"event: content_block_delta\n", b""),
    anthropic_text("a").replace(b"event: content_block_delta", b"event: ping"),
]


def framed_oddly(plain: bytes) -> list[bytes]:
    """What any stream may hold between two events, or make of one."""
    return [
        b": a comment\n\n",
        b"\n",
        b"retry: 5\n\n",
        b"\xef\xbb\xbf" + plain,
        plain.replace(b"\n\n", b"\r\n\r\n"),
        plain.replace(b"\n\n", b"\n: a comment\n\n"),
        plain.replace(b"data: ", b"id: 1\ndata: "),
        plain.replace(b"data: ", b"data:"),
        plain.replace(b"data: {", b"data: {\ndata: "),
        plain.replace(b"data: {", b"data: {\n "),  # a second line that is no data
        plain.replace(b"}\n\n", b"\n}\n\n"),
        plain.replace(b"}\n\n", b"} \n\n"),
        plain.replace(b"}\n\n", b"}}\n\n"),
        plain.replace(b"}\n\n", b"\n\n"),
        plain.replace(b"text", b"te\xffxt"),
        plain.replace(b"text", b"te\\ud83dxt"),
        plain.replace(b"text", b"te\\ud83d"),
        plain.replace(b"text", b"\\ude00xt"),
        plain.replace(b"text", "\u00e9\U0001f600".encode()),
    ]


PLAIN = {"openai-chat": chat_text, "anthropic-messages": anthropic_text}
ODD = {
    "openai-chat": CHAT_ODD + framed_oddly(chat_text("a text")),
    "anthropic-messages": ANTHROPIC_ODD + framed_oddly(anthropic_text("a text")),
}


@st.composite
def bodies(draw: st.DrawFn, api: str) -> bytes:
    plain = st.builds(PLAIN[api], st.one_of(st.text(max_size=6), st.just("plain")))
    events = draw(st.lists(st.one_of(plain, plain, plain, st.sampled_from(ODD[api])), max_size=12))
    return PLAIN[api]("first") + b"".join(events)


def pieces_of(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in itertools.pairwise(places)]


def end_of(decoder: Any) -> list[LLMResponse] | str:
    try:
        chunks: list[LLMResponse] = decoder.eof()
    except BadResponseError as error:
        return error.message
    return chunks


def added(batch: list[LLMResponse | TextRun]) -> tuple[LLMResponse, int]:
    accumulator = Accumulator()
    for item in batch:
        if isinstance(item, TextRun):
            accumulator.add_run(item)
        else:
            accumulator.add(item)
    return accumulator.response(), accumulator.chunks


def without_chance(said: bytes) -> bytes:
    """Less the ids and times that an encoder makes up where the provider gave none."""
    return re.sub(rb'((chatcmpl-|msg_|call_|toolu_)\w+|"created":\d+)', b"", said)


@pytest.mark.parametrize("api", APIS)
@settings(deadline=None, max_examples=300)
@given(st.data(), st.lists(st.integers(0, 5000), max_size=5))
def test_runs_are_the_same_chunks(api: str, choose: st.DataObject, cuts: list[int]) -> None:
    body = choose.draw(bodies(api))
    wire = load_wire(api)
    slow, fast = wire.stream_decoder(), wire.stream_decoder()
    chunks = slow.feed(body)
    batch = [item for piece in pieces_of(body, cuts) for item in fast.feed_runs(piece)]  # type: ignore[attr-defined]

    assert expand(batch) == chunks
    assert (fast.skipped, fast.dropped_blocks) == (slow.skipped, slow.dropped_blocks)
    assert b"".join(item.raw.body for item in batch if item.raw) == b"".join(c.raw.body for c in chunks if c.raw)
    assert added(batch) == added([*chunks])
    for target in APIS:
        one, other = (load_wire(target).stream_encoder(LLMRequest(model="m", stream=True)) for _ in range(2))
        said = [one.encode_run(i) if isinstance(i, TextRun) else one.encode(i) for i in batch]  # type: ignore[attr-defined]
        assert without_chance(b"".join(said)) == without_chance(b"".join(map(other.encode, chunks)))
    assert end_of(fast) == end_of(slow)


@pytest.mark.parametrize("api", APIS)
def test_plain_events_do_come_as_runs(api: str) -> None:
    texts = [f"piece {number}" for number in range(20)]
    decoder = load_wire(api).stream_decoder()
    decoder.feed(PLAIN[api]("first"))
    [run] = decoder.feed_runs(b"".join(map(PLAIN[api], texts)))  # type: ignore[attr-defined]
    assert isinstance(run, TextRun)
    assert run.texts == texts
    odd = ODD[api][3]
    batch = decoder.feed_runs(PLAIN[api]("a") + odd + PLAIN[api]("b") + PLAIN[api]("c"))  # type: ignore[attr-defined]
    assert [isinstance(item, TextRun) for item in batch][:2] == [True, False]


@pytest.mark.parametrize(
    ("plain", "full"),
    [
        (chat_run.PlainEvent, chat.ChatEvent),
        (chat_run.PlainChoice, chat.ChatChoice),
        (chat_run.PlainDelta, chat.ChatMessage),
        (anthropic_run.PlainEvent, anthropic.StreamEvent),
        (anthropic_run.PlainDelta, anthropic.StreamDelta),
    ],
)
def test_no_field_is_forgotten(plain: type[msgspec.Struct], full: type[msgspec.Struct]) -> None:
    # A field that the full Struct reads and the plain one skips would be lost on the fast lane.
    assert set(plain.__struct_fields__) == set(full.__struct_fields__)
