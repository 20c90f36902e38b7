"""The response parser without a socket: any split of the bytes gives the same response, at a cost linear in them."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from providers.transport.response_parser import ResponseParser

HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-A:  v \r\nEmpty:\r\n\r\nhello world",
    "chunked": b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nT: u\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 E\r\nLink: z\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "until the end": b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello world",
    "nothing": b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
    "extra": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
    "garbage after": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\0\0",
    "garbage inside": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nnonsense\r\n",
    "coded": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: br\r\nContent-Length: 0\r\n\r\n",
    "no http": b"+OK POP3 ready\r\n",
    "asked by HEAD": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nnever sent",
}


class Outcome(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    coding: bytes
    complete: bool
    fault: str


def parse(parts: list[bytes], *, head_only: bool = False) -> Outcome:
    """Feed the parts until the response is complete or broken, as a connection would; then the connection ends."""
    parser = ResponseParser()
    parser.start(head_only=head_only)
    body = b""
    for part in parts:
        parser.feed(memoryview(part))
        body += b"".join(parser.pieces)
        parser.pieces.clear()
        if parser.complete or parser.fault:
            break
    parser.end()
    return Outcome(
        parser.status, parser.headers, body, parser.content_encoding, parser.complete, str(parser.fault or "")
    )


@settings(deadline=None, max_examples=150)
@given(name=st.sampled_from(sorted(HEADS)), data=st.data())
def test_any_split_gives_the_same_response(name: str, data: st.DataObject) -> None:
    answer = HEADS[name]
    cuts = data.draw(st.lists(st.integers(0, len(answer)), max_size=12).map(sorted))
    edges = [0, *cuts, len(answer)]
    parts = [answer[a:b] for a, b in pairwise(edges)]
    head_only = name == "asked by HEAD"
    assert parse(parts, head_only=head_only) == parse([answer], head_only=head_only)


def test_every_border_and_every_byte() -> None:
    for name, answer in HEADS.items():
        head_only = name == "asked by HEAD"
        whole = parse([answer], head_only=head_only)
        single = [answer[i : i + 1] for i in range(len(answer))]
        assert parse(single, head_only=head_only) == whole, name
        for cut in range(len(answer)):
            assert parse([answer[:cut], answer[cut:]], head_only=head_only) == whole, (name, cut)


def test_what_the_responses_are() -> None:
    results = {name: parse([answer], head_only=name == "asked by HEAD") for name, answer in HEADS.items()}
    assert results["length"] == Outcome(
        200, [(b"content-length", b"11"), (b"x-a", b"v"), (b"empty", b"")], b"hello world", b"", True, ""
    )
    assert results["chunked"][:3] == (201, [(b"transfer-encoding", b"chunked")], b"hello world")
    assert results["interim"][:3] == (200, [(b"content-length", b"2")], b"ok")
    assert results["until the end"].body == b"hello world"
    assert results["until the end"].complete
    assert results["extra"].body == b"ok"
    assert results["garbage after"].fault == ""
    assert results["garbage inside"].body == b"ok"
    assert "not HTTP" in results["garbage inside"].fault
    assert results["coded"].coding == b"gzip,br"
    assert not results["no http"].complete
    assert results["asked by HEAD"].body == b""
    assert results["asked by HEAD"].complete


def test_one_parser_reads_one_response_after_the_other() -> None:
    parser = ResponseParser()
    for number in range(3):
        parser.start(head_only=False)
        assert parser.untouched
        parser.feed(b"HTTP/1.1 %d X\r\nContent-Length: 1\r\n\r\n%d" % (200 + number, number))
        assert not parser.untouched
        assert (parser.status, parser.pieces, parser.complete, parser.reusable) == (
            200 + number,
            [b"%d" % number],
            True,
            True,
        )


def test_a_long_body_in_tiny_chunks_leaves_nothing_behind() -> None:
    parser = ResponseParser()
    parser.start(head_only=False)
    parser.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    tracemalloc.start()
    try:
        size = 0
        for _ in range(100_000):
            parser.feed(b"3\r\nabc\r\n")
            size += len(b"".join(parser.pieces))
            parser.pieces.clear()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 300_000
    assert peak < 50_000
