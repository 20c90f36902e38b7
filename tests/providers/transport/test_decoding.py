"""Content codings: at once, whatever the split, and never more than the limit at a time."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from itertools import pairwise

import pytest
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import BadResponseError
from providers.transport.decoding import PIECE_BYTES, make_decoder
from providers.transport.pool import ConnectionPool
from tests.providers.transport.support import Peer, fetch, serve

brotli = pytest.importorskip("brotli")
zstandard = pytest.importorskip("zstandard")


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def two_members(data: bytes) -> bytes:
    return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]) + b"\0" * 8


def zstd_streamed(data: bytes) -> bytes:
    """Frames of unknown size with a checksum, and one to be skipped between them."""
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    out = b""
    for half in (data[: len(data) // 2], data[len(data) // 2 :]):
        stream = compressor.compressobj()
        out += stream.compress(half) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) + stream.flush()
        out += b"\x53\x2a\x4d\x18\x05\0\0\0hello"
    return out


CODINGS = {
    "gzip": (b"gzip", gzip.compress),
    "gzip in members": (b"x-gzip", two_members),
    "deflate": (b"deflate", zlib.compress),
    "bare deflate": (b"deflate", raw_deflate),
    "br": (b"br", lambda data: brotli.compress(data, quality=5)),
    "zstd": (b"zstd", zstandard.ZstdCompressor().compress),
    "zstd, streamed": (b"zstd", zstd_streamed),
    "two codings": (b"gzip, br", lambda data: brotli.compress(gzip.compress(data), quality=5)),
}


def decode(coding: bytes, parts: list[bytes], limit: int = PIECE_BYTES) -> bytes:
    decoder = make_decoder(coding)
    assert decoder is not None
    output = b""
    for part in parts:
        decoder.feed(part)
        while piece := decoder.read(limit):
            assert len(piece) <= limit
            output += piece
    decoder.finish()
    return output


@settings(deadline=None, max_examples=200)
@given(
    name=st.sampled_from(sorted(CODINGS)),
    text=st.binary(max_size=300) | st.builds(bytes.__mul__, st.binary(min_size=1, max_size=9), st.integers(0, 9000)),
    limit=st.sampled_from([1, 7, 1000, PIECE_BYTES]),
    data=st.data(),
)
def test_any_split_and_any_limit_give_the_same_text(name: str, text: bytes, limit: int, data: st.DataObject) -> None:
    coding, compress = CODINGS[name]
    packed = compress(text)
    cuts = data.draw(st.lists(st.integers(0, len(packed)), max_size=8).map(sorted))
    edges = [0, *cuts, len(packed)]
    parts = [packed[a:b] for a, b in pairwise(edges)]
    assert decode(coding, parts, max(limit, len(text) // 50)) == text


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_an_event_that_was_flushed_is_given_at_once(name: str) -> None:
    events = [b"data: %d\n\n" % number for number in range(20)]
    flushed: list[bytes] = []
    if name == "br":
        compressor = brotli.Compressor()
        flushed = [compressor.process(event) + compressor.flush() for event in events]
    elif name == "zstd":
        stream = zstandard.ZstdCompressor().compressobj()
        flushed = [stream.compress(event) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for event in events]
    else:
        packer = zlib.compressobj(wbits=31 if name == "gzip" else 15)
        flushed = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    decoder = make_decoder(name.encode())
    assert decoder is not None
    for event, part in zip(events, flushed, strict=True):
        decoder.feed(part)
        output = b""
        while piece := decoder.read(PIECE_BYTES):
            output += piece
        assert output == event


@pytest.mark.parametrize("name", sorted(CODINGS))
def test_a_cut_is_noticed(name: str) -> None:
    coding, compress = CODINGS[name]
    if name == "gzip in members":
        compress = gzip.compress
    packed = compress(b"some text, long enough" * 20)
    packed = packed.removesuffix(b"\x53\x2a\x4d\x18\x05\0\0\0hello")
    with pytest.raises(BadResponseError, match="ends inside"):
        decode(coding, [packed[:-1]])
    assert decode(coding, []) == b""


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_nonsense_is_noticed(coding: bytes) -> None:
    with pytest.raises(BadResponseError):
        decode(coding, [b"\xff" * 100])


@pytest.mark.parametrize("coding", [b"", b"identity", b"rot13", b"gzip, rot13", b"gzip,gzip,gzip,gzip"])
def test_what_is_unknown_or_absurd_has_no_decoder(coding: bytes) -> None:
    assert make_decoder(coding) is None


def test_zstd_with_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = stream.compress(b"x" * 1000) + stream.flush()
    with pytest.raises(BadResponseError):
        decode(b"zstd", [packed])


BOMB = 16 * 1024 * 1024


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "two codings"])
async def test_a_bomb_unfolds_piece_by_piece(name: str) -> None:
    coding, compress = CODINGS[name]
    packed = compress(bytes(BOMB))

    async def handler(peer: Peer) -> None:
        await peer.request()
        head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n" % (coding, len(packed))
        await peer.send(head + packed)
        await peer.gone()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        response = await pool.request(b"POST", b"/x", [], b"{}")
        tracemalloc.start()
        try:
            size = 0
            for _ in range(40):
                with trio.testing.assert_checkpoints():  # Nobody else would get a turn until it is unfolded.
                    piece = await response.receive()
                assert 0 < len(piece) <= PIECE_BYTES
                size += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        response.close()
        assert size < BOMB
        assert peak < 24 * 1024 * 1024  # Of which the largest window (br) is 16 MiB.
        await pool.aclose()


async def test_a_decoded_response_says_so_and_an_unknown_coding_is_left_alone() -> None:
    text = b"hello " * 100
    packed = gzip.compress(text)

    async def handler(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            coding = request.headers[b"x-coding"]
            head = b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n" % (
                coding,
                len(packed),
            )
            await peer.send(head + packed)

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        headers = [(b"accept-encoding", b"gzip")]
        assert await fetch(pool, headers=[*headers, (b"x-coding", b"GZip")]) == (200, [(b"x", b"y")], text)
        status, left, body = await fetch(pool, headers=[*headers, (b"x-coding", b"rot13")])
        assert (status, body, dict(left)[b"content-encoding"]) == (200, packed, b"rot13")
        assert server.connections == 1
        assert b"accept-encoding: gzip" in server.requests[0].raw_head
        assert b"identity" not in server.requests[0].raw_head
        await pool.aclose()
