"""`Answer` and `Piece`: what passes between faults, deliveries, framings and the server. Does no I/O."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from conformance.facts import UNREADABLE
from conformance.wires import WIRES, Event, WireFormat
from conformance.wires.framings import FRAMINGS, EventFraming
from providers.replay.recording import Recording, Timing

_MOST_SPOKEN = "openai-chat"


class Piece(msgspec.Struct, frozen=True):
    """Bytes that are written at once, after a delay."""

    data: bytes
    delay: float = 0.0
    """Seconds to wait before the write."""


class Part(msgspec.Struct, frozen=True):
    """A piece of a body, as its framing cuts it."""

    data: bytes
    start: int
    """Its place in the body."""
    event: Event | None
    """None: a comment."""
    finishes: bool
    """It says why the answer ended; from there on the answer may be called whole."""
    terminates: bool

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP response before it is cut, framed and written."""

    status: int = 200
    headers: dict[str, str] = {}
    """Without those that the framing adds (`content-length`, `transfer-encoding`, `content-encoding`)."""
    body: bytes = b""
    api: str = ""
    """The wire format, for faults that speak it."""
    timing: Timing | None = None

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def framing(self) -> EventFraming | None:
        """How the body is cut into events. None: it is one document."""
        return FRAMINGS.get(self.content_type)

    @property
    def wire(self) -> WireFormat:
        """The API's; of an API that is not known, OpenAI's, which most vendors speak."""
        return WIRES.get(self.api, WIRES[_MOST_SPOKEN])

    @property
    def parts(self) -> tuple[Part, ...]:
        """The body cut at its events' ends, comments included; one part if it has no events."""
        return _parts_of(self.body, self.content_type, self.wire.api)

    @property
    def blocks(self) -> list[bytes]:
        """The data of `parts`."""
        return [part.data for part in self.parts]

    @property
    def complete_at(self) -> int:
        """The offset in the body from which on it says that it is whole; -1: nowhere.

        It is where the last terminator ends; in an API without, where the finish reason does.
        """
        if self.framing is None:
            return -1
        if self.wire.terminator is None:
            return next((part.end for part in self.parts if part.finishes), -1)
        return max((part.end for part in self.parts if part.terminates), default=-1)

    def event_offsets(self) -> list[int]:
        """Where each event begins, and, last, where the last one ends. Comments belong to the event after them."""
        return [0, *(part.end for part in self.parts if self.framing is None or part.event is not None)]

    @classmethod
    def of(cls, recording: Recording) -> Answer:
        response = recording.response
        return cls(
            status=response.status,
            headers=response.headers,
            body=response.body,
            api=recording.api,
            timing=recording.timing,
        )


@lru_cache(maxsize=16)
def _parts_of(body: bytes, content_type: str, api: str) -> tuple[Part, ...]:
    framing, wire = FRAMINGS.get(content_type), WIRES[api]
    if framing is None:
        return (Part(body, 0, None, finishes=False, terminates=False),) if body else ()
    parts: list[Part] = []
    start = 0
    for block in framing.split(body):
        event = next(iter(framing.read(block)), None) if framing.is_event(block) else None
        finishes = event is not None and finishes_answer(wire, event)
        terminates = event is not None and wire.is_terminator(event)
        parts.append(Part(block, start, event, finishes=finishes or terminates, terminates=terminates))
        start += len(block)
    return tuple(parts)


def finishes_answer(wire: WireFormat, event: Event) -> bool:
    """`wire.finishes` of any event, also of one that has not the API's shape."""
    try:
        return wire.finishes(event)
    except UNREADABLE:
        return False  # an event of no shape says nothing, not even that
