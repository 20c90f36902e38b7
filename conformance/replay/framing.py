"""How pieces of a body become bytes of an HTTP/1.1 message (RFC 9112, 6 and 7). Pure functions.

A framing is chosen by name; each adds the header that announces it. All but the first two put the borders of the HTTP
chunks where real intermediaries put them now and then and where clients break.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

import msgspec

from conformance.replay.answer import Piece

_END = b"0\r\n\r\n"
_CHUNKED = {"transfer-encoding": "chunked"}


class Framing(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    sentence: str
    headers: Callable[[int], dict[str, str]]
    """The headers that announce it, given the body's length."""
    frame: Callable[[Iterable[Piece]], Iterator[Piece]]
    """The pieces as they are on the wire, less `end`."""
    end: bytes = b""
    """What says that the body is complete. Never written after a fault cut the body."""
    closes: bool = False
    """The end of the connection is the end of the body."""


def _plain(pieces: Iterable[Piece]) -> Iterator[Piece]:
    yield from pieces


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chunk_per_piece(pieces: Iterable[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        if piece.data:
            yield Piece(_chunk(piece.data), piece.delay)


def _one_byte_chunks(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Every byte a chunk of its own; the chunks of a piece in one write."""
    for piece in pieces:
        data = b"".join(b"1\r\n%c\r\n" % byte for byte in piece.data)
        if data:
            yield Piece(data, piece.delay)


def _split_headers(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """A chunk's size line is written in two halves, then its data, then its line end."""
    for piece in pieces:
        if not piece.data:
            continue
        # An upper-case size with leading zeros and an extension is as good as any (RFC 9112, 7.1).
        yield Piece(b"00", piece.delay)
        yield Piece(b"%X;piece=1\r" % len(piece.data))
        yield Piece(b"\n")
        yield Piece(piece.data)
        yield Piece(b"\r")
        yield Piece(b"\n")


def _packed(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Chunks of 3, 17 and 64 bytes, in writes of 97: a write holds several chunks and ends inside one of them."""
    sizes = (3, 17, 64)
    write = 97  # the three chunks are 101 bytes with their framing, so the border wanders through them
    turn = 0
    waiting = b""
    for piece in pieces:
        wire = bytearray(waiting)
        position = 0
        while position < len(piece.data):
            size = sizes[turn % len(sizes)]
            turn += 1
            wire += _chunk(piece.data[position : position + size])
            position += size
        delay = piece.delay
        while len(wire) > write:
            yield Piece(bytes(wire[:write]), delay)
            del wire[:write]
            delay = 0.0
        waiting = bytes(wire)
        if delay and waiting:
            # A piece with a delay of its own must not wait for the one after it.
            yield Piece(waiting, delay)
            waiting = b""
    if waiting:
        yield Piece(waiting)


def gzip_pieces(pieces: Iterable[Piece], *, complete: bool = True) -> Iterator[Piece]:
    """Each piece compressed and flushed, so that it can be decoded as soon as it arrives (RFC 1952).

    Not `complete`: the trailer is left out, because the body was cut.
    """
    compressor = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for piece in pieces:
        yield Piece(compressor.compress(piece.data) + compressor.flush(zlib.Z_SYNC_FLUSH), piece.delay)
    if complete:
        yield Piece(compressor.flush(zlib.Z_FINISH))


def _chunked(name: str, sentence: str, frame: Callable[[Iterable[Piece]], Iterator[Piece]]) -> Framing:
    return Framing(name=name, sentence=sentence, headers=lambda _: _CHUNKED, frame=frame, end=_END)


LENGTH = Framing(
    name="length",
    sentence="content-length",
    headers=lambda size: {"content-length": str(size)},
    frame=_plain,
)
CHUNKED = _chunked("chunked", "one HTTP chunk for each piece", _chunk_per_piece)
CLOSE = Framing(
    name="close",
    sentence="no length; the body ends when the connection does",
    headers=lambda _: {"connection": "close"},
    frame=_plain,
    closes=True,
)
ONE_BYTE_CHUNKS = _chunked("one-byte-chunks", "every byte is an HTTP chunk", _one_byte_chunks)
SPLIT_HEADERS = _chunked("split-headers", "an HTTP chunk's size line, data and line end come apart", _split_headers)
PACKED = _chunked("packed", "several HTTP chunks in a write, the last one cut", _packed)
