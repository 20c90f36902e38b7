"""Streamed answers in: an Anthropic event stream to chunks. No I/O; imports the model, the errors and the SSE decoder.

Rules of this file:
* The JSON's `type` says what an event is; the `event:` line is a hint that some vendors leave out.
* A part's index is its block's index in the message, plus an offset if the body holds several messages. A second
  `message_start` before any block is a duplicate and changes nothing. After blocks it starts another message, whose
  blocks get indices after all earlier ones, so nothing is merged wrongly.
* Only `tool_use` is a tool call. Blocks run by the provider, and blocks of unknown types, are opaque, and so is their
  streamed input; deltas of unknown types change no part. Their bytes stay in `raw` all the same.
* `input_json_delta`s replace the `input` of the block's start, as in the SDKs. So a start's input is held back until
  the block ends without any; that also gives a call without arguments its `{}`.
"""

from __future__ import annotations

import logging

import msgspec

from providers.errors import BadResponseError
from providers.model import (
    Choice,
    Delta,
    ErrorInfo,
    EventKind,
    LLMResponse,
    OpaquePart,
    Part,
    RawBody,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from providers.model.text_run import TextRun
from providers.wire.anthropic_messages.blocks import decode_block, decode_citation
from providers.wire.anthropic_messages.errors import status_of_type
from providers.wire.anthropic_messages.finish import finish_reason_of
from providers.wire.anthropic_messages.structs import (
    API,
    ERROR_BODY,
    OBJECT,
    STREAM_EVENT,
    WIRE_MESSAGE,
    StreamDelta,
    StreamEvent,
)
from providers.wire.anthropic_messages.text_run import read_text_run
from providers.wire.anthropic_messages.usage import UsageMeter
from providers.wire.json_text import UNREADABLE
from providers.wire.lenient import decode_leniently
from providers.wire.run_decoder import EventRunDecoder
from providers.wire.sse import SSEvent, is_utf8
from providers.wire.surrogates import SurrogateJoiner

logger = logging.getLogger("triway.wire")


class AnthropicStreamDecoder(EventRunDecoder):
    """See `StreamDecoder`; with a fast lane. One for each streamed body."""

    __slots__ = (
        "_answered",
        "_complete",
        "_failed",
        "_halves",
        "_held",
        "_meter",
        "_next",
        "_offset",
        "_opaque",
        "_started",
        "_tools",
        "dropped_blocks",
        "skipped",
    )

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0
        self.dropped_blocks = 0
        self._halves = SurrogateJoiner()
        self._meter = UsageMeter()
        self._offset = 0
        self._next = 0
        """The first part index that no block has used."""
        self._started = False
        """Whether the current message has a block."""
        self._tools: set[int] = set()
        """Part indices of tool calls."""
        self._opaque: set[int] = set()
        """Part indices of opaque blocks."""
        self._held: dict[int, str] = {}
        """By part index, the arguments in a tool call's start, until it is known whether others follow."""
        self._answered = False
        """Whether there was any event that belongs to an answer."""
        self._complete = False
        self._failed = False

    def eof(self) -> list[LLMResponse]:
        chunks: list[LLMResponse] = []
        event = self._sse.eof()
        if event is not None:
            chunk = None if event.data is None and not _says_nothing(event.raw) else self._decode(event)
            if chunk is None:
                raise BadResponseError("the provider's stream ended in the middle of an event")
            chunks.append(chunk)
        if not self._answered:
            raise BadResponseError("the provider's stream ended without any event")
        if not (self._complete or self._failed):
            raise BadResponseError("the provider's stream ended before the answer was complete")
        return chunks

    def _read(self, event: SSEvent) -> LLMResponse | None:
        chunk = self._decode(event)
        if chunk is None:
            self.skipped += 1
            logger.warning("malformed %s event skipped (%d bytes)", API, len(event.raw))
        return chunk

    def _read_run(self, blocks: list[bytes], start: int) -> TextRun | None:
        return None if self._halves else read_text_run(blocks, start, self._offset, self._opaque)

    def _decode(self, event: SSEvent) -> LLMResponse | None:
        """The event as a chunk; None if it is malformed."""
        raw = RawBody(API, event.raw)
        if not event.data:
            return LLMResponse(kind=EventKind.KEEP_ALIVE, raw=raw)
        if not is_utf8(event.data):
            return None
        halves = False
        try:
            try:
                wire = STREAM_EVENT.decode(event.data)
                chunk = self._understand(wire, wire.type or event.name)
            except msgspec.ValidationError:
                return None
            except UNREADABLE:
                # Not the shape but the text: perhaps a lone surrogate, which Python's own parser takes.
                lenient = decode_leniently(event.data, STREAM_EVENT)
                if lenient is None:
                    return None
                halves = True
                chunk = self._understand(lenient, lenient.type or event.name)
        except (*UNREADABLE, ValueError):
            return None
        if chunk is not None:
            if halves or self._halves:
                self._halves.join(chunk)
            chunk.raw = raw
        return chunk

    def _understand(self, wire: StreamEvent, kind: str) -> LLMResponse | None:
        match kind:
            case "content_block_delta":
                part = self._delta(self._index(wire), wire.delta)
                return _chunk([part] if part is not None else [])
            case "content_block_start":
                return _chunk([self._block_start(wire)])
            case "content_block_stop":
                return _chunk(self._release(self._index(wire)))
            case "ping":
                return LLMResponse(kind=EventKind.KEEP_ALIVE)
            case "message_start":
                return self._message_start(wire)
            case "message_delta":
                return self._message_delta(wire)
            case "message_stop":
                self._answered = self._complete = True
                return LLMResponse(kind=EventKind.DONE, choices=_choices(self._release()))
            case "error":
                return self._error(wire)
            case "" | "message" if bytes(wire.error):  # vendors that send their error without a type
                return self._error(wire)
            case "":
                return None
            case _:
                return LLMResponse()

    def _index(self, wire: StreamEvent) -> int:
        if wire.index is None:
            raise msgspec.ValidationError("a block's event without its index")
        return wire.index + self._offset

    def _delta(self, index: int, delta: StreamDelta | None) -> Part | None:
        if delta is None:
            raise msgspec.ValidationError("content_block_delta without its delta")
        kind = delta.type
        if kind == "input_json_delta":
            pieces = delta.partial_json or ""
            if index not in self._tools:
                return OpaquePart(index=index, api=API, input=pieces)
            if pieces:
                self._held.pop(index, None)
            return ToolCallPart(index=index, arguments=pieces)
        if index in self._opaque:
            return None
        if kind == "text_delta":
            return TextPart(index=index, text=delta.text or "")
        if kind == "thinking_delta":
            return ReasoningPart(index=index, text=delta.thinking or "")
        if kind == "signature_delta":
            return ReasoningPart(index=index, signature=delta.signature or "")
        if kind == "citations_delta":
            return TextPart(index=index, citations=[decode_citation(OBJECT.decode(delta.citation))])
        return None

    def _block_start(self, wire: StreamEvent) -> Part:
        index = self._index(wire)
        part = decode_block(wire.content_block, index)
        self._open(part)
        if isinstance(part, ToolCallPart):
            self._held[index] = part.arguments
            part.arguments = ""
        return part

    def _open(self, part: Part) -> None:
        index = part.index
        self._started = True
        self._next = max(self._next, index + 1)
        self._tools.discard(index)
        self._opaque.discard(index)
        if isinstance(part, ToolCallPart):
            self._tools.add(index)
        elif isinstance(part, OpaquePart):
            self._opaque.add(index)
            self.dropped_blocks += 1

    def _message_start(self, wire: StreamEvent) -> LLMResponse:
        message = WIRE_MESSAGE.decode(wire.message)
        parts = []
        if self._complete or self._started:
            parts = self._release()
            self._offset = self._next
        if self._complete:
            self._meter = UsageMeter()
        self._answered = True
        self._complete = self._started = False
        for number, block in enumerate(message.content or ()):  # continued turns may start with blocks that are whole
            part = decode_block(block, number + self._offset)
            self._open(part)
            parts.append(part)
        return LLMResponse(
            id=message.id,
            model=message.model,
            choices=[Choice(delta=Delta(role="assistant", content=parts))],
            usage=self._meter.update(message.usage),
        )

    def _message_delta(self, wire: StreamEvent) -> LLMResponse:
        chunk = LLMResponse(choices=_choices(self._release()), usage=self._meter.update(wire.usage))
        delta = wire.delta
        if delta is not None and delta.stop_reason is not None:
            if not chunk.choices:
                chunk.choices = [Choice(delta=Delta())]
            choice = chunk.choices[0]
            choice.finish_reason = finish_reason_of(delta.stop_reason)
            choice.native_finish_reason = delta.stop_reason
            choice.stop_sequence = delta.stop_sequence
        return chunk

    def _release(self, index: int | None = None) -> list[Part]:
        """Arguments held back for the block that ends, or for all, should a service leave out the ends of blocks."""
        indices = list(self._held) if index is None else [index] if index in self._held else []
        return [ToolCallPart(index=number, arguments=self._held.pop(number)) for number in indices]

    def _error(self, wire: StreamEvent) -> LLMResponse:
        try:
            error = ERROR_BODY.decode(wire.error)
        except UNREADABLE:  # an error in any shape is still one
            error = ERROR_BODY.decode(b"{}")
        self._answered = self._failed = True
        info = ErrorInfo(
            message=error.message or "the provider reported an error without a message",
            type=error.type,
            status=status_of_type(error.type),
        )
        return LLMResponse(kind=EventKind.ERROR, error=info)


def _chunk(parts: list[Part]) -> LLMResponse:
    return LLMResponse(choices=[Choice(delta=Delta(content=parts))]) if parts else LLMResponse()


def _choices(parts: list[Part]) -> list[Choice]:
    return [Choice(delta=Delta(content=parts))] if parts else []


def _says_nothing(raw: bytes) -> bool:
    """Whether a block without data is only comments and blank lines, not the beginning of an event."""
    return all(not line or line.startswith(b":") for line in raw.splitlines())
