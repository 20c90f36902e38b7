"""Request bodies: whole at any split, with back-pressure, asked for by `Expect`, or left unread."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.server.support import (
    GET,
    HttpReader,
    ask,
    connected,
    echo,
    leave,
    read_all,
    read_body,
    reply,
    serving,
)


def post(headers: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nhost: test\r\n" + headers + b"\r\n" + body


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body and a request that carries it."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=30), max_size=5))
    body = b"".join(chunks)
    if draw(st.booleans()):
        return body, post(b"content-length: %d\r\n" % len(body), body)
    encoded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return body, post(b"transfer-encoding: chunked\r\n", encoded + b"0\r\n\r\n")


@settings(deadline=None, max_examples=25)
@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 100_000), max_size=8))
def test_bodies_are_whole_at_any_split(exchanges: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    raw = b"".join(request for _, request in exchanges)
    places = [0, *sorted(cut % len(raw) for cut in cuts), len(raw)]

    async def check() -> None:
        async with serving(echo) as server, connected(server.port) as stream:
            for a, b in itertools.pairwise(places):
                if a < b:
                    await stream.send_all(raw[a:b])
                    for _ in range(3):
                        await trio.lowlevel.checkpoint()
            reader = HttpReader(stream)
            for body, _ in exchanges:
                assert (await reader.answer()).body == body

    trio.run(check)


async def test_the_body_comes_while_it_is_sent() -> None:
    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        first = await receive()
        assert first == {"type": "http.request", "body": b"abc", "more_body": True}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"got it", "more_body": True})
        await send({"type": "http.response.body", "body": await read_body(receive)})

    async with serving(handler) as server, connected(server.port) as stream:
        await stream.send_all(post(b"content-length: 6\r\n", b"abc"))
        reader = HttpReader(stream)
        await reader.until(b"got it\r\n")
        await stream.send_all(b"def")
        assert (await reader.until(b"0\r\n\r\n")) == b"3\r\ndef\r\n"


async def test_a_request_without_body_has_one_empty_message() -> None:
    messages: list[Any] = []

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        messages.append(await receive())
        await reply(send)
        messages.append(await receive())

    async with serving(handler) as server:
        await ask(server.port, GET)
    assert messages == [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]


async def test_a_body_that_nobody_takes_is_not_read() -> None:
    gate = trio.Event()
    total = 64 * 1024 * 1024

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await gate.wait()
        size = 0
        largest = 0
        while True:
            message = await receive()
            size += len(message["body"])
            largest = max(largest, len(message["body"]))
            if not message["more_body"]:
                break
        await reply(send, b"%d %d" % (size, largest))

    async with serving(handler, max_body_backlog=100_000) as server, connected(server.port) as stream:
        await stream.send_all(post(b"content-length: %d\r\n" % total))
        sent = 0

        async def write() -> None:
            nonlocal sent
            for _ in range(64):
                await stream.send_all(bytes(1024 * 1024))
                sent += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await trio.sleep(0.3)
            assert sent < 32  # the rest of it waits in the client
            gate.set()
        size, largest = map(int, (await HttpReader(stream).answer()).body.split())
        assert size == total
        assert largest < 100_000 + 65536


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_client_that_leaves_while_its_body_is_not_read_is_seen(how: str) -> None:
    left = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["extensions"]["triway.disconnect"].subscribe(lambda reason: left.set())
        await left.wait()

    async with serving(handler, max_body_backlog=1000) as server, connected(server.port) as stream:
        await stream.send_all(post(b"content-length: 1000000\r\n", bytes(5_000)))
        await trio.sleep(0.05)
        await stream.send_all(bytes(30_000))  # stays in the kernel, in front of the FIN
        leave(stream, how)
        with trio.fail_after(10):
            await left.wait()


async def test_expect_is_answered_when_the_app_wants_the_body() -> None:
    gate = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, await read_body(receive))

    async with serving(handler) as server, connected(server.port) as stream:
        for _ in range(2):
            await stream.send_all(post(b"expect: 100-Continue\r\ncontent-length: 3\r\n"))
            reader = HttpReader(stream)
            if not gate.is_set():
                with trio.move_on_after(0.1):
                    pytest.fail(f"got {await stream.receive_some()!r}")
                gate.set()
            assert await reader.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
            await stream.send_all(b"abc")
            assert (await reader.answer()).body == b"abc"


async def test_expect_with_the_body_sent_anyway_gets_no_100() -> None:
    async with serving(echo) as server:
        answer = await ask(server.port, post(b"expect: 100-continue\r\ncontent-length: 3\r\n", b"abc"))
        assert (answer.status, answer.body) == (200, b"abc")


async def test_a_refused_expectation_closes() -> None:
    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await reply(send, status=413)

    async with serving(handler) as server, connected(server.port) as stream:
        await stream.send_all(post(b"expect: 100-continue\r\ncontent-length: 3\r\n"))
        data = await read_all(stream)
    assert data.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in data


async def refuses(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await reply(send, b"no", status=401)


async def test_a_short_body_left_unread_keeps_the_connection() -> None:
    async with serving(refuses) as server, connected(server.port) as stream:
        reader = HttpReader(stream)
        for _ in range(3):
            await stream.send_all(post(b"content-length: 50000\r\n", bytes(20_000)))
            answer = await reader.answer()
            assert (answer.status, answer.headers.get("connection")) == (401, None)
            await stream.send_all(bytes(30_000))


@pytest.mark.parametrize("framing", [b"content-length: 10000000\r\n", b"transfer-encoding: chunked\r\n"])
async def test_a_long_body_left_unread_closes_but_the_answer_arrives(framing: bytes) -> None:
    async with serving(refuses) as server, connected(server.port) as stream:
        chunk = b"%x\r\n" % 150_000 + bytes(150_000) + b"\r\n"
        await stream.send_all(post(framing, chunk))
        reader = HttpReader(stream)
        answer = await reader.answer()
        assert (answer.status, answer.headers["connection"], answer.body) == (401, "close", b"no")
        with pytest.raises(EOFError):
            await reader.exactly(1)


async def test_a_body_that_stalls_after_the_answer_ends_the_connection() -> None:
    async with serving(refuses, header_timeout=0.2) as server, connected(server.port) as stream:
        await stream.send_all(post(b"content-length: 100\r\n"))
        assert (await read_all(stream)).startswith(b"HTTP/1.1 401")


async def test_bad_chunks_look_like_a_disconnect_to_the_app_and_are_a_400_to_the_client() -> None:
    seen: list[Any] = []

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["extensions"]["triway.disconnect"].subscribe(seen.append)
        assert (await receive())["body"] == b"abc"
        seen.append((await receive())["type"])

    async with serving(handler) as server, connected(server.port) as stream:
        await stream.send_all(post(b"transfer-encoding: chunked\r\n", b"3\r\nabc\r\n"))
        await trio.sleep(0.05)
        await stream.send_all(b"nonsense\r\n")
        assert (await HttpReader(stream).answer()).status == 400
    assert seen == ["disconnect", "http.disconnect"]
