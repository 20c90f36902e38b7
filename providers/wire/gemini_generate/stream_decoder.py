"""The streamed answer of a Gemini provider (`alt=sse`), as chunks of the model. Does no I/O.

One wire event is one chunk. What an event is:

| event | kind |
|---|---|
| no data (a comment, a lone field) | KEEP_ALIVE |
| an `error` member | ERROR |
| any other JSON (also what is no event of an answer at all) | CHUNK |
| not JSON | left out, counted in `skipped` |

The wire has no terminator. An answer is whole when every candidate has its finish reason, or the prompt was blocked,
and the body ended well. Nothing here is made from clocks or chance: the same bytes give the same chunks, however split.
"""

from __future__ import annotations

import logging

from providers.errors import BadResponseError
from providers.model import EventKind, LLMResponse, RawBody
from providers.wire.gemini_generate.answer_reader import AnswerReader, decode_body
from providers.wire.gemini_generate.errors import read_error_event
from providers.wire.gemini_generate.structs import API, given
from providers.wire.sse import SSEDecoder, SSEvent, is_utf8
from providers.wire.surrogates import SurrogateJoiner

_log = logging.getLogger("triway.wire")


class GeminiStreamDecoder:
    """Implements `providers.wire.base.StreamDecoder`. One for each streamed body."""

    __slots__ = ("_answer", "_any", "_failed", "_halves", "_is_answer", "_sse", "dropped_blocks", "skipped")

    def __init__(self) -> None:
        self.skipped = 0
        self.dropped_blocks = 0
        self._sse = SSEDecoder()
        self._answer = AnswerReader()
        self._halves = SurrogateJoiner()
        self._any = False
        """Whether there was any event."""
        self._is_answer = False
        """Whether any event belonged to an answer: only then can its end be missing."""
        self._failed = False

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
            was_complete = self._answer.complete
            chunk = self._read(event)
            if chunk is not None:
                chunks.append(chunk)
            elif not was_complete:
                raise BadResponseError("the provider's stream was cut off in the middle of an event")
        if not self._any:
            raise BadResponseError("the provider's stream ended without any event")
        if self._is_answer and not (self._answer.complete or self._failed):
            raise BadResponseError("the provider's stream ended before the answer was complete")
        return chunks

    def _read(self, event: SSEvent) -> LLMResponse | None:
        """The event as a chunk; None if it is malformed."""
        data = event.data
        raw = RawBody(API, event.raw)
        if not data:
            return LLMResponse(kind=EventKind.KEEP_ALIVE, raw=raw)
        self._any = True
        try:
            chunk = self._decode(data)
        except (ValueError, RecursionError):
            self.skipped += 1
            _log.warning("skipped a malformed event of %d bytes in a provider's stream", len(event.raw))
            return None
        chunk.raw = raw
        return chunk

    def _decode(self, data: bytes) -> LLMResponse:
        if not is_utf8(data):
            raise ValueError("not UTF-8")
        wire, halves = decode_body(data)
        if wire is None:
            return LLMResponse()
        if given(wire.error):
            self._failed = True
            return LLMResponse(kind=EventKind.ERROR, error=read_error_event(data))
        chunk = self._answer.read(wire, data)
        self._is_answer = self._is_answer or wire.is_answer
        self.dropped_blocks += self._answer.take_opaque()
        if halves or self._halves:
            self._halves.join(chunk)
        return chunk
