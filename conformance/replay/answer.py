"""`Answer` and `Piece`: what passes between faults, deliveries, framings and the server. Does no I/O."""

from __future__ import annotations

import msgspec

from providers.replay.events import EVENT_STREAM, has_data, split_events
from providers.replay.recording import Recording, Timing


class Piece(msgspec.Struct, frozen=True):
    """Bytes that are written at once, after a delay."""

    data: bytes
    delay: float = 0.0
    """Seconds to wait before the write."""


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
    def is_event_stream(self) -> bool:
        """Whether the body is server-sent events."""
        return self.content_type == EVENT_STREAM

    @property
    def blocks(self) -> list[bytes]:
        """The body cut at its events' ends, comments included; one block if it has no events."""
        return split_events(self.body, self.content_type)

    def event_offsets(self) -> list[int]:
        """Where each event begins, and, last, where the last one ends. Comments belong to the event after them."""
        offsets = [0]
        position = 0
        for block in self.blocks:
            position += len(block)
            if not self.is_event_stream or has_data(block):
                offsets.append(position)
        return offsets

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
