"""Real streams: what the decoder reads must be what the official SDK's models hold, and nothing may be lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from providers.model import Accumulator, EventKind, LLMRequest, LLMResponse
from providers.wire.openai_chat import WIRE

_SPLITS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _decode(*pieces: bytes) -> list[LLMResponse]:
    decoder = WIRE.stream_decoder()
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    chunks += decoder.eof()
    assert decoder.skipped == 0
    return chunks


def _whole(chunks: list[LLMResponse]) -> LLMResponse:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


def _is_chat(body: bytes) -> bool:
    return b"session.created" not in body[:200]


class _Fold:
    """An independent reading: the SDK's chunk models, added up the plain way."""

    def __init__(self, raw_chunks: list[dict[str, Any]]) -> None:
        self.text = ""
        self.reasoning = ""
        self.calls: dict[int, dict[str, str]] = {}
        self.finish: str | None = None
        self.usage: dict[str, int] = {}
        for raw in raw_chunks:
            self._add(ChatCompletionChunk.construct(**raw), raw)

    def _add(self, chunk: ChatCompletionChunk, raw: dict[str, Any]) -> None:
        usage = raw.get("usage") or (raw.get("x_groq") or {}).get("usage")
        if usage:
            self.usage = usage
        for choice in chunk.choices or []:
            self.finish = choice.finish_reason or self.finish
            if choice.delta is None:
                self.text += getattr(choice, "text", "")
                continue
            self._add_content(choice.delta.content)
            extra = choice.delta.model_extra or {}
            self.reasoning += extra.get("reasoning_content") or extra.get("reasoning") or ""
            for call in choice.delta.tool_calls or []:
                known = self.calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
                known["id"] = known["id"] or call.id or ""
                if call.function is not None:
                    known["name"] = known["name"] or call.function.name or ""
                    known["arguments"] += call.function.arguments or ""

    def _add_content(self, content: object) -> None:
        if isinstance(content, str):
            self.text += content
        for item in content if isinstance(content, list) else ():
            if item["type"] == "text":
                self.text += item["text"]
            else:
                self.reasoning += "".join(piece["text"] for piece in item["thinking"])


def test_reads_what_the_sdk_reads(
    stream_recording: Path, chunks_with_sdk: Callable[[bytes], list[dict[str, Any]]]
) -> None:
    body = stream_recording.read_bytes()
    response = _whole(_decode(body))
    expected = _Fold([chunk for chunk in chunks_with_sdk(body) if "error" not in chunk and "choices" in chunk])
    if not _is_chat(body):
        assert response.choices == []
        return
    [choice] = response.choices
    assert choice.message is not None
    assert choice.message.text == expected.text
    assert choice.message.reasoning == expected.reasoning
    calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in choice.message.tool_calls]
    assert calls == list(expected.calls.values())
    assert choice.finish_reason == expected.finish
    if expected.usage:
        assert response.usage is not None
        assert response.usage.prompt_tokens == expected.usage["prompt_tokens"]
        # Not `completion_tokens`: xAI leaves the reasoning out of it.
        assert response.usage.completion_tokens == expected.usage["total_tokens"] - expected.usage["prompt_tokens"]
        assert response.usage.total_tokens == expected.usage["total_tokens"]


def test_answer_makes_sense(stream_recording: Path) -> None:
    body = stream_recording.read_bytes()
    chunks = _decode(body)
    kinds = [chunk.kind for chunk in chunks]
    if EventKind.ERROR in kinds:
        error = chunks[kinds.index(EventKind.ERROR)].error
        assert error is not None
        assert (error.status, error.code, error.type) == (400, "tool_use_failed", "invalid_request_error")
        assert error.message
        return
    assert kinds[-1] is EventKind.DONE
    assert kinds.count(EventKind.DONE) == 1
    response = _whole(chunks)
    if not _is_chat(body):
        return
    assert response.id
    assert response.model
    assert response.created
    assert response.usage is not None
    [choice] = response.choices
    assert choice.message is not None
    assert choice.message.text or choice.message.tool_calls
    for call in choice.message.tool_calls:
        assert call.id
        assert call.name
        json.loads(call.arguments)


def test_nothing_is_lost(stream_recording: Path) -> None:
    body = stream_recording.read_bytes()
    assert b"".join(chunk.raw.body for chunk in _decode(body) if chunk.raw) == body


@_SPLITS
@given(data=st.data())
def test_any_split_gives_the_same_chunks(stream_recording: Path, data: st.DataObject) -> None:
    # The head holds every kind of event of a stream; the rest is more of the same.
    whole = stream_recording.read_bytes()
    body = whole
    if len(whole) > 8000:
        body = whole[: whole.find(b"\n\n", 4000) + 2] + whole[whole.rfind(b"\n\n", 0, -2000) + 2 :]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert _decode(*pieces) == _decode(body)


def test_byte_by_byte_gives_the_same_chunks(stream_recording: Path) -> None:
    whole = stream_recording.read_bytes()
    body = whole if len(whole) < 6000 else whole[whole.find(b"\n\n", len(whole) - 6000) + 2 :]
    pieces = [body[at : at + 1] for at in range(len(body))]
    assert _decode(*pieces) == _decode(body)


def test_encoded_again_the_sdk_reads_the_same_answer(
    stream_recording: Path, read_with_sdk: Callable[[bytes], ChatCompletion]
) -> None:
    body = stream_recording.read_bytes()
    chunks = _decode(body)
    if not _is_chat(body) or any(chunk.kind is EventKind.ERROR for chunk in chunks):
        return
    encoder = WIRE.stream_encoder(LLMRequest(model="m", include_usage=True))
    # A chunk of this API that still has its bytes is relayed, not encoded.
    bare = [msgspec.structs.replace(chunk, raw=None) for chunk in chunks]
    out = b"".join(encoder.encode(chunk) for chunk in bare) + encoder.finish(response := _whole(chunks))
    assert out.endswith(b"data: [DONE]\n\n")
    assert encoder.dropped_blocks == 0
    completion = read_with_sdk(out)
    [choice] = completion.choices
    message = response.choices[0].message
    assert message is not None
    assert choice.message.role == "assistant"
    assert (choice.message.content or "") == message.text
    assert (choice.message.model_extra or {}).get("reasoning_content", "") == message.reasoning
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
    assert calls == [(call.id, call.name, call.arguments) for call in message.tool_calls]
    assert choice.finish_reason == response.choices[0].finish_reason
    assert response.usage is not None
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == response.usage.prompt_tokens
    assert completion.usage.completion_tokens == response.usage.completion_tokens
    # And read back by our own decoder it is the same answer in the model.
    again = _whole(_decode(out))
    assert again.choices[0].message is not None
    assert _comparable(again.choices[0].message.content) == _comparable(message.content)


def _comparable(parts: list[Any]) -> list[Any]:
    """Parts by kind: the wire has no order between its fields. Of citations only the URL survives every way."""
    plain = msgspec.json.decode(msgspec.json.encode(parts))
    for part in plain:
        part.pop("index", None)
        part["citations"] = [citation["url"] for citation in part.get("citations", ())]
    return sorted(plain, key=lambda part: part["type"])
