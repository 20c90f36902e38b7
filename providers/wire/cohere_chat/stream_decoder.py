"""Streamed answers in: Cohere's event stream to chunks. No I/O; imports the model, the errors and the SSE decoder.

The JSON's `type` says what an event is; the `event:` line says it again, or is left out. One event is one chunk:

| event | kind |
|---|---|
| no data (a comment) | KEEP_ALIVE |
| message-start, content-*, tool-plan-delta, tool-call-*, citation-* | CHUNK |
| message-end | DONE, with finish reason and usage; ERROR if its finish reason says that the answer failed |
| one of no type that has a `message`: an error outside the grammar | ERROR |
| `[DONE]`, which proxies write | DONE |
| any other JSON | CHUNK that says nothing |
| not JSON | left out, counted in `skipped` |

The plan before tool calls is reasoning; see `response_decoder`. Content items and tool calls are counted apart on the
wire, so each gets the next part index when it first comes. A tool call that ends without arguments gets its `{}`.
"""

from __future__ import annotations

from msgspec import Raw

from providers.model import (
    Choice,
    Delta,
    ErrorInfo,
    EventKind,
    LLMResponse,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from providers.wire.cohere_chat.answer_parts import arguments_of, citations_of, is_of_text, logprobs_of
from providers.wire.cohere_chat.errors import failure_info
from providers.wire.cohere_chat.finish import FAILURES, finish_reason_of
from providers.wire.cohere_chat.structs import (
    API,
    DELTA_MESSAGE,
    STREAM_EVENT,
    Content,
    DeltaMessage,
    StreamEvent,
)
from providers.wire.cohere_chat.structs import Delta as WireDelta
from providers.wire.cohere_chat.usage import decode_usage
from providers.wire.event_decoder import EventDecoder
from providers.wire.sse import SSEDecoder, SSEvent, is_utf8

_NOTHING = DeltaMessage()


class CohereStreamDecoder(EventDecoder[SSEvent]):
    """See `StreamDecoder`. One for each streamed body."""

    api = API

    def __init__(self) -> None:
        super().__init__(SSEDecoder())
        self._next = 0
        self._parts: dict[tuple[str, int], int] = {}
        """What a thing is on the wire (`text`, `call` ...) and its number there, to the index of its part."""
        self._empty_calls: set[int] = set()
        """Part indices of tool calls whose arguments have not begun."""

    def read(self, event: SSEvent) -> LLMResponse | None:
        if not event.data:
            return LLMResponse(kind=EventKind.KEEP_ALIVE)
        if event.data.startswith(b"[DONE]"):
            return LLMResponse(kind=EventKind.DONE)
        if not is_utf8(event.data):
            return None
        wire = self.reader.decode(event.data, STREAM_EVENT)
        return self._read(wire, wire.type or event.name)

    def _read(self, wire: StreamEvent, kind: str) -> LLMResponse:
        delta = wire.delta or WireDelta()
        match kind:
            case "message-start":
                return LLMResponse(id=wire.id or "", choices=[Choice(delta=Delta(role="assistant"))])
            case "message-end":
                return self._end(delta)
            case "tool-call-end":
                return _chunk(self._fill(self._place("call", wire.index)))
            case "" if wire.message is not None:
                return _failed(ErrorInfo(message=wire.message, status=500))
        message = self._message(delta.message)
        match kind:
            case "content-start" | "content-delta":
                chunk = _chunk(self._content(wire, message.content or Content()))
                if wire.logprobs is not None:
                    chunk.choices = chunk.choices or [Choice(delta=Delta())]
                    chunk.choices[0].logprobs = logprobs_of([wire.logprobs])
                return chunk
            case "tool-plan-delta":
                return _chunk([ReasoningPart(index=self._place("plan", 0), text=message.tool_plan or "")])
            case "tool-call-start" | "tool-call-delta":
                return _chunk(self._call(wire, message))
            case "citation-start":
                return _chunk(self._citation(message))
            case _:
                return LLMResponse()

    def _message(self, raw: Raw) -> DeltaMessage:
        """The `message` of a delta: its shape depends on the event, so it is read when that is known."""
        return self.reader.decode(bytes(raw), DELTA_MESSAGE) if bytes(raw) not in (b"", b"null") else _NOTHING

    def _content(self, wire: StreamEvent, content: Content) -> list[Part]:
        number = wire.index or 0
        if content.type == "thinking" or content.thinking is not None:
            return [ReasoningPart(index=self._place("thinking", number), text=content.thinking or "")]
        if content.type in (None, "text") and content.text is not None:
            return [TextPart(index=self._place("text", number), text=content.text)]
        if content.type not in (None, "text"):
            self.dropped_blocks += 1
        return []

    def _call(self, wire: StreamEvent, message: DeltaMessage) -> list[Part]:
        call = message.tool_calls
        if call is None:
            return []
        is_new = ("call", wire.index or 0) not in self._parts
        index = self._place("call", wire.index)
        arguments = arguments_of(call.function)
        if arguments:
            self._empty_calls.discard(index)
        elif is_new:
            self._empty_calls.add(index)
        name = (call.function.name if call.function is not None else None) or ""
        return [ToolCallPart(index=index, id=call.id or "", name=name, arguments=arguments)]

    def _citation(self, message: DeltaMessage) -> list[Part]:
        wire = message.citations
        if wire is None:
            return []
        if not is_of_text(wire):
            self.dropped_blocks += 1
            return []
        number = wire.get("content_index")
        place = self._parts.get(("text", number if isinstance(number, int) else 0))
        if place is None:
            place = next((index for (kind, _), index in self._parts.items() if kind == "text"), None)
        if place is None:
            place = self._place("text", 0)
        return [TextPart(index=place, citations=citations_of(wire))]

    def _end(self, delta: WireDelta) -> LLMResponse:
        reason = delta.finish_reason
        if reason in FAILURES:
            return _failed(failure_info(reason, delta.error))
        rest = [part for index in sorted(self._empty_calls) for part in self._fill(index)]
        choice = Choice(delta=Delta(content=rest), native_finish_reason=reason)
        choice.finish_reason = finish_reason_of(reason) if reason is not None else None
        return LLMResponse(kind=EventKind.DONE, choices=[choice], usage=decode_usage(delta.usage))

    def _fill(self, index: int) -> list[Part]:
        """The arguments of a call that has none."""
        if index not in self._empty_calls:
            return []
        self._empty_calls.discard(index)
        return [ToolCallPart(index=index, arguments="{}")]

    def _place(self, kind: str, number: int | None) -> int:
        key = (kind, number or 0)
        place = self._parts.get(key)
        if place is None:
            place = self._parts[key] = self._next
            self._next += 1
        return place


def _chunk(parts: list[Part]) -> LLMResponse:
    return LLMResponse(choices=[Choice(delta=Delta(content=parts))]) if parts else LLMResponse()


def _failed(info: ErrorInfo) -> LLMResponse:
    return LLMResponse(kind=EventKind.ERROR, error=info)
