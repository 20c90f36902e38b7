"""Streamed answers in: ConverseStream's frames to chunks. No I/O; imports the model, the errors and the frame decoder.

One frame is one chunk. What a frame is:

| `:message-type` | `:event-type` | kind |
|---|---|---|
| event | messageStart, contentBlockStart, contentBlockDelta, contentBlockStop, messageStop | CHUNK |
| event | metadata, the last one: usage, traces | DONE |
| event | any other | CHUNK that says nothing |
| exception, error | | ERROR |
| any, with a payload that is not the JSON it should be | | left out, counted in `skipped` |

The finish reason comes with `messageStop`: from there on the answer is whole, with or without `metadata`. A block
starts with its first event: `contentBlockStart` is only sent for tool calls. Text in blocks that the provider's own
tools fill is opaque. A tool call without any arguments gets its `{}` when its block stops.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import (
    Choice,
    Delta,
    ErrorInfo,
    EventKind,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from providers.wire.bedrock_converse.answer import model_of, stop_sequence_of, tier_of, trace_part
from providers.wire.bedrock_converse.blocks import SERVER_RUN, decode_citation, opaque
from providers.wire.bedrock_converse.errors import error_in_stream
from providers.wire.bedrock_converse.finish import finish_reason_of
from providers.wire.bedrock_converse.frames import Frame, FrameDecoder
from providers.wire.bedrock_converse.reasoning import CLAUDE_FORMAT, decode_redacted
from providers.wire.bedrock_converse.structs import (
    ANSWER,
    API,
    BLOCK_EVENT,
    TOOL_USE,
    BlockDelta,
    BlockEvent,
    ReasoningDelta,
)
from providers.wire.bedrock_converse.usage import decode_usage
from providers.wire.event_decoder import EventDecoder


class ConverseStreamDecoder(EventDecoder[Frame]):
    """See `StreamDecoder`. One for each streamed body."""

    api = API

    def __init__(self) -> None:
        super().__init__(FrameDecoder())
        self._next = 0
        """The first part index that no block has used."""
        self._opaque: set[int] = set()
        """Indices of blocks that no client could read."""
        self._empty_calls: set[int] = set()
        """Indices of tool calls whose arguments have not begun."""

    def read(self, event: Frame) -> LLMResponse:
        match event.text(":message-type"):
            case "exception":
                return _failed(error_in_stream(event.text(":exception-type"), event.payload))
            case "error":
                info = error_in_stream(event.text(":error-code"), event.payload)
                info.message = event.text(":error-message") or info.message
                return _failed(info)
        match event.text(":event-type"):
            case "contentBlockDelta":
                return _chunk(self._delta(self.reader.decode(event.payload, BLOCK_EVENT)))
            case "contentBlockStart":
                return _chunk(self._start(self.reader.decode(event.payload, BLOCK_EVENT)))
            case "contentBlockStop":
                return _chunk(self._stop(self.reader.decode(event.payload, BLOCK_EVENT).content_block_index))
            case "messageStart":
                return LLMResponse(choices=[Choice(delta=Delta(role="assistant"))])
            case "messageStop":
                return self._message_stop(event.payload)
            case "metadata":
                return self._metadata(event.payload)
            case _:
                return LLMResponse()

    def _start(self, event: BlockEvent) -> Part | None:
        index = self._seen(event.content_block_index)
        kind, raw = next(iter(event.start.items()), ("", Raw(b"{}")))
        if kind == "toolUse":
            call = TOOL_USE.decode(raw)
            if call.type != SERVER_RUN:
                self._empty_calls.add(index)
                return ToolCallPart(index=index, id=call.tool_use_id, name=call.name)
        if not kind:
            return None
        self._opaque.add(index)
        self.dropped_blocks += 1
        return opaque(kind, raw, index)

    def _delta(self, event: BlockEvent) -> Part | None:
        index = self._seen(event.content_block_index)
        delta = event.delta
        if delta is None:
            raise msgspec.ValidationError("contentBlockDelta without its delta")
        if delta.tool_use is not None:
            return self._arguments(index, delta)
        if index in self._opaque:
            return None
        if delta.text is not None:
            return TextPart(index=index, text=delta.text)
        if delta.reasoning_content is not None:
            return _reasoning(delta.reasoning_content, index)
        if delta.citation is not None:
            return TextPart(index=index, citations=[decode_citation(delta.citation)])
        return None

    def _arguments(self, index: int, delta: BlockDelta) -> Part:
        assert delta.tool_use is not None
        pieces = delta.tool_use.input
        if pieces is None:
            pieces = ""
        elif not isinstance(pieces, str):
            pieces = msgspec.json.encode(pieces).decode()
        if index in self._opaque:
            return OpaquePart(index=index, api=API, input=pieces)
        if pieces:
            self._empty_calls.discard(index)
        return ToolCallPart(index=index, arguments=pieces)

    def _stop(self, index: int) -> Part | None:
        if index not in self._empty_calls:
            return None
        self._empty_calls.discard(index)
        return ToolCallPart(index=index, arguments="{}")

    def _message_stop(self, payload: bytes) -> LLMResponse:
        wire = self.reader.decode(payload, ANSWER)
        stop = wire.stop_reason or ""
        choice = Choice(
            delta=Delta(content=[part for index in sorted(self._empty_calls) if (part := self._stop(index))]),
            finish_reason=finish_reason_of(stop),
            native_finish_reason=stop or None,
            stop_sequence=stop_sequence_of(wire),
        )
        return LLMResponse(choices=[choice])

    def _metadata(self, payload: bytes) -> LLMResponse:
        wire = self.reader.decode(payload, ANSWER)
        chunk = _chunk(trace_part(wire, self._next))
        if chunk.choices:
            self.dropped_blocks += 1
        chunk.kind = EventKind.DONE
        chunk.model = model_of(wire)
        chunk.service_tier = tier_of(wire)
        chunk.usage = decode_usage(wire.usage)
        return chunk

    def _seen(self, index: int) -> int:
        self._next = max(self._next, index + 1)
        return index


def _reasoning(delta: ReasoningDelta, index: int) -> Part | None:
    if delta.redacted_content is not None:
        redacted, signed_by = decode_redacted(delta.redacted_content)
        return ReasoningPart(index=index, redacted=redacted, format=signed_by)
    if delta.signature:
        return ReasoningPart(index=index, signature=delta.signature, format=CLAUDE_FORMAT)
    return ReasoningPart(index=index, text=delta.text) if delta.text is not None else None


def _chunk(part: Part | None) -> LLMResponse:
    return LLMResponse(choices=[Choice(delta=Delta(content=[part]))]) if part is not None else LLMResponse()


def _failed(info: ErrorInfo) -> LLMResponse:
    return LLMResponse(kind=EventKind.ERROR, error=info)
