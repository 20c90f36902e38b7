"""Streams written by hand, the official SDK's reading of a stream, and the grammar of a stream as a check."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx2
import openai
from openai._models import validate_type
from openai._streaming import SSEDecoder
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from providers.model import Accumulator, LLMRequest, LLMResponse
from providers.wire.openai_responses import WIRE

ASKED = LLMRequest(model="the-model", stream=True)


def event(kind: str, **fields: Any) -> bytes:
    """One event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def life(kind: str, **fields: Any) -> bytes:
    """`response.created`, `response.completed` ..."""
    response = {"id": "resp_1", "object": "response", "created_at": 7, "model": "m", "output": [], **fields}
    return event(f"response.{kind}", response=response)


CREATED = life("created", status="in_progress")


def decode(*pieces: bytes) -> list[LLMResponse]:
    decoder = WIRE.stream_decoder()
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    return chunks + decoder.eof()


def accumulate(chunks: Iterable[LLMResponse]) -> LLMResponse:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


def encode(chunks: Iterable[LLMResponse], request: LLMRequest = ASKED) -> bytes:
    """The whole stream that a client of this API gets for these chunks."""
    chunks = list(chunks)
    encoder = WIRE.stream_encoder(request)
    return b"".join(encoder.encode(chunk) for chunk in chunks) + encoder.finish(accumulate(chunks))


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events' data, after checking their framing: an `event:` line with the type, one data line, a blank line."""
    assert stream.endswith(b"\n\n")
    found = []
    for frame in stream.decode().split("\n\n")[:-1]:
        if frame.startswith(":"):
            continue
        head, data = frame.split("\n")
        content = json.loads(data.removeprefix("data: "))
        assert head == f"event: {content['type']}"
        found.append(content)
    return found


def sdk_response(stream: bytes) -> Response | None:
    """What the SDK's accumulator, which asserts on the order, builds. Every event is validated strictly first."""
    state = ResponseStreamState(text_format=openai.omit, input_tools=openai.omit)
    for sse in SSEDecoder().iter_bytes(iter([stream])):
        state.handle_event(validate_type(type_=ResponseStreamEvent, value=json.loads(sse.data)))  # type: ignore[arg-type]
    return state._completed_response


_PLACES = {"summary_index": "summary", "content_index": "content"}


def check_grammar(stream: bytes) -> dict[str, Any]:
    """The last event's response, after checking what a careful client may rely on."""
    events = events_of(stream)
    assert [item["sequence_number"] for item in events] == list(range(len(events)))
    assert [item["type"] for item in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] in ("response.completed", "response.incomplete")
    open_items: dict[int, dict[str, Any]] = {}
    open_parts: dict[int, tuple[str, int]] = {}
    said: dict[tuple[int, str, int], str] = {}
    done: list[dict[str, Any]] = []
    begun = 0
    for item in events[2:-1]:
        kind, index = item["type"].removeprefix("response."), item["output_index"]
        if kind == "output_item.added":
            assert index == begun
            begun += 1
            calls = ("function_call", "custom_tool_call")
            assert all(other["type"] in calls for other in open_items.values()), "only calls may overlap"
            open_items[index] = item["item"]
        elif kind == "output_item.done":
            first = open_items.pop(index)
            assert index not in open_parts
            assert (first["type"], first["id"]) == (item["item"]["type"], item["item"]["id"])
            done.append((index, item["item"]))  # type: ignore[arg-type]
        else:
            assert item["item_id"] == open_items[index]["id"]
            field = next((name for name in _PLACES if name in item), "")
            place = (field, item.get(field, 0))
            if kind.endswith("part.added"):
                assert index not in open_parts
                open_parts[index] = place
            elif kind.endswith("part.done"):
                assert open_parts.pop(index) == place
            elif field:
                assert open_parts[index] == place
            key = (index, *place)
            if kind.endswith(".delta"):
                said[key] = said.get(key, "") + item["delta"]
            elif kind.endswith(".done") and not kind.endswith("part.done"):
                whole = next(item[name] for name in ("text", "refusal", "arguments", "input") if name in item)
                assert whole == said.get(key, "")
    assert not open_items
    whole: dict[str, Any] = events[-1]["response"]
    assert whole["output"] == [item for _, item in sorted(done, key=lambda pair: pair[0])]  # type: ignore[misc]
    assert whole["status"] == events[-1]["type"].removeprefix("response.")
    return whole


def sdk_client(status: int, body: bytes, content_type: str = "application/json") -> openai.OpenAI:
    """The official SDK, over a wire that answers every request with these bytes."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="none", base_url="http://upstream", http_client=http, max_retries=0)
