"""A service may answer before it has read the whole request."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
import trio

from providers.transport.failures import DisconnectedError, ReceiveError, SendError
from providers.transport.pool import ConnectionPool
from tests.providers.transport.support import OK, Peer, fetch, read, serve

TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig"
LARGE = bytes(40_000_000)


@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("ending", ["linger", "reset"])
async def test_the_answer_is_taken_and_the_rest_is_not_sent(
    secured: bool, ending: str, server_tls: ssl.SSLContext, ca_bundle: str
) -> None:
    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.send(TOO_LARGE)
        if ending == "linger":
            await trio.sleep_forever()
        await trio.sleep(0.05)
        peer.reset()

    async with serve(handler, tls=server_tls if secured else None) as server:
        pool = ConnectionPool(server.url, trust_env=False, ca_bundle=ca_bundle)
        with trio.fail_after(10):
            status, _, body = await fetch(pool, body=LARGE)
        assert (status, body) == (413, b"big")
        # The request was cut, so the connection can carry no other.
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_the_answer_is_found_after_a_send_that_failed() -> None:
    answered = trio.Event()

    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.send(TOO_LARGE)
        await trio.sleep(0.05)
        peer.reset()
        answered.set()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await answered.wait()
        await trio.sleep(0.05)
        yield b"x" * 1000

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        response = await pool.exchange(b"POST", b"/x", [], pieces())
        assert (response.status, await read(response)) == (413, b"big")
        response.close()
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_100_continue_does_not_stop_the_request() -> None:
    async def handler(peer: Peer) -> None:
        head = await peer.head()
        assert head is not None
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await trio.sleep(0.02)
        size = len(await peer.exactly(len(LARGE)))
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n%d" % size)
        await peer.gone()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        assert (await fetch(pool, body=LARGE))[::2] == (200, b"40000000")
        assert pool.open_connections == 1
        await pool.aclose()


async def test_a_connection_that_breaks_while_sending_is_an_error_that_may_have_been_seen() -> None:
    async def handler(peer: Peer) -> None:
        await peer.head()
        peer.reset()

    async with serve(handler) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        with pytest.raises((SendError, ReceiveError, DisconnectedError)) as caught:
            await fetch(pool, body=LARGE)
        assert caught.value.sent
        assert (pool.used_slots, pool.open_connections) == (0, 0)
        assert server.connections == 1


async def test_a_kept_connection_that_broke_unnoticed_is_replaced_if_nothing_was_sent() -> None:
    """The check before the send cannot see everything: here the socket breaks right after it."""
    async with serve(lambda peer: _two_answers(peer)) as server:
        pool = ConnectionPool(server.url, trust_env=False)
        await fetch(pool)
        connection = pool._idle[0]
        connection._socket.shutdown(1)  # Every send fails from now on, and nothing is there to be read.
        assert not connection.is_stale()
        assert (await fetch(pool))[2] == b"ok"
        assert (server.connections, len(server.requests)) == (2, 2)
        await pool.aclose()


async def _two_answers(peer: Peer) -> None:
    while await peer.request() is not None:
        await peer.send(OK)
    await trio.sleep(0.2)
