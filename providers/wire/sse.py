"""Incremental decoder for server-sent events. Bytes in, events out; no I/O.

Follows the WHATWG event-stream rules (https://html.spec.whatwg.org/multipage/server-sent-events.html, "Interpreting an
event stream"): lines end in LF, CR or CRLF; a BOM is dropped once at the start; a line that begins with a colon is a
comment; several data lines are joined by LF; one space after the colon is dropped; a line without a colon is a field
with an empty value; an `id` with a NUL is ignored; `retry` counts only if it is all digits.

Two rules of this file:
* It works on bytes and cuts only at line ends, so a UTF-8 sequence is never cut and any split of the input gives the
  same events.
* Nothing is lost: the `raw` of all events, with what `eof` returns, joined, is the input byte for byte.

Cost is linear. A stream in the form that every provider writes (LF, one data line) takes a short way.
"""

from __future__ import annotations

import re

import msgspec

from providers.errors import OversizedEventError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The default limit for one event, its framing included."""

_BOM = b"\xef\xbb\xbf"

# A block ends at a blank line: a line end right after a line end. A CR that is the last byte so far may be half of a
# CRLF, so it counts only when the next byte is known, with one exception: after a bare CR the stream's style is plain,
# and waiting would hold an event back. Should an LF follow that CR after all, it belongs to the next block's raw.
_BLOCK_END = re.compile(rb"(?:\r\n|\n)(?:\r\n|\n|\r(?=[^\n]))|\r\r")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class SSEvent(msgspec.Struct, gc=False):
    """One block of the stream: what stands between two blank lines."""

    data: bytes | None
    """The data lines, joined by LF. None: the block has none (a comment, a lone `retry`), so it is no event."""
    raw: bytes
    """The block's bytes as they came, its blank line included."""
    name: str = ""
    """The `event` field; empty: not given, which the standard reads as `message`."""
    id: str | None = None
    """The `id` field of this block, if it has one."""
    retry: int | None = None
    """The `retry` field in ms."""


def is_utf8(data: bytes) -> bool:
    """Whether `data` is valid UTF-8. JSON decoders skip over the strings that nobody asked for; this does not."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class SSEDecoder:
    """Feed it bytes as they arrive; it returns the events that are complete.

    `feed` raises `OversizedEventError` when a block grows past `max_event_bytes`: at once if no event came before it in
    the same bytes, else at the next call, so that no event is lost. The decoder is of no use after that.
    """

    __slots__ = ("_any_cr", "_buffer", "_failed", "_max", "_scanned", "_skip_lf", "_started")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        """Up to here the buffer is known to hold no blank line."""
        self._max = max_event_bytes
        self._started = False
        """Whether the first block, which may begin with a BOM, is over."""
        self._any_cr = False
        self._failed = False
        self._skip_lf = False
        """The last block ended in a bare CR: an LF that comes now is the rest of that line end."""

    @property
    def pending(self) -> bytes:
        """Bytes of a block that is not complete yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[SSEvent]:
        """Take in the next bytes and return the events that they complete."""
        if self._failed:
            raise OversizedEventError(self._max)
        if not self._any_cr and b"\r" in data:
            self._any_cr = True
        if self._any_cr:
            return self._feed_any(data)
        buffer = self._buffer
        if not buffer:
            return self._cut_lf(data)
        buffer += data
        if buffer.find(b"\n\n", self._scanned) < 0:
            self._wait(len(buffer), [])
            return []
        whole = bytes(buffer)
        buffer.clear()
        self._scanned = 0
        return self._cut_lf(whole)

    # `feed` in two steps, for who has a faster way to read many simple blocks than event by event.

    def feed_blocks(self, data: bytes) -> list[bytes] | None:
        """Take in the next bytes and return the blocks that they complete, without their blank lines.

        `event_of` gives the event of each. None: nothing was taken in, because no block is complete, or because the
        bytes are not simple (a CR, no UTF-8, near the limit): `feed` them.
        """
        buffer = self._buffer
        end = data.rfind(b"\n\n") + 2
        if end < 2 or self._any_cr or self._failed or b"\r" in data or len(buffer) + len(data) > self._max:
            return None
        whole = data[: end - 2]
        if buffer:
            whole = bytes(buffer) + whole
        # Of three line ends in a row the first two are the blank line, and the third begins the next block.
        if whole.endswith(b"\n") or not is_utf8(whole):
            return None
        buffer[:] = data[end:]
        self._scanned = max(0, len(buffer) - 1)
        return whole.split(b"\n\n")

    def event_of(self, block: bytes) -> SSEvent:
        """The event of a block that `feed_blocks` returned. Blocks must be asked for in order."""
        return self._read_lf(block + b"\n\n")

    def eof(self) -> SSEvent | None:
        """The stream is over: return the last block if it had no blank line after it, else None.

        The standard drops such a block; SDKs take it. Whether it is whole is for the wire's decoder to say.
        """
        if self._failed:
            raise OversizedEventError(self._max)
        if not self._buffer:
            return None
        raw = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return self._parse(raw)

    def _wait(self, size: int, events: list[SSEvent]) -> None:
        if size > self._max:
            self._oversized(events)
        self._scanned = max(0, size - 1)

    def _oversized(self, events: list[SSEvent]) -> None:
        self._failed = True
        if not events:
            raise OversizedEventError(self._max)

    def _cut_lf(self, data: bytes) -> list[SSEvent]:
        """Cut `data`, which begins a block and has no CR, at its blank lines; keep the rest."""
        events: list[SSEvent] = []
        start = 0
        limit = self._max
        while (end := data.find(b"\n\n", start) + 2) > 1:
            if end - start > limit:
                self._oversized(events)
                return events
            events.append(self._read_lf(data[start:end]))
            start = end
        if start < len(data):
            self._buffer += data[start:] if start else data
            self._wait(len(data) - start, events)
        return events

    def _read_lf(self, raw: bytes) -> SSEvent:
        """The event of a block without CR; `raw` ends in its blank line."""
        if raw.startswith(b"data: ") and raw.find(b"\n", 6) == len(raw) - 2:
            self._started = True
            return SSEvent(raw[6:-2], raw)
        if (
            raw.startswith(b"event: ")
            and raw.startswith(b"data: ", line := raw.find(b"\n") + 1)
            and raw.find(b"\n", line) == len(raw) - 2
        ):
            self._started = True
            return SSEvent(raw[line + 6 : -2], raw, raw[7 : line - 1].decode(errors="replace"))
        return self._parse(raw)

    def _feed_any(self, data: bytes) -> list[SSEvent]:
        events: list[SSEvent] = []
        buffer = self._buffer
        buffer += data
        start = 0
        scan = self._scanned
        while True:
            if self._skip_lf and start < len(buffer):
                # Not a line end of this block: keep the search for its blank line clear of it.
                if buffer[start] == 0x0A:
                    scan = max(scan, start + 1)
                else:
                    self._skip_lf = False
            found = _BLOCK_END.search(buffer, max(scan, start))
            if found is None:
                break
            raw = bytes(buffer[start : found.end()])
            if len(raw) > self._max:
                self._oversized(events)
                return events
            events.append(self._parse(raw))
            self._skip_lf = raw.endswith(b"\r\r")
            start = scan = found.end()
        del buffer[:start]
        self._wait(len(buffer), events)
        # A blank line is at most four bytes: look at the last three again when more has come.
        self._scanned = max(0, len(buffer) - 3)
        return events

    def _parse(self, raw: bytes) -> SSEvent:
        block = raw
        if not self._started:
            self._started = True
            block = block.removeprefix(_BOM)
        if self._skip_lf and block.startswith(b"\n"):
            block = block[1:]
        self._skip_lf = False
        event = SSEvent(None, raw)
        lines: list[bytes] = []
        for line in _LINE_END.split(block) if self._any_cr else block.split(b"\n"):
            name, _, value = line.partition(b":")
            if value.startswith(b" "):
                value = value[1:]
            if name == b"data":
                lines.append(value)
            elif name == b"event":
                event.name = value.decode(errors="replace")
            elif name == b"id":
                if b"\0" not in value:
                    event.id = value.decode(errors="replace")
            elif name == b"retry" and value.isdigit():
                event.retry = int(value)
        if lines:
            event.data = lines[0] if len(lines) == 1 else b"\n".join(lines)
        return event
