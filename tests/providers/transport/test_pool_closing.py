"""A pool that is closed under its requests: each ends with `PoolClosedError`, wherever it was just then."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from providers.transport.connection import Connection
from providers.transport.failures import PoolClosedError
from providers.transport.httpx_upstream import HTTPXUpstream
from providers.transport.pool import ConnectionPool
from tests.providers.transport.support import Peer, answering, eventually, fetch, serve

HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"


async def test_closing_the_pool_ends_every_request() -> None:
    outcomes: list[str] = []

    async def handler(peer: Peer) -> None:
        if peer.number == 0:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        await peer.gone()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False, max_connections=2)

        async def one() -> None:
            try:
                await fetch(pool)
            except PoolClosedError as error:
                outcomes.append(error.message)

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(one)
            await eventually(lambda: server.connections == 2 and pool.waiting_requests == 2)
            await pool.aclose()
        assert len(outcomes) == 4
        assert (pool.used_slots, pool.open_connections, pool.waiting_requests) == (0, 0, 0)
        with pytest.raises(PoolClosedError):
            await fetch(pool)
        await eventually(lambda: server.open == 0)


async def test_closing_the_pool_ends_a_handshake() -> None:
    async def handler(peer: Peer) -> None:
        await peer.gone()

    async def close_soon(pool: ConnectionPool) -> None:
        await eventually(lambda: server.connections == 1)
        await pool.aclose()

    async with serve(handler) as server:
        pool = ConnectionPool(f"https://127.0.0.1:{server.port}", trust_env=False, connect_timeout=60)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(close_soon, pool)
            with pytest.raises(PoolClosedError), trio.fail_after(5):
                await fetch(pool)
        assert (pool.used_slots, pool.open_connections) == (0, 0)
        await eventually(lambda: server.open == 0)


@pytest.mark.parametrize("part", ["head", "body"])
async def test_a_socket_that_gets_ready_in_the_instant_in_which_it_is_closed(part: str) -> None:
    # Both tasks are woken by one look at the sockets, and trio runs them in either order: so it is done often.
    for _ in range(40):
        ours, theirs = socket.socketpair()
        bell, ringer = socket.socketpair()
        ours.setblocking(False)
        connection = Connection(ours, memoryview(bytearray(4096)), 4096)
        connection.start(head_only=False)
        if part == "body":
            theirs.send(HALF)
            await connection.read_head()
            assert await connection.receive() == b"abc"

        async def close_at_the_bell(bell: socket.socket, connection: Connection) -> None:
            await trio.lowlevel.wait_readable(bell)
            connection.close()

        async def wait(connection: Connection) -> None:
            with pytest.raises(PoolClosedError):
                await (connection.read_head() if part == "head" else read_on(connection))

        with theirs, bell, ringer, trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(close_at_the_bell, bell, connection)
                nursery.start_soon(wait, connection)
                await trio.testing.wait_all_tasks_blocked()
                theirs.send(b"H")
                ringer.send(b"!")


async def read_on(connection: Connection) -> None:
    while await connection.receive():
        pass


async def test_a_response_whose_reader_is_busy_elsewhere() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(HALF)
        await peer.gone()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        response = await pool.request(b"POST", b"/x", [], b"{}")
        assert await response.receive() == b"abc"
        await pool.aclose()
        # The next sockets get the number that the connection had. Nobody may wait for them in its place.
        with trio.fail_after(5):
            first, second = socket.socketpair()
            with first, second, pytest.raises(PoolClosedError):
                await response.receive()
        response.close()
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_a_request_whose_body_is_still_being_made() -> None:
    async with serve(answering(b"")) as server:
        pool = ConnectionPool(server.url, trust_env=False)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await pool.aclose()
            yield b"second"

        with pytest.raises(PoolClosedError), trio.fail_after(5):
            await pool.exchange(b"POST", b"/x", [], pieces())
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_a_body_that_waits_for_room() -> None:
    async def handler(peer: Peer) -> None:
        await trio.sleep_forever()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        async with trio.open_nursery() as nursery:

            async def one() -> None:
                with pytest.raises(PoolClosedError):
                    await fetch(pool, body=bytes(50_000_000))

            nursery.start_soon(one)
            await eventually(lambda: server.connections == 1)
            await trio.testing.wait_all_tasks_blocked(0.01)
            await pool.aclose()
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_httpx_says_the_same() -> None:
    outcomes: list[str] = []

    async def handler(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(HALF)
        await peer.gone()

    async with serve(handler) as server:
        upstream = HTTPXUpstream(server.url, trust_env=False, max_connections=2, connect_timeout=60)

        async def one() -> None:
            try:
                await fetch(upstream)
            except PoolClosedError as error:
                outcomes.append(error.message)

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(one)
                await eventually(lambda: server.connections == 2)
                await trio.testing.wait_all_tasks_blocked(0.02)
                await upstream.aclose()
        assert outcomes == ["the connection pool was closed"] * 4
        await eventually(lambda: upstream.used_slots == 0)
