"""Responses of HTTP/1.1: their framing, what keeps a connection, and the scope."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import trio

from tests.proxy.server.support import (
    GET,
    App,
    HttpReader,
    ask,
    body,
    connected,
    echo,
    read_all,
    read_body,
    reply,
    request,
    sends,
    serving,
    start,
)


async def raw_answer(app: App, raw: bytes) -> bytes:
    """The bytes of the answer, of a connection that ends with it; without the date."""
    async with serving(app) as server, connected(server.port) as stream:
        await stream.send_all(raw)
        data = await read_all(stream)
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"date: ")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + rest


CLOSING = request(headers=b"connection: close\r\n")


async def test_a_length_given_is_sent_as_it_is() -> None:
    app = sends(start((b"Content-Length", b"4"), (b"X-A", b"1")), body(b"ab", more=True), body(b"cd"))
    assert await raw_answer(app, CLOSING) == (
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 4\r\nconnection: close\r\n\r\nabcd"
    )


async def test_a_body_of_one_piece_gets_its_length() -> None:
    assert await raw_answer(sends(start(), body(b"abcd")), CLOSING) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nabcd"
    )


async def test_a_stream_is_chunked() -> None:
    app = sends(start(), body(b"ab", more=True), body(b"", more=True), body(b"c" * 17, more=True), body(b""))
    assert await raw_answer(app, CLOSING) == (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b"2\r\nab\r\n11\r\n" + b"c" * 17 + b"\r\n0\r\n\r\n"
    )


async def test_the_last_chunk_comes_with_its_end() -> None:
    app = sends(start(), body(b"ab", more=True), body(b"cd"))
    assert (await raw_answer(app, CLOSING)).endswith(b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")


async def test_http_1_0_gets_a_stream_until_the_close() -> None:
    app = sends(start(), body(b"ab", more=True), body(b"cd"))
    assert await raw_answer(app, request(version=b"1.0")) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcd"


async def test_a_transfer_encoding_of_the_app_is_dropped() -> None:
    app = sends(start((b"transfer-encoding", b"chunked")), body(b"ab"))
    assert b"transfer-encoding" not in await raw_answer(app, CLOSING)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body(status: int) -> None:
    async with serving(sends(start(status=status), body(b"no"))) as server, connected(server.port) as stream:
        await stream.send_all(GET + GET)
        reader = HttpReader(stream)
        for _ in range(2):
            answer = await reader.answer()
            assert answer.status == status
            assert "content-length" not in answer.headers
            assert "transfer-encoding" not in answer.headers


async def test_head_has_the_length_but_no_body() -> None:
    app = sends(start((b"content-length", b"5")), body(b"hello"))
    async with serving(app) as server, connected(server.port) as stream:
        await stream.send_all(request(b"HEAD") + GET)
        reader = HttpReader(stream)
        assert (await reader.answer(method="HEAD")).headers["content-length"] == "5"
        assert (await reader.answer()).body == b"hello"


async def test_head_of_a_stream() -> None:
    app = sends(start(), body(b"a", more=True), body(b"b"))
    async with serving(app) as server, connected(server.port) as stream:
        await stream.send_all(request(b"HEAD") * 2)
        reader = HttpReader(stream)
        for _ in range(2):
            assert "transfer-encoding" not in (await reader.answer(method="HEAD")).headers


async def test_date() -> None:
    async with serving(echo) as server:
        date = parsedate_to_datetime((await ask(server.port, GET)).headers["date"])
        assert date.utcoffset() is not None


async def test_a_date_of_the_app_stays_the_only_one() -> None:
    app = sends(start((b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT")), body(b""))
    async with serving(app) as server, connected(server.port) as stream:
        await stream.send_all(CLOSING)
        data = await read_all(stream)
    assert data.count(b"date:") == 1
    assert b"1970" in data


async def test_nothing_is_sent_before_the_body_begins() -> None:
    gate = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(start())
        await gate.wait()
        await send(body(b"x"))

    async with serving(handler) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        with trio.move_on_after(0.1):
            pytest.fail(f"got {await stream.receive_some()!r}")
        gate.set()
        assert (await HttpReader(stream).answer()).body == b"x"


async def test_a_head_and_its_body_are_one_write() -> None:
    """On loopback, one write that fits arrives in one piece."""
    async with serving(echo) as server, connected(server.port) as stream:
        for _ in range(20):
            await stream.send_all(GET)
            assert (await stream.receive_some(65536)).count(b"\r\n\r\n") == 1


async def test_large_bodies_arrive_whole() -> None:
    data = bytes(range(256)) * 20_000

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(start())
        for at in range(0, len(data), 1_000_000):
            await send(body(data[at : at + 1_000_000], more=True))
        await send(body(b""))

    async with serving(handler) as server, connected(server.port) as stream:
        for _ in range(2):
            await stream.send_all(GET)
            assert (await HttpReader(stream).answer()).body == data


# -- connections ------------------------------------------------------------------------------------------------------


async def test_a_connection_serves_many_requests() -> None:
    async with serving(echo) as server, connected(server.port) as stream:
        reader = HttpReader(stream)
        for index in range(50):
            data = b"%d" % index
            await stream.send_all(request(b"POST", headers=b"content-length: %d\r\n" % len(data)) + data)
            answer = await reader.answer()
            assert answer.body == data
            assert "connection" not in answer.headers


async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    running = 0

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        nonlocal running
        running += 1
        assert running == 1
        data = await read_body(receive)
        await trio.sleep(0.005)
        running -= 1
        await reply(send, scope["raw_path"] + b":" + data)

    raw = b""
    for index in range(8):
        framing = (
            b"content-length: 2\r\n\r\nab" if index % 2 else b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        )
        raw += b"POST /%d HTTP/1.1\r\nhost: test\r\n" % index + framing
        raw += b"GET /get%d HTTP/1.1\r\nhost: test\r\n\r\n" % index
    for size in (len(raw), 40, 7):
        async with serving(handler) as server, connected(server.port) as stream:
            for at in range(0, len(raw), size):
                await stream.send_all(raw[at : at + size])
                await trio.lowlevel.checkpoint()
            reader = HttpReader(stream)
            for index in range(8):
                assert (await reader.answer()).body == b"/%d:ab" % index
                assert (await reader.answer()).body == b"/get%d:" % index


async def test_read_ahead_is_bounded() -> None:
    gate = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send)

    count = 40_000
    async with (
        serving(handler, max_head_bytes=8192, keep_alive_max_requests=0) as server,
        connected(server.port) as stream,
    ):
        sent = 0

        async def write() -> None:
            nonlocal sent
            for _ in range(count // 100):
                await stream.send_all(GET * 100)
                sent += 100

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await trio.sleep(0.3)
            stuck = sent
            assert stuck < count  # it does not take them all in while the first one runs
            gate.set()
            reader = HttpReader(stream)
            for _ in range(count):
                assert (await reader.answer()).status == 200


async def test_the_client_may_end_the_connection() -> None:
    async with serving(echo) as server, connected(server.port) as stream:
        await stream.send_all(CLOSING + GET)
        data = await read_all(stream)
    assert data.count(b"HTTP/1.1 200") == 1
    assert b"connection: close\r\n" in data


async def test_the_app_may_end_the_connection() -> None:
    async with serving(sends(start((b"connection", b"close")), body(b"x"))) as server:
        async with connected(server.port) as stream:
            await stream.send_all(GET)
            assert b"connection: close\r\n" in await read_all(stream)


async def test_requests_of_a_connection_are_counted() -> None:
    async with serving(echo, keep_alive_max_requests=3) as server, connected(server.port) as stream:
        await stream.send_all(GET * 5)
        data = await read_all(stream)
    assert data.count(b"HTTP/1.1 200") == 3
    assert data.count(b"connection: close") == 1


async def test_connections_are_counted() -> None:
    async with serving(echo, max_connections=1) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        await HttpReader(stream).answer()
        async with connected(server.port) as second:
            answer = await HttpReader(second).answer()
            assert answer.status == 503
            assert json.loads(answer.body)["error"]["type"] == "server_error"
        await stream.send_all(GET)
        assert (await HttpReader(stream).answer()).status == 200


async def test_the_scope(certificates: Any) -> None:
    scopes: list[dict[str, Any]] = []

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        await reply(send)

    app = App(handler, state={"key": "value"})
    async with serving(app) as server, connected(server.port) as stream:
        await stream.send_all(b"GET /a%20b/%C3%A9?q=%20 HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n" + GET)
        reader = HttpReader(stream)
        await reader.answer()
        await reader.answer()
        client = stream.socket.getsockname()
    scope = scopes[0]
    assert scope.pop("extensions").keys() == {"triway.disconnect"}
    assert scope == {
        "type": "http",
        "asgi": {"spec_version": "2.4", "version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a b/é",
        "raw_path": b"/a%20b/%C3%A9",
        "query_string": b"q=%20",
        "root_path": "",
        "headers": [(b"host", b"h"), (b"x-a", b"b")],
        "client": client,
        "server": ("127.0.0.1", server.port),
        "state": {"key": "value"},
    }
    assert scopes[1]["state"] is not scope["state"]
