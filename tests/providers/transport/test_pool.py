"""The pool against real sockets: keep-alive, framing, failures."""

from __future__ import annotations

import socket

import pytest
import trio

from providers.errors import BadResponseError, ProviderConnectionError, ProviderTimeoutError
from providers.transport.failures import ConnectError, DisconnectedError, SlotTimeoutError
from providers.transport.pool import ConnectionPool
from tests.providers.transport.support import OK, Peer, answering, eventually, fetch, read, serve


async def test_a_request_arrives_as_it_was_meant() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(f"{server.url}/v1?version=7", trust_env=False)
        status, headers, body = await fetch(
            pool, b"POST", b"/chat?stream=1", [(b"Authorization", b"Bearer k")], b'{"a":1}'
        )
        await pool.aclose()
    assert (status, headers, body) == (200, [(b"content-length", b"2")], b"ok")
    (request,) = server.requests
    assert request.raw_head.split(b"\r\n") == [
        b"POST /v1/chat?version=7&stream=1 HTTP/1.1",
        b"Authorization: Bearer k",
        b"host: 127.0.0.1:%d" % server.port,
        b"accept-encoding: identity",
        b"content-length: 7",
    ]
    assert request.body == b'{"a":1}'


async def test_one_connection_serves_requests_one_after_the_other() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        for _ in range(20):
            response = await pool.request(b"POST", b"/x", [], b"{}")
            assert (pool.used_slots, pool.open_connections) == (1, 1)
            assert await read(response) == b"ok"
            response.close()
            response.close()
            assert (pool.used_slots, pool.open_connections) == (0, 1)
        await pool.aclose()
        assert pool.open_connections == 0
    assert server.connections == 1


async def test_a_body_that_is_complete_but_unread_does_not_cost_the_connection() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        for _ in range(3):
            (await pool.request(b"POST", b"/x", [], b"{}")).close()
        await pool.aclose()
    assert server.connections == 1


async def test_an_unfinished_response_closes_its_socket_at_once() -> None:
    closed = trio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await peer.gone()
        closed.set()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        response = await pool.request(b"POST", b"/x", [], b"{}")
        assert await response.receive() == b"abc"
        response.close()
        assert (pool.used_slots, pool.open_connections) == (0, 0)
        with trio.fail_after(5):
            await closed.wait()
        with pytest.raises(trio.ClosedResourceError):
            await response.receive()


async def test_bytes_are_given_as_they_come_and_joined_if_they_came_together() -> None:
    more = trio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n")
        await more.wait()
        await peer.send(b"1\r\ng\r\n0\r\nx-trailer: 1\r\n\r\n")
        await peer.gone()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        response = await pool.request(b"POST", b"/x", [], b"{}")
        assert await response.receive() == b"abcdef"
        more.set()
        assert await response.receive() == b"g"
        assert await response.receive() == b""
        assert await response.receive() == b""
        response.close()
        assert pool.open_connections == 1
        assert b"x-trailer" not in dict(response.headers)
        await pool.aclose()


@pytest.mark.parametrize(
    ("method", "answer", "status", "body", "kept"),
    [
        (b"POST", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"POST", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", True),
        (b"POST", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
        (b"POST", b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
        (b"POST", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
        (b"POST", b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", True),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n", 200, b"", False),
        (b"POST", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n", 200, b"ok", True),
        (b"POST", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + OK, 200, b"ok", True),
        (b"POST", OK + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nextra", 200, b"ok", False),
        (b"POST", OK + b"garbage", 200, b"ok", False),
        (b"POST", OK + b"H", 200, b"ok", False),
    ],
)
async def test_framing(method: bytes, answer: bytes, status: int, body: bytes, kept: bool) -> None:
    async with serve(answering(answer)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        got = await fetch(pool, method)
        assert (got[0], got[2]) == (status, body)
        assert b"link" not in dict(got[1])
        assert pool.open_connections == int(kept)
        await pool.aclose()


async def test_a_body_may_last_until_the_connection_ends() -> None:
    async with serve(answering(b"HTTP/1.1 200 OK\r\n\r\nall of it", then_close=True)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        assert (await fetch(pool))[2] == b"all of it"
        assert pool.open_connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ],
)
async def test_a_body_that_is_cut_is_an_error_after_what_came(answer: bytes) -> None:
    async with serve(answering(answer, then_close=True)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        response = await pool.request(b"POST", b"/x", [], b"{}")
        assert await response.receive() == b"abc"
        with pytest.raises(DisconnectedError) as caught:
            await response.receive()
        response.close()
        assert caught.value.sent
        assert (pool.used_slots, pool.open_connections) == (0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 40,
        b"HTTP/1.1 199 Odd\r\ncontent-length: 3\r\n\r\nabc" + OK,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 12_000 + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
    ],
)
async def test_what_is_not_http_is_a_bad_response(answer: bytes) -> None:
    async with serve(answering(answer)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        with pytest.raises(BadResponseError) as caught:
            await fetch(pool)
        assert "yyy" not in str(caught.value)
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_garbage_inside_a_body_comes_after_what_was_good() -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"
    async with serve(answering(answer)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        response = await pool.request(b"POST", b"/x", [], b"{}")
        assert await response.receive() == b"abc"
        with pytest.raises(BadResponseError):
            await response.receive()
        response.close()


@pytest.mark.parametrize(
    "flood", [b"5;" + b"e" * 400_000, b"0\r\n" + b"t: u\r\n" * 60_000, b"0\r\nt:" + b"u" * 400_000]
)
async def test_framing_without_content_is_bounded(flood: bytes) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n" + flood)
        await peer.gone()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        response = await pool.request(b"POST", b"/x", [], b"{}")
        with pytest.raises(BadResponseError), trio.fail_after(10):
            await read(response)
        response.close()


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        (b"POST", b"/x\r\nx: y", []),
        (b"POST", b"/x y", []),
        (b"POST", b"x", []),
        (b"PO ST", b"/x", []),
        (b"POST", b"/x", [(b"authorization", b"secret\r\nx: y")]),
        (b"POST", b"/x", [(b"authorization", b"secret\n")]),
        (b"POST", b"/x", [(b"authorization", b"secret\r")]),
        (b"POST", b"/x", [(b"authorization", b"secret\0")]),
        (b"POST", b"/x", [(b"bad name", b"secret")]),
        (b"POST", b"/x", [(b"bad:name", b"secret")]),
        (b"POST", b"/x", [(b"", b"secret")]),
        (b"POST", b"/x", [(b"content-length", b"7")]),
        (b"POST", b"/x", [(b"transfer-encoding", b"chunked")]),
    ],
)
async def test_a_request_that_is_not_http_is_refused_before_anything_is_sent(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        for _ in range(2):  # What was refused once must not be remembered as good.
            with pytest.raises(ValueError, match=r"\w") as caught:
                await fetch(pool, method, target, headers)
            assert "secret" not in str(caught.value)
        assert (server.connections, pool.used_slots) == (0, 0)


async def test_connections_grow_old() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False, keepalive_expiry=0.05)
        await fetch(pool)
        await fetch(pool)
        assert server.connections == 1
        await trio.sleep(0.1)
        await fetch(pool)
        assert (server.connections, pool.open_connections) == (2, 1)
        await trio.sleep(0.1)
        pool.close_idle()
        assert pool.open_connections == 0
        await eventually(lambda: server.open == 0)


async def test_the_surplus_of_a_burst_is_closed() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False, max_idle=3)
        responses = [await pool.request(b"POST", b"/x", [], b"{}") for _ in range(8)]
        assert pool.open_connections == 8
        for response in responses:
            response.close()
        assert (pool.open_connections, pool.used_slots) == (3, 0)
        await eventually(lambda: server.open == 3)
        await pool.aclose()


async def test_the_youngest_idle_connection_is_taken_first() -> None:
    async def handler(peer: Peer) -> None:
        while await peer.request() is not None:
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % peer.number)

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        first = await pool.request(b"POST", b"/x", [], b"{}")
        second = await pool.request(b"POST", b"/x", [], b"{}")
        second.close()
        first.close()
        assert (await fetch(pool))[2] == b"0"
        await pool.aclose()


@pytest.mark.parametrize("parting", [b"", b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n", b"\0"])
async def test_a_connection_that_went_stale_is_not_used(parting: bytes) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number == 0 and parting:
            await peer.send(parting)

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        await fetch(pool)
        await eventually(lambda: server.open == 0)
        assert (await fetch(pool))[0] == 200
        assert (server.connections, len(server.requests)) == (2, 2)
        await pool.aclose()


class Ageing:
    """A server that breaks its first connection when the second request on it arrives."""

    def __init__(self) -> None:
        self.heads = 0

    async def __call__(self, peer: Peer) -> None:
        while await peer.head() is not None:
            self.heads += 1
            if self.heads == 2:
                return
            await peer.send(OK)


async def test_a_post_that_may_have_been_seen_is_not_sent_again() -> None:
    handler = Ageing()
    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        await fetch(pool, b"POST", body=b"")
        with pytest.raises(ProviderConnectionError) as caught:
            await fetch(pool, b"POST", body=b"")
        assert caught.value.sent
        assert (handler.heads, server.connections) == (2, 1)
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_a_get_is_sent_again_once() -> None:
    handler = Ageing()
    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        await fetch(pool, b"GET", body=b"")
        assert (await fetch(pool, b"GET", body=b""))[0] == 200
        assert (handler.heads, server.connections) == (3, 2)
        await pool.aclose()


async def test_a_get_is_not_sent_again_on_a_new_connection() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        with pytest.raises(DisconnectedError):
            await fetch(pool, b"GET", body=b"")
        assert server.connections == 1


async def test_refused_connections_and_unknown_names_say_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        pool = ConnectionPool(f"http://127.0.0.1:{port}", trust_env=False)
        with pytest.raises(ConnectError, match=f"127.0.0.1:{port}: connection refused") as caught:
            await fetch(pool)
    assert not caught.value.sent
    assert (pool.used_slots, pool.open_connections) == (0, 0)
    pool = ConnectionPool("http://no-such-host.invalid", trust_env=False)
    with pytest.raises(ConnectError, match=r"no-such-host\.invalid:80: the name could not be resolved"):
        await fetch(pool)


async def test_connecting_has_a_deadline() -> None:
    with socket.socket() as listener:  # Its queue is full, so the kernel leaves more of them unanswered.
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        pool = ConnectionPool(f"http://127.0.0.1:{listener.getsockname()[1]}", connect_timeout=0.1, trust_env=False)
        with pytest.raises(ProviderTimeoutError, match="within 100 ms") as caught:
            await fetch(pool)
        for filler in fillers:
            filler.close()
    assert caught.value.phase == "connect"
    assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_waiting_for_a_slot_has_a_deadline() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False, max_connections=1, connect_timeout=0.05)
        response = await pool.request(b"POST", b"/x", [], b"{}")
        with pytest.raises(SlotTimeoutError):
            await fetch(pool)
        assert (pool.used_slots, pool.waiting_requests) == (1, 0)
        response.close()
        assert (await fetch(pool))[0] == 200
        await pool.aclose()


async def test_slots_are_given_in_the_order_of_asking() -> None:
    order: list[int] = []

    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False, max_connections=1)
        held = await pool.request(b"POST", b"/x", [], b"{}")

        async def one(number: int) -> None:
            await fetch(pool, b"POST", b"/%d" % number)
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(one, number)
                await eventually(lambda wanted=number + 1: pool.waiting_requests == wanted)
            held.close()
            # A newcomer finds the slot free for no instant.
            await one(99)
        assert order == [*range(8), 99]
        assert (server.connections, pool.used_slots) == (1, 0)
        await pool.aclose()


async def test_never_more_sockets_than_connections_allowed() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False, max_connections=4)
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(fetch, pool)
        assert server.connections <= 4
        assert pool.used_slots == 0
        await pool.aclose()


async def test_large_bodies_go_both_ways() -> None:
    async def handler(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(request.body) + request.body)

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        for size in (0, 1, 65536, 65537, 9_000_000):
            body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
            assert (await fetch(pool, body=body))[2] == body
        assert server.connections == 1
        await pool.aclose()
