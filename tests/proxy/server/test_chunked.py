"""The chunked decoder: any split of the same bytes gives the same body, and h11 agrees."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.server.chunked import ChunkedDecoder
from proxy.server.errors import RefusedRequestError

BEHIND = b"GET /next"


def decode(pieces: list[bytes]) -> tuple[bytes, bytes | None]:
    """The body, and what is behind it; None if it did not end."""
    decoder, body = ChunkedDecoder(), list[bytes]()
    for index, piece in enumerate(pieces):
        rest = decoder.feed(piece, body)
        if rest is not None:
            return b"".join(body), rest + b"".join(pieces[index + 1 :])
    return b"".join(body), None


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places) if a < b]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and one of its encodings."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    encoded = b""
    for chunk in chunks:
        zeros = b"0" * draw(st.integers(0, 3))
        digits = draw(st.sampled_from([b"%x", b"%X"])) % len(chunk)
        extension = draw(st.sampled_from([b"", b";", b";a=b", b'; a="b c"']))
        encoded += zeros + digits + extension + b"\r\n" + chunk + b"\r\n"
    trailers = draw(st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC:\r\n"]))
    return b"".join(chunks), encoded + draw(st.sampled_from([b"0", b"000", b"0;x"])) + b"\r\n" + trailers + b"\r\n"


@settings(deadline=None, max_examples=400)
@given(bodies(), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same_body(body: tuple[bytes, bytes], cuts: list[int]) -> None:
    plain, encoded = body
    assert decode(split(encoded + BEHIND, cuts)) == (plain, BEHIND)
    assert decode([encoded[i : i + 1] for i in range(len(encoded))]) == (plain, b"")
    assert decode(split(encoded[:-1], cuts))[1] is None


JUNK = st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t", b"0", b"5", b"x", b";", b"\0", b"-", b"+", b":", b"\xe9"])


@settings(deadline=None, max_examples=1000)
@given(bodies(), st.data())
def test_what_passes_h11_decodes_the_same(body: tuple[bytes, bytes], draws: st.DataObject) -> None:
    data = bytearray(body[1])
    at = draws.draw(st.integers(0, len(data)))
    data[at : at + draws.draw(st.integers(0, 2))] = draws.draw(JUNK)
    encoded = bytes(data)
    cuts = draws.draw(st.lists(st.integers(0, 10_000), max_size=4))
    try:
        result = decode([encoded])
    except RefusedRequestError:
        with pytest.raises(RefusedRequestError):
            decode(split(encoded, cuts))
        return
    assert decode(split(encoded, cuts)) == result
    if result[1] is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + encoded)
    received = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        received += bytes(event.data) if isinstance(event, h11.Data) else b""
    assert (received, connection.trailing_data[0]) == result
