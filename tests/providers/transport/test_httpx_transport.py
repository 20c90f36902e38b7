"""httpx's client on the pool: its own exceptions, its own timeouts, bodies that stream both ways."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from providers.transport.httpx_transport import TrioTransport
from tests.providers.transport.support import OK, Peer, answering, eventually, serve


async def test_requests_of_a_client_share_a_connection() -> None:
    async with serve(answering(OK)) as server:
        transport = TrioTransport(trust_env=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"{server.url}/v1") as client:
            for _ in range(3):
                response = await client.post("/x%20y", params={"a": "b c"}, json={"hello": "wörld"})
                assert (response.status_code, response.text) == (200, "ok")
                assert response.http_version == "HTTP/1.1"
            assert (transport.open_connections, transport.used_slots) == (1, 0)
        assert transport.open_connections == 0
    assert server.connections == 1
    request = server.requests[0]
    assert request.line == b"POST /v1/x%20y?a=b+c HTTP/1.1"
    assert request.body == '{"hello":"wörld"}'.encode()
    assert request.headers[b"host"] == b"127.0.0.1:%d" % server.port
    assert b"gzip" in request.headers[b"accept-encoding"]
    assert request.raw_head.lower().count(b"content-length") == 1


async def test_bodies_stream_up_in_chunks_or_with_a_length() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"", b"bc", b"d" * 100_000):
            yield piece

    async with serve(answering(OK)) as server:
        async with httpx.AsyncClient(transport=TrioTransport(trust_env=False)) as client:
            await client.post(server.url, content=pieces())
            await client.post(server.url, content=pieces(), headers={"content-length": "100003"})
    assert server.connections == 1
    assert [request.body for request in server.requests] == [b"abc" + b"d" * 100_000] * 2
    assert server.requests[0].headers[b"transfer-encoding"] == b"chunked"
    assert b"transfer-encoding" not in server.requests[1].headers


async def test_bodies_stream_down_and_are_decompressed_by_httpx() -> None:
    more = trio.Event()

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await more.wait()
        await peer.send(b"3\r\ndef\r\n0\r\n\r\n")
        await peer.request()
        packed = gzip.compress(b"hello")
        await peer.send(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
        )
        await peer.gone()

    async with serve(handler) as server:
        transport = TrioTransport(trust_env=False)
        async with httpx.AsyncClient(transport=transport) as client:
            async with client.stream("GET", server.url) as response:
                got = []
                async for data in response.aiter_bytes():
                    got.append(data)
                    more.set()
            assert got == [b"abc", b"def"]
            response = await client.get(server.url)
            assert response.text == "hello"
            assert response.headers["content-encoding"] == "gzip"
            assert (server.connections, transport.used_slots) == (1, 0)


async def test_leaving_a_stream_early_closes_its_socket() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        await peer.gone()

    async with serve(handler) as server:
        transport = TrioTransport(trust_env=False)
        async with httpx.AsyncClient(transport=transport) as client:
            async with client.stream("GET", server.url):
                assert transport.used_slots == 1
            assert (transport.used_slots, transport.open_connections) == (0, 0)
            await eventually(lambda: server.open == 0)


async def test_a_stream_that_fails_gives_its_slot_back_at_once() -> None:
    async with serve(cut) as server:
        transport = TrioTransport(trust_env=False)
        async with httpx.AsyncClient(transport=transport) as client, client.stream("GET", server.url) as response:
            with pytest.raises(httpx.RemoteProtocolError):
                await response.aread()
            assert (transport.used_slots, transport.open_connections) == (0, 0)


async def deaf(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def silent(peer: Peer) -> None:
    await trio.sleep_forever()


async def half(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
    await trio.sleep_forever()


async def cut(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")


async def dropping(peer: Peer) -> None:
    await peer.request()


async def resetting(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def talking_ssh(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"SSH-2.0\r\n")


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (deaf, httpx.ReadTimeout),
        (half, httpx.ReadTimeout),
        (silent, httpx.WriteTimeout),
        (cut, httpx.RemoteProtocolError),
        (dropping, httpx.RemoteProtocolError),
        (resetting, httpx.ReadError),
        (talking_ssh, httpx.RemoteProtocolError),
    ],
)
async def test_failures_are_httpxs_own(handler: object, expected: type[httpx.TransportError]) -> None:
    async with serve(handler) as server:  # type: ignore[arg-type]
        transport = TrioTransport(trust_env=False)
        timeout = httpx.Timeout(5, read=0.1, write=0.1 if handler is silent else 5)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            with pytest.raises(expected) as caught:
                await client.post(server.url, content=bytes(30_000_000 if handler is silent else 2))
            assert type(caught.value) is expected
            assert caught.value.request.method == "POST"
            assert (transport.used_slots, transport.open_connections) == (0, 0)


async def test_failures_to_connect() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with httpx.AsyncClient(transport=TrioTransport(trust_env=False)) as client:
            with pytest.raises(httpx.ConnectError, match="refused"):
                await client.get(f"http://127.0.0.1:{port}")
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.get("ftp://service.test")
            with pytest.raises(httpx.LocalProtocolError):
                await client.get(f"http://127.0.0.1:{port}", headers={"x": "a\r\nb: c"})
        unused.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(unused.getsockname())
        timeout = httpx.Timeout(5, connect=0.1)
        async with httpx.AsyncClient(transport=TrioTransport(trust_env=False), timeout=timeout) as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.get(f"http://127.0.0.1:{port}")
        for filler in fillers:
            filler.close()


async def test_the_pool_timeout_is_for_waiting_for_a_slot() -> None:
    async with serve(answering(OK)) as server:
        transport = TrioTransport(trust_env=False, max_connections=1)
        async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(5, pool=0.05)) as client:
            async with client.stream("GET", server.url):
                with pytest.raises(httpx.PoolTimeout):
                    await client.get(server.url)
            assert (await client.get(server.url)).status_code == 200


async def test_a_proxy_and_tls(server_tls: ssl.SSLContext, ca_bundle: str) -> None:
    async with serve(answering(OK)) as proxy:
        async with httpx.AsyncClient(transport=TrioTransport(proxy=proxy.url, trust_env=False)) as client:
            assert (await client.get("http://service.test/x")).text == "ok"
        assert proxy.requests[0].line == b"GET http://service.test/x HTTP/1.1"
    async with serve(answering(OK), tls=server_tls) as server:
        async with httpx.AsyncClient(transport=TrioTransport(trust_env=False, ca_bundle=ca_bundle)) as client:
            assert (await client.get(server.url)).text == "ok"
        async with httpx.AsyncClient(transport=TrioTransport(trust_env=False)) as client:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await client.get(server.url)


async def test_origins_are_bounded() -> None:
    async with serve(answering(OK)) as one, serve(answering(OK)) as two, serve(answering(OK)) as three:
        transport = TrioTransport(trust_env=False, max_origins=2)
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(one.url)
            await client.get(two.url)
            await client.get(one.url)
            assert transport.open_connections == 2
            await client.get(three.url)
            assert transport.open_connections == 2
            await eventually(lambda: two.open == 0)
            assert one.open == 1
            async with client.stream("GET", one.url), client.stream("GET", three.url):
                with pytest.raises(httpx.PoolTimeout, match="too many origins"):
                    await client.get(two.url)
            assert (await client.get(two.url)).status_code == 200


async def test_cancelled_requests_leave_nothing() -> None:
    async with serve(deaf) as server:
        transport = TrioTransport(trust_env=False, max_connections=3)
        async with httpx.AsyncClient(transport=transport, timeout=None) as client:
            with trio.move_on_after(0.1):
                async with trio.open_nursery() as nursery:
                    for _ in range(20):
                        nursery.start_soon(client.get, server.url)
            assert (transport.used_slots, transport.open_connections) == (0, 0)
            await eventually(lambda: server.open == 0)
