"""The stream decoder of providers that have no wire format of their own: server-sent events, each through a function.

Does no I/O.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from providers.errors import BadResponseError
from providers.model import EventKind, LLMResponse
from providers.wire.sse import MAX_EVENT_BYTES, SSEDecoder, SSEvent

log = logging.getLogger("triway.provider")


class EventStreamDecoder:
    """Server-sent events, each through a provider's `chunk_in`."""

    def __init__(self, chunk_in: Callable[[SSEvent], LLMResponse | None]) -> None:
        self._sse = SSEDecoder(MAX_EVENT_BYTES)
        self._chunk_in = chunk_in
        self._complete = False
        self.skipped = 0
        self.dropped_blocks = 0

    def feed(self, data: bytes) -> list[LLMResponse]:
        return self._chunks(self._sse.feed(data))

    def eof(self) -> list[LLMResponse]:
        cut = self._sse.pending
        last = self._sse.eof()
        chunks = self._chunks([last]) if last is not None else []
        if cut.strip() and not chunks and not self._complete:
            raise BadResponseError("the provider's stream was cut in the middle of an event")
        if not self._complete:
            raise BadResponseError("the provider's stream ended before the answer was complete")
        return chunks

    def _chunks(self, events: Iterable[SSEvent]) -> list[LLMResponse]:
        chunks: list[LLMResponse] = []
        for event in events:
            if event.data is None:
                chunks.append(LLMResponse(kind=EventKind.KEEP_ALIVE))
                continue
            try:
                chunk = self._chunk_in(event)
            except (ValueError, LookupError, TypeError, AttributeError):
                # Not JSON, or JSON of another shape than the function reads.
                self.skipped += 1
                log.warning("skipped a malformed event of %d bytes", len(event.raw))
                continue
            if chunk is None:
                continue
            if chunk.kind is not EventKind.CHUNK or any(choice.finish_reason for choice in chunk.choices):
                self._complete = self._complete or (
                    chunk.kind is not EventKind.KEEP_ALIVE and chunk.kind is not EventKind.USAGE
                )
            chunks.append(chunk)
        return chunks
