"""Lines of JSON are cut at LF and nowhere else, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import OversizedEventError
from providers.wire.ndjson import Line, NDJSONDecoder

BODY = '{"a":"é\u2028🙂"}\n\r\n  \n{"b":1}\r\n{"c":"\\n"}'.encode()


def read(pieces: list[bytes]) -> list[Line]:
    decoder = NDJSONDecoder()
    lines = [line for piece in pieces for line in decoder.feed(piece)]
    last = decoder.eof()
    return lines if last is None else [*lines, last]


def test_lines_have_their_bytes_and_their_document() -> None:
    lines = read([BODY])
    assert b"".join(line.raw for line in lines) == BODY
    assert [line.data.decode() for line in lines] == ['{"a":"é\u2028🙂"}', "", "", '{"b":1}', '{"c":"\\n"}']


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, len(BODY)), max_size=20))
def test_any_split_gives_the_same_lines(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(BODY)]
    assert read([BODY[left:right] for left, right in zip(places, places[1:], strict=False)]) == read([BODY])  # noqa: RUF007


@pytest.mark.parametrize("tail", [b"\n", b""])
def test_an_oversized_line_is_refused_but_none_before_it_is_lost(tail: bytes) -> None:
    decoder = NDJSONDecoder(max_line_bytes=10)
    assert [line.data for line in decoder.feed(b'{"a": 1}\n' + b"x" * 11 + tail)] == [b'{"a": 1}']
    with pytest.raises(OversizedEventError):
        decoder.feed(b"")
    with pytest.raises(OversizedEventError):
        decoder.eof()
    with pytest.raises(OversizedEventError):
        NDJSONDecoder(max_line_bytes=10).feed(b"x" * 11 + tail)


def test_a_line_of_the_limit_is_taken() -> None:
    assert len(NDJSONDecoder(max_line_bytes=10).feed(b"123456789\n")) == 1
