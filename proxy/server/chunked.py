"""Decodes a chunked request body: bytes in, the body's pieces out, and what follows the body. No I/O.

llhttp would decode it too, but does not say where the body ended when the next request's bytes are already there; and
where a body ends is the one thing a server must not guess. RFC 9112, 7.1, read strictly: sizes of hex digits only, CRLF
only, nothing but an extension behind a size. Extensions and trailers are checked, bounded and dropped.
"""

from __future__ import annotations

import re

from proxy.server.errors import RefusedRequestError
from proxy.server.head import TRAILERS

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*)?")
MAX_SIZE_LINE = 1024
"""Bytes of a chunk's size with its extension."""
MAX_TRAILERS = 8 * 1024
MAX_OVERHEAD = 16 * 1024
"""Bytes of framing beyond what honest chunks need (16 and twice the data, for each): tiny chunks with long extensions
cost the server far more than the client."""

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkedDecoder:
    """Decodes one body. Any split of the same bytes gives the same body."""

    __slots__ = ("_held", "_left", "_overhead", "_state")

    def __init__(self) -> None:
        self._state = _SIZE
        self._held = b""
        """The beginning of a line, or of the trailers."""
        self._left = 0
        """Bytes of the chunk that are still to come."""
        self._overhead = 0

    def feed(self, data: bytes, pieces: list[bytes]) -> bytes | None:
        """Append the body's bytes in `data` to `pieces`.

        Returns None while the body goes on, else the bytes behind it. Raises `RefusedRequestError`; after that, and
        after the end, it must not be fed again.
        """
        if self._held:
            data, self._held = self._held + data, b""
        at = 0
        while True:
            if self._state == _DATA:
                piece = data[at : at + self._left]
                if piece:
                    pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    return None
                self._state = _DATA_END
            elif self._state == _SIZE:
                end = data.find(b"\r\n", at, at + MAX_SIZE_LINE + 2)
                if end < 0:
                    self._hold_line(data[at:])
                    return None
                at = self._start_chunk(data[at:end], end + 2)
            elif self._state == _DATA_END:
                mark = data[at : at + 2]
                if not b"\r\n".startswith(mark):
                    raise RefusedRequestError("malformed chunk: no CRLF behind its data")
                if len(mark) < 2:
                    self._held = mark
                    return None
                at += 2
                self._state = _SIZE
            else:
                return self._read_trailers(data[at:])

    def _start_chunk(self, line: bytes, end: int) -> int:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise RefusedRequestError("malformed chunk size")
        self._left = int(match[1], 16)
        self._overhead = max(0, self._overhead + len(line) - 16 - 2 * self._left)
        if self._overhead > MAX_OVERHEAD:
            raise RefusedRequestError("too much chunk framing for so little data")
        self._state = _DATA if self._left else _TRAILERS
        return end

    def _hold_line(self, line: bytes) -> None:
        """Keep the beginning of a size line, unless it is no beginning of one."""
        if len(line) > MAX_SIZE_LINE:
            raise RefusedRequestError("malformed chunk size")
        if line and _SIZE_LINE.fullmatch(line.removesuffix(b"\r")) is None:
            raise RefusedRequestError("malformed chunk size")
        self._held = line

    def _read_trailers(self, data: bytes) -> bytes | None:
        if data.startswith(b"\r\n"):
            self._state = _DONE
            return data[2:]
        end = data.find(b"\r\n\r\n", 0, MAX_TRAILERS)
        if end < 0:
            if len(data) >= MAX_TRAILERS:
                raise RefusedRequestError("the trailers are too long", 431)
            self._held = data
            return None
        if TRAILERS.fullmatch(data, 0, end + 4) is None:
            raise RefusedRequestError("malformed trailer")
        self._state = _DONE
        return data[end + 4 :]
