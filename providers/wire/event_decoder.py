"""`EventDecoder`: what the stream decoders of most wires have in common, whatever frames their events. Does no I/O.

A subclass reads one event at a time; this does the rest of `StreamDecoder`: one event is one chunk with the event's own
bytes, what cannot be read is skipped and counted, and the end of the body is held against what has come.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from providers.errors import BadResponseError
from providers.model import EventKind, LLMResponse, RawBody
from providers.wire.json_text import UNREADABLE
from providers.wire.lenient import LenientReader

logger = logging.getLogger("triway.wire")


class Framed(Protocol):
    """An event, with the bytes that it came in."""

    @property
    def raw(self) -> bytes: ...


E = TypeVar("E", bound=Framed)
E_co = TypeVar("E_co", bound=Framed, covariant=True)


class Framing(Protocol[E_co]):
    """Cuts bytes into events: `SSEDecoder` and its like."""

    @property
    def pending(self) -> bytes:
        """What has come of an event that is not complete yet."""
        ...

    def feed(self, data: bytes) -> Sequence[E_co]: ...

    def eof(self) -> E_co | None:
        """The last event, if it may go without its end."""
        ...


class EventDecoder(ABC, Generic[E]):
    """Base of stream decoders. An answer is complete with its finish reason, its terminator, or an error."""

    api: ClassVar[str]

    def __init__(self, framing: Framing[E]) -> None:
        self.skipped = 0
        self.dropped_blocks = 0
        self.reader = LenientReader()
        """For the subclass to decode events with."""
        self._framing = framing
        self._any = False
        """Whether there was any event that is not just a sign of life."""
        self._complete = False

    @abstractmethod
    def read(self, event: E) -> LLMResponse | None:
        """The event as a chunk. None, or what msgspec raises, or ValueError: it is malformed."""

    def feed(self, data: bytes) -> list[LLMResponse]:
        chunks: list[LLMResponse] = []
        for event in self._framing.feed(data):
            chunk = self._decode(event)
            if chunk is not None:
                chunks.append(chunk)
            else:
                self.skipped += 1
                logger.warning("malformed %s event skipped (%d bytes)", self.api, len(event.raw))
        return chunks

    def eof(self) -> list[LLMResponse]:
        is_cut = bool(self._framing.pending)
        event = self._framing.eof()
        chunk = self._decode(event) if event is not None else None
        if self._complete:
            return [chunk] if chunk is not None else []
        if is_cut and chunk is None:
            raise BadResponseError("the provider's stream ended in the middle of an event")
        if not self._any:
            raise BadResponseError("the provider's stream ended without any event")
        raise BadResponseError("the provider's stream ended before the answer was complete")

    def _decode(self, event: E) -> LLMResponse | None:
        try:
            chunk = self.read(event)
        except (*UNREADABLE, ValueError):
            return None
        if chunk is None:
            return None
        if chunk.kind is not EventKind.KEEP_ALIVE:
            self._any = True
        if chunk.kind in (EventKind.DONE, EventKind.ERROR) or any(choice.finish_reason for choice in chunk.choices):
            self._complete = True
        self.reader.join(chunk)
        chunk.raw = RawBody(self.api, event.raw)
        return chunk
