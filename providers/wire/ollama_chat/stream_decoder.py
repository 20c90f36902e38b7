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

from providers.model import Choice, Delta, EventKind, LLMResponse
from providers.wire.event_decoder import EventDecoder
from providers.wire.ndjson import Line, NDJSONDecoder
from providers.wire.ollama_chat.answer_reader import AnswerReader, created_of, usage_of
from providers.wire.ollama_chat.errors import error_info
from providers.wire.ollama_chat.structs import ANSWER, API
from providers.wire.sse import is_utf8


class OllamaStreamDecoder(EventDecoder[Line]):
    """See `StreamDecoder`. One for each streamed body."""

    api = API

    def __init__(self) -> None:
        super().__init__(NDJSONDecoder())
        self._answer = AnswerReader()

    def read(self, event: Line) -> LLMResponse | None:
        if not event.data:
            return LLMResponse(kind=EventKind.KEEP_ALIVE)
        if not is_utf8(event.data):
            return None
        wire = self.reader.decode(event.data, ANSWER)
        if wire.error is not None:
            return LLMResponse(kind=EventKind.ERROR, error=error_info(wire.error))
        delta = Delta(role="assistant" if wire.message is not None else None, content=self._answer.read(wire))
        choice = Choice(delta=delta, logprobs={"content": wire.logprobs} if wire.logprobs else None)
        chunk = LLMResponse(created=created_of(wire), model=wire.model or "")
        if wire.done:
            chunk.kind = EventKind.DONE
            chunk.usage = usage_of(wire)
            choice.finish_reason = self._answer.finish_reason(wire)
            choice.native_finish_reason = wire.done_reason
        if wire.message is not None or wire.done:
            chunk.choices = [choice]
        return chunk
