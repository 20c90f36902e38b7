"""Recorded Anthropic answers, the official SDK's reading of a stream, and streams written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest

from providers.model import Accumulator, LLMRequest, LLMResponse
from providers.wire.anthropic_messages import WIRE

RECORDINGS = Path(__file__).parents[5] / "shared" / "recordings" / "anthropic-messages"

CLIENT_REQUEST = LLMRequest(model="the-model")


def recordings(kind: str) -> list[Any]:
    """Parameters for `parametrize`, one for each recorded body."""
    paths = sorted((RECORDINGS / kind).glob("*.body"))
    if not paths:
        skip = pytest.mark.skip(reason="the shared recordings are not beside this checkout")
        return [pytest.param(None, id="none", marks=skip)]
    return [pytest.param(path, id=path.stem) for path in paths]


def event(data: dict[str, Any] | str, name: str | None = None) -> bytes:
    """One event of a stream, with its `event:` line unless `name` is empty."""
    text = data if isinstance(data, str) else json.dumps(data)
    kind = data.get("type", "") if isinstance(data, dict) else "x"
    head = f"event: {kind if name is None else name}\n" if name != "" else ""
    return f"{head}data: {text}\n\n".encode()


def start(usage: dict[str, Any] | None = None, id: str = "msg_1", content: list[Any] | None = None) -> bytes:  # noqa: A002
    message = {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": content or [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 1, "output_tokens": 1},
    }
    return event({"type": "message_start", "message": message})


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any], stop: bool = True) -> bytes:
    events = [event({"type": "content_block_start", "index": index, "content_block": content})]
    events += [event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
    if stop:
        events.append(event({"type": "content_block_stop", "index": index}))
    return b"".join(events)


def text_block(index: int, *texts: str, stop: bool = True) -> bytes:
    deltas = [{"type": "text_delta", "text": text} for text in texts]
    return block(index, {"type": "text", "text": ""}, *deltas, stop=stop)


def end(reason: str = "end_turn", usage: dict[str, Any] | None = None, sequence: str | None = None) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": sequence}
    return event({"type": "message_delta", "delta": delta, "usage": usage or {"output_tokens": 2}}) + STOP


STOP = event({"type": "message_stop"})


def decode(body: bytes) -> list[LLMResponse]:
    decoder = WIRE.stream_decoder()
    return decoder.feed(body) + decoder.eof()


def accumulate(chunks: Iterable[LLMResponse]) -> LLMResponse:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


def encode(chunks: Iterable[LLMResponse]) -> bytes:
    """The whole stream that an Anthropic client gets for these chunks."""
    chunks = list(chunks)
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    return b"".join(encoder.encode(chunk) for chunk in chunks) + encoder.finish(accumulate(chunks))


def without_raw(chunk: LLMResponse) -> LLMResponse:
    return msgspec.structs.replace(chunk, raw=None)


def as_message(response: LLMResponse) -> dict[str, Any]:
    """The response as a Messages body, as plain data."""
    return msgspec.json.decode(WIRE.encode_response(msgspec.structs.replace(response, raw=None), CLIENT_REQUEST))


def sdk_message(stream: bytes) -> dict[str, Any]:
    """What the official SDK accumulates from a stream."""
    with sdk_client(200, stream, "text/event-stream") as client:
        ask = [{"role": "user", "content": "x"}]
        with client.messages.stream(model="m", max_tokens=1, messages=ask) as reading:  # type: ignore[arg-type]
            return reading.get_final_message().model_dump(warnings=False, exclude_unset=True)


def sdk_client(status: int, body: bytes, content_type: str = "application/json") -> anthropic.Anthropic:
    """The official SDK, over a wire that answers every request with these bytes."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="none", base_url="http://upstream", http_client=http, max_retries=0)
