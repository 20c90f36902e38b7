"""Which requests are let in: a table of raw bytes, each with its answer, and h11 as the reference for strictness."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

import h11
import pytest
import trio

from tests.proxy.server.support import HttpReader, connected, read_all, read_body, reply, serving

HOST = b"Host: a\r\n"
OK = 200


@dataclass(frozen=True)
class Case:
    name: str
    raw: bytes
    status: int
    """What must come back; 200: the app was asked."""

    def __repr__(self) -> str:
        return self.name


def get(headers: bytes, line: bytes = b"GET / HTTP/1.1\r\n") -> bytes:
    return line + headers + b"\r\n"


def post(headers: bytes, body: bytes = b"hello") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def chunked(body: bytes) -> bytes:
    return post(CHUNKED, body)


CASES = [
    # What is fine.
    Case("plain GET", get(HOST), OK),
    Case("HTTP/1.0 with Host", get(HOST, b"GET / HTTP/1.0\r\n"), OK),
    Case("HTTP/1.0 without Host", get(b"", b"GET / HTTP/1.0\r\n"), OK),
    Case("empty header value", get(HOST + b"X-Empty:\r\n"), OK),
    Case("no space behind the colon", get(b"Host:a\r\n"), OK),
    Case("tabs around a value", get(HOST + b"X:\t v \t\r\n"), OK),
    Case("obs-text in a value", get(HOST + b"X: caf\xe9\r\n"), OK),
    Case("every token character in a name", get(HOST + b"!#$%&'*+-.^_`|~09azAZ: v\r\n"), OK),
    Case("content-length body", post(b"Content-Length: 5\r\n"), OK),
    Case("content-length zero", post(b"Content-Length: 0\r\n", b""), OK),
    Case("content-length with leading zeros", post(b"Content-Length: 0005\r\n"), OK),
    Case("chunked body", chunked(b"5\r\nhello\r\n0\r\n\r\n"), OK),
    Case("chunked, mixed case", post(b"transfer-ENCODING: Chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"), OK),
    Case("chunk size with leading zeros", chunked(b"0005\r\nhello\r\n000\r\n\r\n"), OK),
    Case("chunk extension", chunked(b'5;a=b;c="d e"\r\nhello\r\n0;z\r\n\r\n'), OK),
    Case("chunk trailers", chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"), OK),
    Case("absolute form", get(HOST, b"GET http://a/x?y HTTP/1.1\r\n"), OK),
    Case("absolute form without a path", get(HOST, b"GET https://a?y HTTP/1.1\r\n"), OK),
    Case("OPTIONS *", get(HOST, b"OPTIONS * HTTP/1.1\r\n"), OK),
    Case("odd but legal path", get(HOST, b"GET //a/../%00;b='c' HTTP/1.1\r\n"), OK),
    Case("Host with port", get(b"Host: a.example:8080\r\n"), OK),
    Case("Host of IPv6", get(b"Host: [::1]:80\r\n"), OK),
    Case("empty Host", get(b"Host:\r\n"), OK),
    Case("upgrade to something unknown", get(HOST + b"Connection: upgrade\r\nUpgrade: foo/2\r\n"), OK),
    # Where the body ends.
    Case("CL and TE", post(b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n"), 400),
    Case("TE and CL", post(CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n"), 400),
    Case("two different CL", post(b"Content-Length: 5\r\nContent-Length: 6\r\n"), 400),
    Case("two equal CL", post(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 400),
    Case("CL list of equal values", post(b"Content-Length: 5, 5\r\n"), 400),
    Case("CL list of different values", post(b"Content-Length: 5, 6\r\n"), 400),
    Case("negative CL", post(b"Content-Length: -5\r\n"), 400),
    Case("CL with a plus", post(b"Content-Length: +5\r\n"), 400),
    Case("CL with letters", post(b"Content-Length: 5a\r\n"), 400),
    Case("CL in hex", post(b"Content-Length: 0x5\r\n"), 400),
    Case("CL with an underscore", post(b"Content-Length: 1_0\r\n"), 400),
    Case("CL with inner space", post(b"Content-Length: 5 5\r\n"), 400),
    Case("empty CL", post(b"Content-Length:\r\n"), 400),
    Case("CL beyond 64 bits", post(b"Content-Length: 99999999999999999999\r\n"), 400),
    Case("CL of 10000 digits", post(b"Content-Length: " + b"1" * 10000 + b"\r\n"), 400),
    Case("TE gzip", post(b"Transfer-Encoding: gzip\r\n"), 501),
    Case("TE identity", post(b"Transfer-Encoding: identity\r\n"), 501),
    Case("TE gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), 501),
    Case("TE chunked, chunked", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), 501),
    Case("TE chunked twice", post(CHUNKED + CHUNKED, b"0\r\n\r\n"), 501),
    Case("TE xchunked", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), 501),
    Case("TE chunked with a parameter", post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"), 501),
    Case("TE quoted", post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"), 501),
    Case("TE with vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), 400),
    Case("empty TE", post(b"Transfer-Encoding:\r\n", b"0\r\n\r\n"), 501),
    Case("TE in HTTP/1.0", b"POST / HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
    Case("TE name with a space", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), 400),
    # Lines and characters.
    Case("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    Case("bare LF behind a header", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    Case("bare LF at the head's end", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    Case("bare CR in a value", get(HOST + b"X: a\rb\r\n"), 400),
    Case("bare CR behind the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    Case("CR CR LF", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
    Case("line folding", get(HOST + b"X: a\r\n b\r\n"), 400),
    Case("line folding in the first header", b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n", 400),
    Case("NUL in a value", get(HOST + b"X: a\0b\r\n"), 400),
    Case("NUL in a name", get(HOST + b"X\0Y: a\r\n"), 400),
    Case("control character in a value", get(HOST + b"X: a\x01b\r\n"), 400),
    Case("DEL in a value", get(HOST + b"X: a\x7fb\r\n"), 400),
    Case("form feed in a value", get(HOST + b"X: a\x0cb\r\n"), 400),
    Case("space before the colon", get(b"Host : a\r\n"), 400),
    Case("tab before the colon", get(b"Host\t: a\r\n"), 400),
    Case("space in a name", get(HOST + b"X Y: a\r\n"), 400),
    Case("obs-text in a name", get(HOST + b"X\xe9: a\r\n"), 400),
    Case("header without a colon", get(HOST + b"foo\r\n"), 400),
    Case("empty header name", get(HOST + b": foo\r\n"), 400),
    Case("white space before the request line", b" " + get(HOST), 400),
    Case("empty line before the request line", b"\r\n" + get(HOST), 400),
    Case("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    # The request line.
    Case("HTTP/0.9", b"GET /\r\n", 400),
    Case("HTTP/2.0", get(HOST, b"GET / HTTP/2.0\r\n"), 505),
    Case("HTTP/1.2", get(HOST, b"GET / HTTP/1.2\r\n"), 505),
    Case("HTTP/0.9 by name", get(HOST, b"GET / HTTP/0.9\r\n"), 505),
    Case("the preface of HTTP/2, spoiled", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 505),
    Case("HTTP/1.10", get(HOST, b"GET / HTTP/1.10\r\n"), 400),
    Case("HTTP/11", get(HOST, b"GET / HTTP/11\r\n"), 400),
    Case("lower case version", get(HOST, b"GET / http/1.1\r\n"), 400),
    Case("other protocol", get(HOST, b"GET / ICY/1.1\r\n"), 400),
    Case("two spaces", get(HOST, b"GET  / HTTP/1.1\r\n"), 400),
    Case("tab for a space", get(HOST, b"GET\t/\tHTTP/1.1\r\n"), 400),
    Case("trailing space", get(HOST, b"GET / HTTP/1.1 \r\n"), 400),
    Case("space in the target", get(HOST, b"GET /a b HTTP/1.1\r\n"), 400),
    Case("control character in the target", get(HOST, b"GET /a\x01b HTTP/1.1\r\n"), 400),
    Case("non-ASCII target", get(HOST, b"GET /caf\xe9 HTTP/1.1\r\n"), 400),
    Case("no target", get(HOST, b"GET HTTP/1.1\r\n"), 400),
    Case("relative target", get(HOST, b"GET a HTTP/1.1\r\n"), 400),
    Case("GET *", get(HOST, b"GET * HTTP/1.1\r\n"), 400),
    Case("absolute form of another scheme", get(HOST, b"GET ftp://a/ HTTP/1.1\r\n"), 400),
    Case("absolute form without a host", get(HOST, b"GET http:///x HTTP/1.1\r\n"), 400),
    Case("absolute form with user info", get(HOST, b"GET http://u@a/x HTTP/1.1\r\n"), 400),
    Case("unknown method", get(HOST, b"FROBNICATE / HTTP/1.1\r\n"), 501),
    Case("lower case method", get(HOST, b"get / HTTP/1.1\r\n"), 501),
    Case("method with bad characters", get(HOST, b"G(T / HTTP/1.1\r\n"), 400),
    Case("CONNECT", get(HOST, b"CONNECT a:443 HTTP/1.1\r\n"), 501),
    # Host.
    Case("no Host", get(b"X: y\r\n"), 400),
    Case("two Hosts", get(HOST + b"Host: b\r\n"), 400),
    Case("two equal Hosts", get(HOST + HOST), 400),
    Case("Host with a path", get(b"Host: a/b\r\n"), 400),
    Case("Host with a space", get(b"Host: a b\r\n"), 400),
    Case("Host with user info", get(b"Host: u@a\r\n"), 400),
    # Sizes.
    Case("long request line", get(HOST, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n"), 431),
    Case("long header", get(HOST + b"X: " + b"a" * 70_000 + b"\r\n"), 431),
    Case("a head without an end", b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
    Case("too many headers", get(HOST + b"X: y\r\n" * 200), 431),
    # Chunks.
    Case("chunk size not hex", chunked(b"x\r\nhello\r\n0\r\n\r\n"), 400),
    Case("empty chunk size", chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    Case("negative chunk size", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    Case("chunk size with a plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    Case("chunk size with 0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    Case("chunk size with an underscore", chunked(b"0_5\r\nhello\r\n0\r\n\r\n"), 400),
    Case("chunk size too long", chunked(b"0" * 30 + b"5\r\nhello\r\n0\r\n\r\n"), 400),
    Case("chunk size beyond 64 bits", chunked(b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), 400),
    Case("chunk size with a space before", chunked(b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    Case("chunk size with a space behind", chunked(b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    Case("chunk size line with bare LF", chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    Case("bare CR in a chunk extension", chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
    Case("bare LF in a chunk extension", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    Case("NUL in a chunk extension", chunked(b"5;a\0b\r\nhello\r\n0\r\n\r\n"), 400),
    Case("long chunk extension", chunked(b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    Case("long chunk extension without an end", chunked(b"5;" + b"a" * 5000), 400),
    Case("many extensions", chunked(b"1;" + b"a" * 900 + b"\r\nx\r\n" + (b"1;" + b"a" * 900 + b"\r\nx\r\n") * 50), 400),
    Case("junk behind a chunk", chunked(b"5\r\nhelloX\r\n0\r\n\r\n"), 400),
    Case("LF behind a chunk", chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    Case("malformed trailer", chunked(b"0\r\nfoo\r\n\r\n"), 400),
    Case("folded trailer", chunked(b"0\r\nX: a\r\n b\r\n\r\n"), 400),
    Case("long trailers", chunked(b"0\r\nX: " + b"a" * 10_000 + b"\r\n\r\n"), 431),
]


def h11_refuses(raw: bytes) -> bool:
    """Whether h11 finds anything wrong with the bytes."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
    connection.receive_data(raw)
    try:
        while True:
            event = connection.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return False
    except h11.RemoteProtocolError:
        return True


async def asked(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await read_body(receive)
    await reply(send, b"asked")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_request(case: Case) -> None:
    async with serving(asked) as server, connected(server.port) as stream:
        await stream.send_all(case.raw)
        answer = await HttpReader(stream).answer()
        assert answer.status == case.status, answer
        if case.status != OK:
            assert answer.headers["connection"] == "close"
            error = json.loads(answer.body)["error"]
            assert error["type"] == "invalid_request_error"
            assert error["message"]
            assert await read_all(stream) == b""  # and nothing that follows is taken for a request


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_h11_refuses_nothing_that_is_let_in(case: Case) -> None:
    if h11_refuses(case.raw):
        assert case.status != OK


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_the_answer_is_the_same_however_the_bytes_arrive(size: int) -> None:
    async with serving(asked) as server:
        for case in CASES:
            if len(case.raw) > 400:
                continue
            async with connected(server.port) as stream:
                with contextlib.suppress(trio.BrokenResourceError):  # answered and closed before we were done
                    for at in range(0, len(case.raw), size):
                        await stream.send_all(case.raw[at : at + size])
                        await trio.lowlevel.checkpoint()
                assert (await HttpReader(stream).answer()).status == case.status, case
