"""Through an HTTP proxy: CONNECT for https, whole URLs for http, and what NO_PROXY keeps away from it."""

from __future__ import annotations

import ssl

import pytest
import trio

from providers.transport.failures import ProxyError
from providers.transport.pool import ConnectionPool
from tests.providers.transport.support import OK, Peer, Server, answering, fetch, serve


class Tunnel:
    """A proxy that answers CONNECT and then passes bytes on, whatever host was asked for."""

    def __init__(self, target: Server) -> None:
        self.target = target
        self.heads: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        head = await peer.head()
        assert head is not None
        self.heads.append(head)
        stream = await trio.open_tcp_stream("127.0.0.1", self.target.port)
        await peer.send(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n")

        async def copy(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
            async for data in source:
                await sink.send_all(data)
            nursery.cancel_scope.cancel()

        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(copy, peer.stream, stream)
            nursery.start_soon(copy, stream, peer.stream)


async def test_https_goes_through_a_tunnel_that_is_kept(server_tls: ssl.SSLContext, ca_bundle: str) -> None:
    async with serve(answering(OK), tls=server_tls) as server:
        tunnel = Tunnel(server)
        async with serve(tunnel) as proxy:
            pool = ConnectionPool(
                "https://localhost/v1",
                proxy=f"http://me:pass@127.0.0.1:{proxy.port}",
                trust_env=False,
                ca_bundle=ca_bundle,
            )
            for _ in range(3):
                assert (await fetch(pool))[2] == b"ok"
            await pool.aclose()
    assert tunnel.heads == [
        b"CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\nproxy-authorization: Basic bWU6cGFzcw=="
    ]
    assert [request.line for request in server.requests] == [b"POST /v1/x HTTP/1.1"] * 3
    assert not any(b"proxy-authorization" in request.headers for request in server.requests)


async def test_http_asks_the_proxy_for_the_whole_url() -> None:
    async with serve(answering(OK)) as proxy:
        pool = ConnectionPool("http://service.test/v1", proxy=proxy.url, trust_env=False)
        assert (await fetch(pool))[2] == b"ok"
        await pool.aclose()
    assert proxy.requests[0].line == b"POST http://service.test/v1/x HTTP/1.1"
    assert proxy.requests[0].headers[b"host"] == b"service.test"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "407: it wants other credentials"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "status 500"),
        (b"", "without an answer"),
        (b"SSH-2.0\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 30_000, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "before TLS"),
    ],
)
async def test_a_proxy_that_does_not_connect(answer: bytes, words: str) -> None:
    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)

    async with serve(handler) as proxy:
        pool = ConnectionPool("https://service.test", proxy=f"http://me:secret@127.0.0.1:{proxy.port}", trust_env=False)
        with pytest.raises(ProxyError, match=words) as caught:
            await fetch(pool)
        assert not caught.value.sent
        assert "secret" not in str(caught.value)
        assert (pool.used_slots, pool.open_connections) == (0, 0)


async def test_the_environment_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(answering(OK)) as proxy, serve(answering(OK)) as service:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "localhost")
        for url, count in ((service.url, 1), (f"http://localhost:{service.port}", 1)):
            pool = ConnectionPool(url, trust_env=True)
            assert (await fetch(pool))[0] == 200
            await pool.aclose()
            assert len(proxy.requests) == count
        assert len(service.requests) == 1
