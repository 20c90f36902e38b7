"""Undoes content codings (gzip, deflate, br, zstd) as the bytes come. No I/O, imports only the errors.

Two rules of this file:
* Everything that the input so far can give is given at once: a compressed event is not held back.
* One `read` gives at most `limit` bytes, whatever the input would unfold to: a decompression bomb costs its reader
  one piece at a time, and only as long as the reader goes on asking.

Brotli and zstd need the `compression` extra.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

from providers.errors import BadResponseError

try:
    import brotli  # type: ignore[import-untyped]
except ImportError:
    brotli = None
try:
    import zstandard
except ImportError:
    zstandard = None  # type: ignore[assignment]

PIECE_BYTES = 256 * 1024
_MAX_CODINGS = 3
_ZSTD_WINDOW = 8 * 1024 * 1024
"""The largest window that zstd may ask for as an HTTP coding (RFC 9659)."""


class Decoder(Protocol):
    """One coding being undone."""

    def feed(self, data: bytes) -> None:
        """Give it input. Only after a `read` that returned b""."""
        ...

    def read(self, limit: int) -> bytes:
        """Up to `limit` bytes of output; b"" when it needs input. Raises `BadResponseError` for broken input."""
        ...

    def finish(self) -> None:
        """The input is over and read. Raises `BadResponseError` if it ended too early."""
        ...


def make_decoder(content_encoding: bytes) -> Decoder | None:
    """A decoder for a `content-encoding` header; None if one of its codings is unknown here, or if there is none."""
    names = [name.strip().lower() for name in content_encoding.split(b",")]
    names = [name for name in names if name not in (b"", b"identity")]
    if not names or len(names) > _MAX_CODINGS or not all(name in DECODERS for name in names):
        return None
    decoder = DECODERS[names[-1]]()
    for name in reversed(names[:-1]):
        decoder = _Chain(decoder, DECODERS[name]())
    return decoder


def _broken(coding: str) -> BadResponseError:
    return BadResponseError(f"the provider's answer is not valid {coding}")


def _cut(coding: str) -> BadResponseError:
    return BadResponseError(f"the provider's answer ends inside its {coding} data")


class _Chain:
    """The output of one decoder is the input of the next."""

    def __init__(self, outer: Decoder, inner: Decoder) -> None:
        self._outer = outer
        self._inner = inner

    def feed(self, data: bytes) -> None:
        self._outer.feed(data)

    def read(self, limit: int) -> bytes:
        while not (output := self._inner.read(limit)):
            between = self._outer.read(limit)
            if not between:
                return b""
            self._inner.feed(between)
        return output

    def finish(self) -> None:
        self._outer.finish()
        self._inner.finish()


class _Zlib:
    """gzip (RFC 1952, several members too) and deflate (RFC 1950, or the bare RFC 1951 that some servers send)."""

    def __init__(self, coding: str, wbits: int) -> None:
        self._coding = coding
        self._wbits = wbits
        self._zlib = zlib.decompressobj(wbits)
        self._input = b""
        self._more = False
        self._started = False

    def feed(self, data: bytes) -> None:
        if self._coding == "deflate" and not self._started and data and data[0] & 0x0F != 8:
            # Bare deflate: a zlib header has 8 in its low four bits. (Bare deflate that begins so would be a stored
            # block whose padding is not zero, which nobody writes.)
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._started = self._started or bool(data)
        self._input = data
        self._more = True

    def read(self, limit: int) -> bytes:
        while self._more:
            if self._zlib.eof and not self._next_member():
                return b""
            try:
                output = self._zlib.decompress(self._input, limit)
            except zlib.error:
                raise _broken(self._coding) from None
            self._input = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            self._more = bool(self._input) or len(output) == limit
            if output:
                return output
        return b""

    def _next_member(self) -> bool:
        """Go on with another gzip member, if that is what follows; anything else there is padding, and dropped."""
        if self._coding == "gzip" and self._input.startswith(b"\x1f"):
            self._zlib = zlib.decompressobj(self._wbits)
            return True
        self._input = b""
        self._more = False
        return False

    def finish(self) -> None:
        if self._started and not self._zlib.eof:
            raise _cut(self._coding)


class _Held:
    """For libraries that overshoot: what is more than the limit waits for the next `read`."""

    def __init__(self) -> None:
        self._held = b""

    def _give(self, output: bytes, limit: int) -> bytes:
        self._held = output[limit:]
        return output[:limit]


class _Brotli(_Held):
    """RFC 7932."""

    def __init__(self) -> None:
        super().__init__()
        self._brotli = brotli.Decompressor()
        self._input = b""
        self._more = False
        self._started = False

    def feed(self, data: bytes) -> None:
        self._input = data
        self._more = True
        self._started = self._started or bool(data)

    def read(self, limit: int) -> bytes:
        if self._held:
            return self._give(self._held, limit)
        while self._more and not self._brotli.is_finished():
            data, self._input = self._input, b""
            try:
                output: bytes = self._brotli.process(data, output_buffer_limit=limit)
            except brotli.error:
                raise _broken("br") from None
            # All input taken in does not mean all output given: ask until nothing comes.
            self._more = bool(output) or not self._brotli.can_accept_more_data()
            if output:
                return self._give(output, limit)
        return b""

    def finish(self) -> None:
        if self._started and not self._brotli.is_finished():
            raise _cut("br")


class _Zstd(_Held):
    """RFC 8878. The library gives all the output of its input, so the input is cut after each block.

    A block unfolds to at most 128 KiB, whatever its size. What is read here of the format is just its lengths: frame
    header (3.1.1.1), block header (3.1.1.2), skippable frame (3.1.2).
    """

    def __init__(self) -> None:
        super().__init__()
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self._input = b""
        self._at = 0
        self._header = b""
        """The header being collected, until it is whole."""
        self._left = 0
        """Bytes of the current block (or skippable frame) still to come."""
        self._in_frame = False
        self._last = False
        self._skipping = False
        self._checksum = 0

    def feed(self, data: bytes) -> None:
        self._input = data
        self._at = 0

    def read(self, limit: int) -> bytes:
        if self._held:
            return self._give(self._held, limit)
        while unit := self._next_unit():
            if self._skipping:
                continue
            try:
                output: bytes = self._zstd.decompress(unit)
            except zstandard.ZstdError:
                raise _broken("zstd") from None
            if self._last and not self._left:
                self._in_frame = self._last = False
                self._zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
            if output:
                return self._give(output, limit)
        return b""

    def finish(self) -> None:
        if self._in_frame or self._left or self._header:
            raise _cut("zstd")

    def _take(self, size: int) -> bytes:
        taken = self._input[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def _next_unit(self) -> bytes:
        """The next header, or what is there of a block's content; b"" when more input is needed."""
        if self._left:
            taken = self._take(self._left)
            self._left -= len(taken)
            return taken
        while (size := self._header_size()) > len(self._header):
            taken = self._take(size - len(self._header))
            if not taken:
                return b""
            self._header += taken
        header, self._header = self._header, b""
        if self._in_frame:
            self._enter_block(header)
        else:
            self._enter_frame(header)
        return header

    def _header_size(self) -> int:
        """How long the header is, as far as its first bytes tell; more once they are there."""
        if self._in_frame:
            return 3
        if len(self._header) < 5:
            return 5
        if self._header[1:4] == b"\x2a\x4d\x18":
            return 8
        descriptor = self._header[4]
        single_segment = descriptor >> 5 & 1
        content_size = (single_segment, 2, 4, 8)[descriptor >> 6]
        return 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3] + content_size

    def _enter_frame(self, header: bytes) -> None:
        self._skipping = header[1:4] == b"\x2a\x4d\x18"
        if self._skipping:
            self._left = int.from_bytes(header[4:8], "little")
            return
        self._in_frame = True
        self._checksum = 4 if header[4] & 4 else 0

    def _enter_block(self, header: bytes) -> None:
        value = int.from_bytes(header, "little")
        self._last = bool(value & 1)
        run_length = value >> 1 & 3 == 1
        self._left = (1 if run_length else value >> 3) + (self._checksum if self._last else 0)


DECODERS: dict[bytes, Callable[[], Decoder]] = {
    b"gzip": lambda: _Zlib("gzip", zlib.MAX_WBITS | 16),
    b"x-gzip": lambda: _Zlib("gzip", zlib.MAX_WBITS | 16),
    b"deflate": lambda: _Zlib("deflate", zlib.MAX_WBITS),
}
"""The codings known here. Brotli before 1.2 cannot bound its output, so it does not count."""
if hasattr(getattr(brotli, "Decompressor", None), "can_accept_more_data"):
    DECODERS[b"br"] = _Brotli
if zstandard is not None:
    DECODERS[b"zstd"] = _Zstd
