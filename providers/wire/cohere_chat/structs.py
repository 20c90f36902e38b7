"""What an answer of Cohere's chat (v2) holds on the wire, whole or streamed. Imports only msgspec.

Source: the API reference (https://docs.cohere.com/reference/chat-stream) and recorded traffic. Every field may be
missing or null. In a stream one event tells of one thing: its `delta.message` has an object where a whole message has
a list.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

API = "cohere-chat"


class Function(Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class ToolCall(Struct, gc=False):
    id: str | None = None
    function: Function | None = None


class Content(Struct, gc=False):
    """A content item. A delta has no `type`: the field that it has tells."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class LogprobItem(Struct, gc=False):
    text: str | None = None
    logprobs: list[float] | None = None


class Tokens(Struct, gc=False):
    """Counts come as floats."""

    input_tokens: float | None = None
    output_tokens: float | None = None


class WireUsage(Struct, gc=False):
    tokens: Tokens | None = None
    billed_units: Tokens | None = None
    cached_tokens: float | None = None


class WireMessage(Struct):
    content: list[Raw] | None = None
    tool_plan: str | None = None
    tool_calls: list[ToolCall] | None = None
    citations: list[dict[str, Any]] | None = None


class Answer(Struct):
    id: str | None = None
    message: WireMessage | None = None
    finish_reason: str | None = None
    usage: Raw = Raw()
    logprobs: list[LogprobItem] | None = None
    error: str | None = None


class DeltaMessage(Struct):
    content: Content | None = None
    tool_plan: str | None = None
    tool_calls: ToolCall | None = None
    citations: dict[str, Any] | None = None


class Delta(Struct):
    message: Raw = Raw()
    finish_reason: str | None = None
    usage: Raw = Raw()
    error: str | None = None


class StreamEvent(Struct):
    type: str = ""
    id: str | None = None
    index: int | None = None
    delta: Delta | None = None
    logprobs: LogprobItem | None = None
    message: str | None = None
    """Of an error that comes as an event of its own."""


class ErrorBody(Struct, gc=False):
    message: str | None = None
    error: str | None = None
    detail: str | None = None


ANSWER = msgspec.json.Decoder(Answer)
CONTENT = msgspec.json.Decoder(Content)
DELTA_MESSAGE = msgspec.json.Decoder(DeltaMessage)
ERROR_BODY = msgspec.json.Decoder(ErrorBody)
STREAM_EVENT = msgspec.json.Decoder(StreamEvent)
WIRE_USAGE = msgspec.json.Decoder(WireUsage)
