"""Whenever a request is cancelled, its slot and its socket come back. (httpcore #1093 is what happens otherwise.)"""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from providers.transport.pool import ConnectionPool
from tests.providers.transport.support import OK, Peer, Server, answering, eventually, fetch, open_sockets, serve

Reached = Callable[[], bool]


async def silent(peer: Peer) -> None:
    """Take the connection and never read from it."""
    await trio.sleep_forever()


async def deaf(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def halfway(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-le")
    await peer.gone()


async def body_begun(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
    await peer.gone()


async def tunnel_begun(peer: Peer) -> None:
    await peer.head()
    await peer.gone()


async def cancel_when(reached: Reached, pool: ConnectionPool, body: bytes = b"{}") -> None:
    """Begin a request, wait until it has come that far, cancel it, and see that nothing is left of it."""
    ended = False

    async def one() -> None:
        nonlocal ended
        try:
            await fetch(pool, body=body)
        finally:
            ended = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        await eventually(reached)
        # A little further than the server can see.
        await trio.sleep(0.01)
        assert not ended
        nursery.cancel_scope.cancel()
    assert ended


@pytest.mark.parametrize("handler", [deaf, halfway, body_begun])
@pytest.mark.parametrize("secured", [False, True])
async def test_waiting_for_the_answer(
    handler: Callable[[Peer], object], secured: bool, server_tls: ssl.SSLContext, ca_bundle: str
) -> None:
    before = open_sockets()
    async with serve(handler, tls=server_tls if secured else None) as server:  # type: ignore[arg-type]
        pool = ConnectionPool(server.url, trust_env=False, ca_bundle=ca_bundle)
        await cancel_when(lambda: len(server.requests) == 1, pool)
        assert (pool.used_slots, pool.open_connections) == (0, 0)
        await eventually(lambda: server.open == 0)
    assert open_sockets() == before


async def test_sending() -> None:
    async with serve(silent) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        await cancel_when(lambda: pool.open_connections == 1, pool, bytes(30_000_000))
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_the_tls_handshake(ca_bundle: str) -> None:
    async with serve(silent) as server:
        pool = ConnectionPool(f"https://127.0.0.1:{server.port}", trust_env=False, ca_bundle=ca_bundle)
        before = open_sockets()
        await cancel_when(lambda: server.connections == 1, pool)
        assert (pool.used_slots, pool.open_connections) == (0, 0)
        assert open_sockets() <= before + 1  # The server's own end.


async def test_the_proxys_tunnel(ca_bundle: str) -> None:
    async with serve(tunnel_begun) as server:
        pool = ConnectionPool("https://service.test", proxy=server.url, trust_env=False, ca_bundle=ca_bundle)
        await cancel_when(lambda: server.connections == 1, pool)
        assert (pool.used_slots, pool.open_connections) == (0, 0)
        await eventually(lambda: server.open == 0)


async def test_connecting() -> None:
    before = open_sockets()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        pool = ConnectionPool(f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False)
        await cancel_when(lambda: pool.used_slots == 1, pool)
        for filler in fillers:
            filler.close()
    assert (pool.used_slots, pool.open_connections) == (0, 0)
    assert open_sockets() == before


class StuckResolver(trio.abc.HostnameResolver):
    def __init__(self) -> None:
        self.asked = 0

    async def getaddrinfo(self, *args: object, **kwargs: object) -> list[object]:  # type: ignore[override]
        self.asked += 1
        await trio.sleep_forever()
        return []

    async def getnameinfo(self, *args: object) -> tuple[str, str]:
        raise OSError


async def test_name_resolution() -> None:
    resolver = StuckResolver()
    trio.socket.set_custom_hostname_resolver(resolver)
    pool = ConnectionPool("http://service.test", trust_env=False)
    await cancel_when(lambda: resolver.asked == 1, pool)
    assert (pool.used_slots, pool.open_connections) == (0, 0)


@asynccontextmanager
async def one_slot_taken() -> AsyncIterator[tuple[Server, ConnectionPool]]:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False, max_connections=1)
        held = await pool.request(b"POST", b"/x", [], b"{}")
        yield server, pool
        held.close()
        assert pool.used_slots == 0
        for _ in range(3):
            assert (await fetch(pool))[0] == 200
        await pool.aclose()


async def test_waiting_for_a_slot() -> None:
    async with one_slot_taken() as (_, pool):
        await cancel_when(lambda: pool.waiting_requests == 1, pool)
        assert (pool.used_slots, pool.waiting_requests) == (1, 0)


async def test_being_cancelled_in_the_instant_of_getting_a_slot() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False, max_connections=1)
        held = await pool.request(b"POST", b"/x", [], b"{}")
        for give_first in (True, False):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fetch, pool)
                await eventually(lambda: pool.waiting_requests == 1)
                if give_first:
                    held.close()
                    nursery.cancel_scope.cancel()
                else:
                    nursery.cancel_scope.cancel()
                    held.close()
            assert (pool.used_slots, pool.waiting_requests) == (0, 0)
            held = await pool.request(b"POST", b"/x", [], b"{}")
        held.close()
        await pool.aclose()


async def test_a_request_that_is_cancelled_before_it_begins_sends_nothing() -> None:
    async with serve(answering(OK)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        await fetch(pool)
        with trio.CancelScope() as scope:
            scope.cancel()
            await fetch(pool)
        assert scope.cancelled_caught
        assert (pool.used_slots, pool.open_connections) == (0, 1)
        await trio.sleep(0.02)
        assert len(server.requests) == 1
        await pool.aclose()


@pytest.mark.parametrize("secured", [False, True])
async def test_a_storm_of_cancellations_leaves_a_pool_that_works(
    secured: bool, server_tls: ssl.SSLContext, ca_bundle: str
) -> None:
    dice = random.Random(7)

    async def handler(peer: Peer) -> None:
        while await peer.request() is not None:
            if peer.server.tls:
                await trio.sleep(dice.random() * 0.004)
            await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            await trio.sleep(dice.random() * 0.004)
            await peer.send(b"2\r\nok\r\n")
            await trio.sleep(dice.random() * 0.004)
            await peer.send(b"0\r\n\r\n")

    before = open_sockets()
    async with serve(handler, tls=server_tls if secured else None) as server:
        pool = ConnectionPool(server.url, trust_env=False, max_connections=10, ca_bundle=ca_bundle)
        finished = cancelled = 0

        async def one(seconds: float) -> None:
            nonlocal finished, cancelled
            with trio.move_on_after(seconds) as scope:
                assert (await fetch(pool))[2] == b"ok"
                finished += 1
            cancelled += scope.cancelled_caught

        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(one, dice.random() * 0.1)
        assert cancelled >= 50
        assert finished + cancelled == 200
        assert (pool.used_slots, pool.waiting_requests) == (0, 0)
        assert pool.open_connections <= 10

        finished = 0
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(one, 30.0)
        assert finished == 200
        assert pool.used_slots == 0
        await pool.aclose()
        assert pool.open_connections == 0
        await eventually(lambda: server.open == 0)
    assert open_sockets() == before
