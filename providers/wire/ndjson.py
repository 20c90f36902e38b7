"""Incremental decoder for JSON documents, one a line (https://github.com/ndjson/ndjson-spec). Does no I/O.

It cuts at LF and nowhere else, so any split of the input gives the same lines and no character is cut. Nothing is lost:
the `raw` of all lines, with what `eof` returns, joined, is the input. Cost is linear.
"""

from __future__ import annotations

import msgspec

from providers.errors import OversizedEventError
from providers.wire.sse import MAX_EVENT_BYTES


class Line(msgspec.Struct, gc=False):
    """One line."""

    data: bytes
    """Without white space around it; empty: a blank line, which says nothing."""
    raw: bytes
    """As it came, its line end included."""


class NDJSONDecoder:
    """Feed it bytes as they arrive; it returns the lines that are complete.

    `feed` raises `OversizedEventError` for a line longer than `max_line_bytes`: at once if no line came before it in
    the same bytes, else at the next call, so that no line is lost. The decoder is of no use after that.
    """

    __slots__ = ("_buffer", "_failed", "_max", "_scanned")

    def __init__(self, max_line_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        """Up to here the buffer is known to hold no line end."""
        self._max = max_line_bytes
        self._failed = False

    @property
    def pending(self) -> bytes:
        """Bytes of a line that is not complete yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Line]:
        """Take in the next bytes and return the lines that they complete."""
        if self._failed:
            raise OversizedEventError(self._max)
        buffer = self._buffer
        buffer += data
        lines: list[Line] = []
        start = 0
        while (end := buffer.find(b"\n", max(start, self._scanned)) + 1) and end - start <= self._max:
            raw = bytes(buffer[start:end])
            lines.append(Line(raw.strip(), raw))
            start = end
        del buffer[:start]
        self._scanned = len(buffer)
        if end or len(buffer) > self._max:
            self._failed = True
            if not lines:
                raise OversizedEventError(self._max)
        return lines

    def eof(self) -> Line | None:
        """The stream is over: return the last line if it had no line end, else None."""
        if self._failed:
            raise OversizedEventError(self._max)
        raw = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return Line(raw.strip(), raw) if raw else None
