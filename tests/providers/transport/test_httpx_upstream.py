"""httpx's stock client as an `Upstream`: the same promises, and abandoned HTTP/2 streams are reset."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import trio
import trustme

from providers.errors import ProviderTimeoutError
from providers.transport.failures import ConnectError, DisconnectedError, InvalidRequestError, PoolClosedError
from providers.transport.httpx_upstream import HTTPXUpstream
from tests.providers.transport.support import OK, Peer, answering, eventually, fetch, read, serve


async def test_http_1_1_requests_are_what_the_pool_would_send() -> None:
    packed = gzip.compress(b"hello")
    coded = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    async with serve(answering(coded + packed)) as server:
        upstream = HTTPXUpstream(f"{server.url}/v1?k=1", trust_env=False)
        for _ in range(3):
            status, headers, body = await fetch(upstream, b"POST", b"/x%20y?a=b", [(b"authorization", b"t")])
            assert (status, headers, body) == (200, [(b"set-cookie", b"a=b")], b"hello")
        assert (upstream.used_slots, upstream.open_connections, server.connections) == (0, 1, 1)
        await upstream.aclose()
    request = server.requests[-1]
    assert request.line == b"POST /v1/x%20y?k=1&a=b HTTP/1.1"
    assert request.headers[b"accept-encoding"] == b"identity"
    assert request.headers[b"authorization"] == b"t"
    assert request.body == b"{}"
    assert b"cookie" not in request.headers


async def test_failures() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        if peer.number:
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")

    async with serve(handler) as server:
        upstream = HTTPXUpstream(server.url, trust_env=False)
        with pytest.raises(DisconnectedError):
            await fetch(upstream)
        with pytest.raises(DisconnectedError):
            await fetch(upstream)
        with pytest.raises(InvalidRequestError):
            await fetch(upstream, headers=[(b"x", b"a\r\nb: c")])
        await eventually(lambda: upstream.used_slots == 0)
        await upstream.aclose()
        with pytest.raises(PoolClosedError):
            await fetch(upstream)
    upstream = HTTPXUpstream(f"http://127.0.0.1:{server.port}", trust_env=False)
    with pytest.raises(ConnectError):
        await fetch(upstream)
    await upstream.aclose()


async def deaf(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def test_slots_are_bounded_and_come_back_from_a_storm() -> None:
    async with serve(deaf) as server:
        upstream = HTTPXUpstream(server.url, trust_env=False, max_connections=3, connect_timeout=5)
        with trio.move_on_after(0.3):
            async with trio.open_nursery() as nursery:
                for _ in range(30):
                    nursery.start_soon(fetch, upstream)
        assert server.connections == 3
        assert upstream.used_slots == 0
        await eventually(lambda: server.open == 0 and upstream.open_connections == 0)
        await upstream.aclose()
    async with serve(answering(OK)) as server:
        upstream = HTTPXUpstream(server.url, trust_env=False, max_connections=1, connect_timeout=0.05)
        held = await upstream.request(b"POST", b"/x", [], b"{}")
        with pytest.raises(ProviderTimeoutError):
            await fetch(upstream)
        assert await read(held) == b"ok"
        held.close()
        assert (await fetch(upstream))[2] == b"ok"
        await upstream.aclose()


async def test_closing_early_closes_the_socket() -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        await peer.gone()

    async with serve(handler) as server:
        upstream = HTTPXUpstream(server.url, trust_env=False)
        for reads in (0, 1):
            response = await upstream.request(b"POST", b"/x", [], b"{}")
            for _ in range(reads):
                assert await response.receive() == b"abc"
            response.close()
            response.close()
            await eventually(lambda: server.open == 0 and upstream.used_slots == 0)
            with pytest.raises(trio.ClosedResourceError):
                await response.receive()
        await upstream.aclose()


async def test_a_client_of_ones_own() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=request.content, headers={"x": str(request.url)})

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    upstream = HTTPXUpstream("https://service.test/v1", client=client)
    status, headers, body = await fetch(upstream, body=b"hello")
    assert (status, dict(headers)[b"x"], body) == (200, b"https://service.test/v1/x", b"hello")
    assert upstream.open_connections == 0
    await upstream.aclose()
    assert client.is_closed


class HTTP2Service:
    """Speaks HTTP/2: answers /whole with a body, and /endless with its beginning only; notes the resets."""

    def __init__(self) -> None:
        self.reset: list[int] = []
        self.begun: list[int] = []
        self.connections = 0

    async def __call__(self, peer: Peer) -> None:
        self.connections += 1
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        await peer.send(connection.data_to_send())
        while data := await peer.more():
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    path = dict(event.headers)[b":path"]
                    self.begun.append(event.stream_id)
                    if path == b"/silent":
                        continue
                    connection.send_headers(event.stream_id, [(":status", "200"), ("x-path", path.decode())])
                    connection.send_data(event.stream_id, b"hello", end_stream=path == b"/whole")
                elif isinstance(event, h2.events.StreamReset):
                    self.reset.append(event.stream_id)
            await peer.send(connection.data_to_send())


@pytest.fixture
def http2_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_http_2_requests_share_a_connection(http2_tls: ssl.SSLContext, ca_bundle: str) -> None:
    service = HTTP2Service()
    async with serve(service, tls=http2_tls) as server:
        upstream = HTTPXUpstream(server.url, http2=True, trust_env=False, ca_bundle=ca_bundle)
        assert await fetch(upstream, b"POST", b"/whole") == (200, [(b"x-path", b"/whole")], b"hello")
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(fetch, upstream, b"POST", b"/whole")
        assert (service.connections, len(service.begun)) == (1, 11)
        assert (upstream.used_slots, upstream.open_connections) == (0, 1)
        assert service.reset == []
        await upstream.aclose()


@pytest.mark.parametrize("phase", ["head", "body", "closed", "unread"])
async def test_an_abandoned_stream_is_reset_and_the_connection_lives_on(
    phase: str, http2_tls: ssl.SSLContext, ca_bundle: str
) -> None:
    service = HTTP2Service()
    async with serve(service, tls=http2_tls) as server:
        upstream = HTTPXUpstream(server.url, http2=True, trust_env=False, ca_bundle=ca_bundle)
        await fetch(upstream, b"POST", b"/whole")

        async def abandoned() -> None:
            if phase in ("head", "body"):
                await fetch(upstream, b"POST", b"/silent" if phase == "head" else b"/endless")
                return
            response = await upstream.request(b"POST", b"/endless", [], b"{}")
            if phase == "closed":
                assert await response.receive() == b"hello"
            response.close()

        # More than the 100 streams that may be open at once: they must not add up.
        for count in range(1, 131):
            reached: Callable[[], bool] = lambda wanted=count: len(service.begun) == wanted + 1  # noqa: E731
            async with trio.open_nursery() as nursery:
                nursery.start_soon(abandoned)
                await eventually(reached)
                nursery.cancel_scope.cancel() if phase in ("head", "body") else None
            await eventually(lambda wanted=count: len(service.reset) == wanted)
        assert service.reset == service.begun[1:]
        await eventually(lambda: upstream.used_slots == 0)
        assert (await fetch(upstream, b"POST", b"/whole"))[2] == b"hello"
        assert service.connections == 1
        await upstream.aclose()
