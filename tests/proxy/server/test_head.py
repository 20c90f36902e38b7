"""The head parser: what it reads, and that it is never laxer than h11, whatever the bytes."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.server.errors import RefusedRequestError
from proxy.server.head import RequestHead, check_beginning, parse_head


def parse(data: bytes) -> RequestHead:
    return parse_head(data, max_headers=100)


def test_a_head_is_read_as_it_came() -> None:
    head = parse(b"POST /a%20b?x=%20 HTTP/1.1\r\nHOST: h:1\r\nX-A:  b \t\r\nX-a: c\r\nContent-Length: 7\r\n\r\n")
    assert (head.method, head.raw_path, head.http_version) == ("POST", b"/a%20b?x=%20", "1.1")
    assert head.headers == [(b"host", b"h:1"), (b"x-a", b"b"), (b"x-a", b"c"), (b"content-length", b"7")]
    assert (head.content_length, head.chunked, head.close, head.has_body) == (7, False, False, True)


@pytest.mark.parametrize(
    ("target", "raw_path"),
    [
        (b"http://other:8080/a?b", b"/a?b"),
        (b"HTTPS://other:8080", b"/"),
        (b"http://other:8080?b", b"/?b"),
    ],
)
def test_an_absolute_target_replaces_host(target: bytes, raw_path: bytes) -> None:
    head = parse(b"GET " + target + b" HTTP/1.1\r\nA: 1\r\nHost: mine\r\nB: 2\r\n\r\n")
    assert head.raw_path == raw_path
    assert head.headers == [(b"host", b"other:8080"), (b"a", b"1"), (b"b", b"2")]


@pytest.mark.parametrize(
    ("value", "close"), [(b"close", True), (b"Keep-Alive, CLOSE", True), (b"closed", False), (b"keep-alive", False)]
)
def test_connection_close(value: bytes, close: bool) -> None:
    assert parse(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: " + value + b"\r\n\r\n").close is close


def test_http_1_0_closes_whatever_it_says() -> None:
    assert parse(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").close


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"\x00",
        b"\x0b",
        b"\x7f",
        b"\xe9",
        b",",
        b"5",
        b"+",
        b"a",
        b";",
        b"\r\n ",
        b"Host: a\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"/",
        b"x:",
    ]
)
BASE = b"POST /a?b HTTP/1.1\r\nHost: a\r\nX-Y: some value\r\nContent-Length: 3\r\nAccept: */*\r\n\r\n"


@st.composite
def nearly_heads(draw: st.DrawFn) -> bytes:
    """A head with a few pieces put in or taken out."""
    data = bytearray(BASE)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.sampled_from([0, 0, 1, 2, 8]))] = draw(PIECES | st.just(b""))
    end = data.find(b"\r\n\r\n")
    return bytes(data[: end + 4]) if end >= 0 else bytes(data) + b"\r\n\r\n"


@settings(deadline=None, max_examples=1500)
@given(nearly_heads())
def test_what_passes_h11_reads_the_same(data: bytes) -> None:
    try:
        head = parse(data)
    except RefusedRequestError:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    event = connection.next_event()  # raises where h11 refuses
    assert isinstance(event, h11.Request)
    assert event.method.decode() == head.method
    assert event.target == head.raw_path
    assert event.http_version.decode() == head.http_version
    assert [(n, v.lower() if n == b"transfer-encoding" else v) for n, v in head.headers] == list(event.headers)


@settings(deadline=None, max_examples=300)
@given(nearly_heads(), st.data())
def test_a_beginning_is_only_refused_if_the_whole_is(data: bytes, draws: st.DataObject) -> None:
    cut = draws.draw(st.integers(1, max(1, len(data) - 4)))
    searched = draws.draw(st.integers(0, cut))
    try:
        check_beginning(data[:cut], searched)
    except RefusedRequestError:
        with pytest.raises(RefusedRequestError):
            parse(data)
