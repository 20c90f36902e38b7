"""Streamed answers in: lines of JSON to chunks. No I/O; imports the model, the errors and the line decoder.

One line is one chunk:

| line | kind |
|---|---|
| blank | KEEP_ALIVE |
| `"done": true`, the last one | DONE, with finish reason and usage, and what else it says |
| with an `error` | ERROR |
| any other object | CHUNK |
| no JSON object | left out, counted in `skipped` |
"""

from __future__ import annotations

import logging

from providers.errors import BadResponseError
from providers.model import Choice, Delta, EventKind, LLMResponse, RawBody
from providers.wire.json_text import UNREADABLE
from providers.wire.lenient import LenientReader
from providers.wire.ndjson import Line, NDJSONDecoder
from providers.wire.ollama_chat.answer_reader import AnswerReader, created_of, usage_of
from providers.wire.ollama_chat.errors import error_info
from providers.wire.ollama_chat.structs import ANSWER, API, Answer
from providers.wire.sse import is_utf8

logger = logging.getLogger("triway.wire")


class OllamaStreamDecoder:
    """See `StreamDecoder`. One for each streamed body."""

    __slots__ = ("_answer", "_any", "_complete", "_lines", "_reader", "dropped_blocks", "skipped")

    def __init__(self) -> None:
        self.skipped = 0
        self.dropped_blocks = 0
        self._lines = NDJSONDecoder()
        self._reader = LenientReader()
        self._answer = AnswerReader()
        self._any = False
        self._complete = False

    def feed(self, data: bytes) -> list[LLMResponse]:
        chunks: list[LLMResponse] = []
        for line in self._lines.feed(data):
            chunk = self._decode(line)
            if chunk is not None:
                chunks.append(chunk)
            else:
                self.skipped += 1
                logger.warning("malformed %s event skipped (%d bytes)", API, len(line.raw))
        return chunks

    def eof(self) -> list[LLMResponse]:
        chunks: list[LLMResponse] = []
        line = self._lines.eof()
        if line is not None:
            was_complete = self._complete
            chunk = self._decode(line)
            if chunk is not None:
                chunks.append(chunk)
            elif not was_complete:
                raise BadResponseError("the provider's stream ended in the middle of an event")
        if self._complete:
            return chunks
        if not self._any:
            raise BadResponseError("the provider's stream ended without any event")
        raise BadResponseError("the provider's stream ended before the answer was complete")

    def _decode(self, line: Line) -> LLMResponse | None:
        """The line as a chunk; None if it is malformed."""
        raw = RawBody(API, line.raw)
        if not line.data:
            return LLMResponse(kind=EventKind.KEEP_ALIVE, raw=raw)
        if not is_utf8(line.data):
            return None
        try:
            wire = self._reader.decode(line.data, ANSWER)
        except (*UNREADABLE, ValueError):
            return None
        self._any = True
        chunk = self._read(wire)
        self._reader.join(chunk)
        chunk.raw = raw
        return chunk

    def _read(self, wire: Answer) -> LLMResponse:
        if wire.error is not None:
            self._complete = True
            return LLMResponse(kind=EventKind.ERROR, error=error_info(wire.error))
        choice = Choice(delta=Delta(role="assistant" if wire.message is not None else None))
        assert choice.delta is not None
        choice.delta.content = self._answer.read(wire)
        choice.logprobs = {"content": wire.logprobs} if wire.logprobs else None
        chunk = LLMResponse(created=created_of(wire), model=wire.model or "")
        if wire.done:
            self._complete = True
            chunk.kind = EventKind.DONE
            chunk.usage = usage_of(wire)
            choice.finish_reason = self._answer.finish_reason(wire)
            choice.native_finish_reason = wire.done_reason
        if wire.message is not None or wire.done:
            chunk.choices = [choice]
        return chunk
