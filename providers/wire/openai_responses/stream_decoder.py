"""The streamed answer of a provider that speaks the Responses API, as chunks of the model. Does no I/O.

One wire event is one chunk. What an event is:

| event | kind |
|---|---|
| no data (a comment) | KEEP_ALIVE |
| `response.completed`, `response.incomplete` | DONE, with usage and the finish reason |
| `error` | ERROR, announced: `response.failed` usually follows |
| `response.failed` | ERROR |
| any other JSON, known or not | CHUNK |
| not JSON | left out, counted in `skipped` |

Rules of this file:
* The JSON's `type` says what an event is; the `event:` line is a hint that some vendors leave out.
* A `response.created` after an answer's end begins another answer, whose parts get indices after all earlier ones.
* Whatever is JSON goes on in `raw`, understood or not; and the same bytes give the same chunks, however they are split.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from providers.errors import BadResponseError
from providers.model import Choice, Delta, EventKind, LLMResponse, Part, RawBody
from providers.wire.json_text import is_object
from providers.wire.lenient import decode_leniently
from providers.wire.openai_responses.answer_reader import AnswerReader, PieceKind, text_of_arguments
from providers.wire.openai_responses.api import API
from providers.wire.openai_responses.errors import failure_of, read_error_event
from providers.wire.openai_responses.finish import finish_reason_of
from providers.wire.openai_responses.response_decoder import head_of, read_response
from providers.wire.openai_responses.response_structs import EVENT, StreamEvent, is_given
from providers.wire.openai_responses.usage import decode_usage
from providers.wire.sse import SSEDecoder, SSEvent, is_utf8
from providers.wire.surrogates import SurrogateJoiner

_log = logging.getLogger("triway.wire")


class ResponsesStreamDecoder:
    """Implements `providers.wire.base.StreamDecoder`."""

    __slots__ = ("_answer", "_any", "_complete", "_halves", "_is_answer", "_sse", "dropped_blocks", "skipped")

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._halves = SurrogateJoiner()
        self._answer = AnswerReader()
        self._any = False
        """Whether there was any event."""
        self._is_answer = False
        """Whether any event was one of this API: only then can the answer's end be missing."""
        self._complete = False
        """The answer's end or an error has come."""
        self.skipped = 0
        self.dropped_blocks = 0

    def feed(self, data: bytes) -> list[LLMResponse]:
        """Take in the next bytes. Raises `OversizedEventError`."""
        return [chunk for event in self._sse.feed(data) if (chunk := self._read(event)) is not None]

    def eof(self) -> list[LLMResponse]:
        """The body is over. Raises `BadResponseError` if it ended inside an event or before the answer was complete.

        A last event without its blank line is taken if it is whole, as SDKs do.
        """
        chunks: list[LLMResponse] = []
        event = self._sse.eof()
        if event is not None:
            was_complete = self._complete
            chunk = self._read(event)
            if chunk is not None:
                chunks.append(chunk)
            elif not was_complete:
                raise BadResponseError("the provider's stream was cut off in the middle of an event")
        if not self._any:
            raise BadResponseError("the provider's stream ended without any event")
        if self._is_answer and not self._complete:
            raise BadResponseError("the provider's stream ended before the answer was complete")
        return chunks

    def _read(self, event: SSEvent) -> LLMResponse | None:
        """The event as a chunk; None if it is malformed."""
        data = event.data
        raw = RawBody(API, event.raw)
        if not data:
            return LLMResponse(kind=EventKind.KEEP_ALIVE, raw=raw)
        self._any = True
        if data.startswith(b"[DONE]"):
            # Not this API's: some vendors write it after the answer's end.
            return LLMResponse(kind=EventKind.DONE if self._complete else EventKind.CHUNK, raw=raw)
        if not is_utf8(data):
            return self._malformed(event, raw)
        halves = False
        try:
            wire: StreamEvent | None = EVENT.decode(data)
        except (ValueError, RecursionError):
            try:
                wire = decode_leniently(data, EVENT)
                halves = True
            except ValueError:
                return self._malformed(event, raw)
        chunk = self._chunk(wire or StreamEvent(), event)
        if halves or self._halves:
            self._halves.join(chunk)
        chunk.raw = raw
        return chunk

    def _malformed(self, event: SSEvent, raw: RawBody) -> LLMResponse | None:
        if event.name == "error":
            self._complete = True
            return LLMResponse(kind=EventKind.ERROR, raw=raw, error=read_error_event(event.data or b""))
        self.skipped += 1
        _log.warning("skipped a malformed event of %d bytes in a provider's stream", len(event.raw))
        return None

    def _chunk(self, wire: StreamEvent, event: SSEvent) -> LLMResponse:
        kind = wire.type or event.name
        if kind == "error" or (is_given(wire.error) and not kind.startswith("response.")):
            self._complete = True
            return LLMResponse(kind=EventKind.ERROR, error=read_error_event(event.data or b""))
        if not kind.startswith("response."):
            return LLMResponse()
        self._is_answer = True
        read = _READERS.get(kind)
        if read is not None:
            return _content(read(self, wire), wire)
        if is_object(wire.response):
            return self._life(kind, wire)
        return LLMResponse()

    def _life(self, kind: str, wire: StreamEvent) -> LLMResponse:
        """An event that tells how the whole response fares."""
        response = read_response(bytes(wire.response))
        chunk = head_of(response)
        chunk.usage = decode_usage(response.usage)
        if kind == "response.created":
            if self._complete:
                self._answer = AnswerReader(self._answer.next_index)
                self._complete = False
            chunk.choices = [Choice(delta=Delta(role="assistant"))]
        elif kind in ("response.completed", "response.incomplete"):
            self._complete = True
            chunk.kind = EventKind.DONE
            answer = self._answer
            parts = answer.read_output(response.output or [])
            self._count_opaque()
            reason = response.incomplete_details.reason if response.incomplete_details is not None else None
            status = kind.removeprefix("response.")
            chunk.choices = [
                Choice(
                    delta=Delta(content=parts),
                    finish_reason=finish_reason_of(status, reason, has_calls=answer.has_calls),
                    native_finish_reason=reason or status,
                )
            ]
        elif kind == "response.failed":
            self._complete = True
            chunk.kind = EventKind.ERROR
            chunk.error = failure_of(response.error)
        return chunk

    # -- content ------------------------------------------------------------------------------------------------------

    def item_added(self, wire: StreamEvent) -> list[Part]:
        return self._answer.item(wire.output_index).begin(wire.item) if is_given(wire.item) else []

    def item_done(self, wire: StreamEvent) -> list[Part]:
        parts = self._answer.item(wire.output_index).read_whole(wire.item) if is_given(wire.item) else []
        self._count_opaque()
        return parts

    def content_part_done(self, wire: StreamEvent) -> list[Part]:
        part = wire.part
        return self._answer.item(wire.output_index).content(wire.content_index, part) if part is not None else []

    def annotation_added(self, wire: StreamEvent) -> list[Part]:
        raw = wire.annotation
        return [self._answer.item(wire.output_index).annotation(wire.content_index, raw)] if raw is not None else []

    def delta(self, kind: PieceKind, place: int, wire: StreamEvent) -> list[Part]:
        delta = wire.delta
        return [self._answer.item(wire.output_index).delta(kind, place, delta)] if isinstance(delta, str) else []

    def done(self, kind: PieceKind, place: int, whole: str | None, wire: StreamEvent) -> list[Part]:
        return self._answer.item(wire.output_index).done(kind, place, whole)

    def _count_opaque(self) -> None:
        self.dropped_blocks += self._answer.opaque
        self._answer.opaque = 0


_Decoder = ResponsesStreamDecoder
_READERS: dict[str, Callable[[_Decoder, StreamEvent], list[Part]]] = {
    "response.output_text.delta": lambda d, e: d.delta("output_text", e.content_index, e),
    "response.refusal.delta": lambda d, e: d.delta("refusal", e.content_index, e),
    "response.reasoning_text.delta": lambda d, e: d.delta("reasoning_text", e.content_index, e),
    "response.reasoning_summary_text.delta": lambda d, e: d.delta("summary_text", e.summary_index, e),
    "response.function_call_arguments.delta": lambda d, e: d.delta("call", 0, e),
    "response.custom_tool_call_input.delta": lambda d, e: d.delta("call", 0, e),
    "response.output_text.done": lambda d, e: d.done("output_text", e.content_index, e.text, e),
    "response.refusal.done": lambda d, e: d.done("refusal", e.content_index, e.refusal, e),
    "response.reasoning_text.done": lambda d, e: d.done("reasoning_text", e.content_index, e.text, e),
    "response.reasoning_summary_text.done": lambda d, e: d.done("summary_text", e.summary_index, e.text, e),
    "response.function_call_arguments.done": lambda d, e: d.done("call", 0, text_of_arguments(e.arguments), e),
    "response.custom_tool_call_input.done": lambda d, e: d.done("call", 0, e.input, e),
    "response.output_text.annotation.added": _Decoder.annotation_added,
    "response.content_part.done": _Decoder.content_part_done,
    "response.output_item.added": _Decoder.item_added,
    "response.output_item.done": _Decoder.item_done,
}
"""What reads the events that add to the answer's content. Of the others only those of the whole response matter."""


def _content(parts: list[Part], wire: StreamEvent) -> LLMResponse:
    if not parts:
        return LLMResponse()
    # Repeated whole with the text's end, where they add nothing.
    logprobs = {"content": wire.logprobs} if wire.logprobs and wire.delta is not None else None
    return LLMResponse(choices=[Choice(delta=Delta(content=parts), logprobs=logprobs)])
