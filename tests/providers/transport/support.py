"""Loopback servers that say exactly the bytes a test wants, and a client call in one line."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from providers.transport.base import Headers, Upstream, UpstreamResponse

Handler = Callable[["Peer"], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Request:
    line: bytes
    headers: dict[bytes, bytes]
    body: bytes
    raw_head: bytes


class Peer:
    """The server's end of one connection."""

    def __init__(self, server: Server, stream: trio.abc.Stream, number: int) -> None:
        self.server = server
        self.stream = stream
        self.number = number
        """0 for the first connection that the server took."""
        self._buffer = b""

    async def more(self) -> bytes:
        try:
            return bytes(await self.stream.receive_some(65536))
        except trio.BrokenResourceError:
            return b""

    async def head(self) -> bytes | None:
        """The next request's head; None: the client has gone."""
        while b"\r\n\r\n" not in self._buffer:
            data = await self.more()
            if not data:
                return None
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    async def request(self) -> Request | None:
        head = await self.head()
        if head is None:
            return None
        line, *lines = head.split(b"\r\n")
        pairs = (one.partition(b":") for one in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if headers.get(b"transfer-encoding") == b"chunked":
            body = await self._chunks()
        else:
            body = await self.exactly(int(headers.get(b"content-length", b"0")))
        request = Request(line, headers, body, head)
        self.server.requests.append(request)
        return request

    async def exactly(self, size: int) -> bytes:
        pieces, have = [self._buffer], len(self._buffer)
        while have < size:
            data = await self.more()
            assert data, "the request's body was cut"
            pieces.append(data)
            have += len(data)
        buffer = b"".join(pieces)
        self._buffer = buffer[size:]
        return buffer[:size]

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            size = b""
            while not size.endswith(b"\r\n"):
                size += await self.exactly(1)
            chunk = await self.exactly(int(size, 16) + 2)
            if len(chunk) == 2:
                return body
            body += chunk[:-2]

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        while await self.more():
            pass

    def reset(self) -> None:
        """Close with RST."""
        stream = self.stream
        while not isinstance(stream, trio.SocketStream):
            stream = stream.transport_stream  # type: ignore[attr-defined]
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.socket.close()


@dataclass
class Server:
    port: int = 0
    connections: int = 0
    """Taken so far."""
    open: int = 0
    """Not closed yet."""
    requests: list[Request] = field(default_factory=list)
    tls: bool = False

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


@asynccontextmanager
async def serve(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on 127.0.0.1; `handler` gets each connection, which is closed when it returns."""
    server = Server(tls=tls is not None)

    async def take(stream: trio.abc.Stream) -> None:
        peer = Peer(server, stream, server.connections)
        server.connections += 1
        server.open += 1
        try:
            await handler(peer)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            server.open -= 1
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        if tls is None:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            server.port = listener.socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, take, [listener])
        else:
            (secured,) = await trio.open_ssl_over_tcp_listeners(0, tls, host="127.0.0.1", https_compatible=True)
            server.port = secured.transport_listener.socket.getsockname()[1]  # type: ignore[attr-defined]
            nursery.start_soon(trio.serve_listeners, take, [secured])
        try:
            yield server
        finally:
            nursery.cancel_scope.cancel()


def answering(*answers: bytes, then_close: bool = False) -> Handler:
    """A handler that answers each request on a connection with the next of `answers`, the last one again and again."""

    async def handler(peer: Peer) -> None:
        count = 0
        while await peer.request() is not None:
            await peer.send(answers[min(count, len(answers) - 1)])
            count += 1
            if then_close and count >= len(answers):
                return

    return handler


async def read(response: UpstreamResponse) -> bytes:
    body = b""
    while data := await response.receive():
        body += data
    return body


async def fetch(
    pool: Upstream, method: bytes = b"POST", target: bytes = b"/x", headers: Headers = (), body: bytes = b"{}"
) -> tuple[int, Headers, bytes]:
    """One whole exchange, its response closed in any case."""
    response = await pool.request(method, target, headers, body)
    try:
        return response.status, response.headers, await read(response)
    finally:
        response.close()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until what another task, or the kernel, is about to do is done."""
    with trio.fail_after(5):
        while not condition():
            await trio.sleep(0.005)


def open_sockets() -> int:
    """Sockets that this process has open."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        except OSError:
            continue
    return count
