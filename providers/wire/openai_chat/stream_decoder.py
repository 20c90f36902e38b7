"""The streamed answer of a provider that speaks OpenAI Chat Completions, as chunks of the model. Does no I/O.

One wire event is one chunk. What an event is:

| event | kind |
|---|---|
| no data (a comment, OpenRouter's `: OPENROUTER PROCESSING`) | KEEP_ALIVE |
| `[DONE]` | DONE |
| `event: error`, an `error` member, or `object: error` | ERROR |
| no choices, but usage | USAGE |
| any other JSON (also what is no chat chunk at all) | CHUNK |
| not JSON | left out, counted in `skipped` |

Two rules of this file: whatever is JSON goes on in `raw`, understood or not; and the same bytes give the same chunks,
however they are split, so nothing here is made from clocks or chance.
"""

from __future__ import annotations

import logging
from typing import ClassVar

import msgspec

from providers.errors import BadResponseError
from providers.model import (
    Choice,
    Delta,
    ErrorInfo,
    EventKind,
    LLMResponse,
    RawBody,
    Usage,
)
from providers.model.text_run import TextRun
from providers.wire.lenient import decode_leniently
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.choice_reader import ChoiceReader
from providers.wire.openai_chat.errors import read_error_event
from providers.wire.openai_chat.finish import matched_stop, normal_finish_reason
from providers.wire.openai_chat.response_structs import EVENT, NO_RAW, ChatChoice, ChatEvent
from providers.wire.openai_chat.text_run import read_text_run
from providers.wire.openai_chat.usage import decode_usage
from providers.wire.run_decoder import EventRunDecoder
from providers.wire.sse import SSEvent, is_utf8
from providers.wire.surrogates import SurrogateJoiner

_log = logging.getLogger("triway.wire")

_NO_ERROR = (NO_RAW, msgspec.Raw(b"null"))


class ChatStreamDecoder(EventRunDecoder):
    """Implements `providers.wire.base.StreamDecoder`, with a fast lane."""

    api: ClassVar[str] = API
    """The API whose own bytes `raw` holds."""

    __slots__ = ("_any", "_complete", "_halves", "_is_chat", "_readers", "dropped_blocks", "skipped")

    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[int, ChoiceReader] = {}
        self._halves = SurrogateJoiner()
        self._any = False
        """Whether there was any event."""
        self._is_chat = False
        """Whether any event was a chunk of a chat: only then can its end be missing."""
        self._complete = False
        """`[DONE]`, a finish reason or an error has come."""
        self.skipped = 0
        """Malformed events so far."""
        self.dropped_blocks = 0
        """Blocks so far that the model could only carry as opaque parts."""

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
        if self._is_chat and not self._complete:
            raise BadResponseError("the provider's stream ended before the answer was complete")
        return chunks

    def _read(self, event: SSEvent) -> LLMResponse | None:
        data = event.data
        raw = RawBody(self.api, event.raw)
        if not data:
            return LLMResponse(kind=EventKind.KEEP_ALIVE, raw=raw)
        self._any = True
        if not is_utf8(data):
            return self._malformed(event, raw)
        halves = False
        if data.startswith(b"[DONE]"):
            self._complete = True
            return LLMResponse(kind=EventKind.DONE, raw=raw)
        try:
            wire: ChatEvent | None = EVENT.decode(data)
        except (ValueError, RecursionError):
            try:
                wire = decode_leniently(data, EVENT)
                halves = True
            except ValueError:
                return self._malformed(event, raw)
        if event.name == "error" or (wire is not None and (wire.error not in _NO_ERROR or wire.object == "error")):
            error = read_error_event(data)
            if error is not None:
                self._complete = True
                return self._chunk(wire or ChatEvent(), EventKind.ERROR, raw, error)
        chunk = self._chunk(wire or ChatEvent(), EventKind.CHUNK, raw, None)
        if halves or self._halves:
            self._halves.join(chunk)
        return chunk

    def _read_run(self, blocks: list[bytes], start: int) -> TextRun | None:
        return None if self._halves else read_text_run(blocks, start, self._readers[0].text_index(), self.api)

    def _malformed(self, event: SSEvent, raw: RawBody) -> LLMResponse | None:
        if event.name == "error":
            self._complete = True
            return LLMResponse(kind=EventKind.ERROR, raw=raw, error=read_error_event(event.data or b""))
        self.skipped += 1
        _log.warning("skipped a malformed event of %d bytes in a provider's stream", len(event.raw))
        return None

    def _chunk(self, wire: ChatEvent, kind: EventKind, raw: RawBody, error: ErrorInfo | None) -> LLMResponse:
        usage = self._usage(wire)
        choices: list[Choice] = []
        if wire.choices:
            self._is_chat = True
            for choice in wire.choices:
                choices.append(self._choice(choice, wire.citations))
        elif wire.choices is not None:
            if wire.object == "chat.completion.chunk":
                self._is_chat = True
            if usage is not None and kind is EventKind.CHUNK:
                kind = EventKind.USAGE
        return LLMResponse(
            id=wire.id or "",
            object=wire.object or "chat.completion.chunk",
            created=int(wire.created or 0),
            model=wire.model or "",
            choices=choices,
            usage=usage,
            system_fingerprint=wire.system_fingerprint,
            service_tier=wire.service_tier,
            kind=kind,
            error=error,
            raw=raw,
        )

    def _usage(self, wire: ChatEvent) -> Usage | None:
        if wire.usage != NO_RAW and (usage := decode_usage(wire.usage)) is not None:
            return usage
        if wire.x_groq is not None and wire.x_groq.usage != NO_RAW:
            return decode_usage(wire.x_groq.usage)
        for choice in wire.choices or ():
            if choice.usage != NO_RAW and (usage := decode_usage(choice.usage)) is not None:
                return usage
        return None

    def _choice(self, wire: ChatChoice, sources: list[str] | None) -> Choice:
        index = wire.index or 0
        reader = self._readers.get(index)
        if reader is None:
            reader = self._readers[index] = ChoiceReader()
        message = wire.delta or wire.message
        delta = Delta()
        if message is not None:
            if message.role == "assistant":
                delta.role = "assistant"
            delta.content = reader.read(message)
            if reader.opaque:
                self.dropped_blocks += reader.opaque
                reader.opaque = 0
        elif wire.text:
            delta.content = reader.read_text(wire.text)
        if sources:
            reader.read_sources(sources, delta.content)
        choice = Choice(index=index, delta=delta, logprobs=wire.logprobs)
        # An empty string is what careless proxies send for null.
        if wire.finish_reason:
            self._complete = True
            choice.finish_reason = normal_finish_reason(wire.finish_reason)
            choice.native_finish_reason = wire.finish_reason
            choice.stop_sequence = matched_stop(choice.finish_reason, wire.stop_reason, wire.matched_stop)
        return choice
