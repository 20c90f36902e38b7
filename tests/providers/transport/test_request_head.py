"""Heads: what goes out, and that nothing from a caller can end a line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.transport.address import parse_base_url, parse_proxy
from providers.transport.failures import InvalidRequestError
from providers.transport.request_head import HeadWriter


def writer(url: str = "https://api.test/v1", proxy: str | None = None) -> HeadWriter:
    return HeadWriter(parse_base_url(url), parse_proxy(proxy) if proxy else None)


@pytest.mark.parametrize(
    ("url", "target", "line"),
    [
        ("http://a.test/v1", b"/chat", b"/v1/chat"),
        ("http://a.test/v1/", b"", b"/v1"),
        ("http://a.test", b"", b"/"),
        ("http://a.test", b"?a=b", b"/?a=b"),
        ("http://a.test/v1?k=1", b"/chat?a=b", b"/v1/chat?k=1&a=b"),
        ("http://a.test/v1?k=1", b"/chat", b"/v1/chat?k=1"),
        ("http://a.test", b"/%20?x=%0d%0a", b"/%20?x=%0d%0a"),
    ],
)
def test_targets(url: str, target: bytes, line: bytes) -> None:
    one = writer(url)
    for _ in range(2):
        assert one.write(b"GET", target, [], 0).startswith(b"GET %b HTTP/1.1\r\n" % line)


def test_what_is_added_and_what_the_caller_may_say() -> None:
    one = writer()
    assert one.write(b"GET", b"/x", [], 0) == (
        b"GET /v1/x HTTP/1.1\r\nhost: api.test\r\naccept-encoding: identity\r\n\r\n"
    )
    assert b"content-length: 0\r\n\r\n" in one.write(b"POST", b"/x", [], 0)
    assert one.write(b"PUT", b"/x", [], None).endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n")
    head = one.write(b"POST", b"/x", [(b"Host", b"other"), (b"Content-Length", b"5"), (b"Accept-Encoding", b"gzip")], 5)
    assert head == (b"POST /v1/x HTTP/1.1\r\nHost: other\r\nAccept-Encoding: gzip\r\ncontent-length: 5\r\n\r\n")


def test_a_proxy_is_asked_for_the_whole_url_unless_it_is_a_tunnel() -> None:
    plain = writer("http://a.test:81/v1", "http://u:p@proxy.test").write(b"GET", b"/x", [], 0)
    assert plain.startswith(
        b"GET http://a.test:81/v1/x HTTP/1.1\r\nhost: a.test:81\r\nproxy-authorization: Basic dTpw\r\n"
    )
    tunnel = writer("https://a.test/v1", "http://u:p@proxy.test").write(b"GET", b"/x", [], 0)
    assert tunnel.startswith(b"GET /v1/x HTTP/1.1\r\n")
    assert b"proxy-authorization" not in tunnel


@settings(deadline=None, max_examples=300)
@given(
    method=st.sampled_from([b"POST", b"GET"]) | st.binary(max_size=6),
    target=st.sampled_from([b"/x"]) | st.binary(max_size=12),
    headers=st.lists(
        st.tuples(st.sampled_from([b"a", b"Host"]) | st.binary(max_size=5), st.binary(max_size=12)), max_size=3
    ),
)
def test_nothing_from_a_caller_ends_a_line(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    try:
        head = writer().write(method, target, headers, 3)
    except InvalidRequestError:
        return
    lines = head.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert len(lines[0].split(b" ")) == 3
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert [line.partition(b": ")[::2] for line in lines[1:-2]][: len(headers)] == headers


def test_what_is_remembered_is_bounded() -> None:
    one = writer()
    for number in range(5000):
        one.write(b"GET", b"/%d" % number, [(b"x-%d" % number, b"y")], 0)
    assert len(one._lines) <= 1024
    assert len(one._kinds) <= 1024
