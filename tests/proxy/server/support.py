"""What the server's tests share: apps made of one function, a server around them, and clients that speak raw bytes."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import trio

from proxy.server import ServerSettings, serve_in_task

Handler = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@dataclass
class App:
    """An ASGI app whose HTTP requests are answered by `handler`; notes what the server tells it."""

    handler: Handler
    told: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    on_end_streams: Callable[[], None] = lambda: None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"].update(self.state)
            while True:
                kind = (await receive())["type"]
                self.told.append(kind)
                await send({"type": kind + ".complete"})
                if kind == "lifespan.shutdown":
                    return
        await self.handler(scope, receive, send)

    def start_draining(self) -> None:
        self.told.append("start_draining")

    def end_streams(self) -> None:
        self.told.append("end_streams")
        self.on_end_streams()


@dataclass
class Server:
    port: int
    app: App
    shutdown: trio.Event
    stopped: trio.Event


@asynccontextmanager
async def serving(handler: Handler | App, **settings: Any) -> AsyncIterator[Server]:
    """A server around `handler`, stopped at once on the way out. The whole must be done within 20 s."""
    app = handler if isinstance(handler, App) else App(handler)
    server = Server(0, app, trio.Event(), trio.Event())
    settings.setdefault("bind", ["127.0.0.1:0"])
    settings.setdefault("graceful_timeout", 0.0)
    settings.setdefault("end_timeout", 0.0)

    async def run(task_status: trio.TaskStatus[list[int]]) -> None:
        await serve_in_task(app, ServerSettings(**settings), shutdown=server.shutdown, task_status=task_status)
        server.stopped.set()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            server.port = (await nursery.start(run))[0]
            yield server
            server.shutdown.set()


@asynccontextmanager
async def connected(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Stream]:
    """A connection to the server; over TLS with `context`."""
    stream: Stream = await trio.open_tcp_stream("127.0.0.1", port)
    if context is not None:
        stream = trio.SSLStream(stream, context, server_hostname="127.0.0.1", https_compatible=True)
        await stream.do_handshake()
    try:
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


def transport(stream: Stream) -> trio.SocketStream:
    return stream.transport_stream if isinstance(stream, trio.SSLStream) else stream


def reset(stream: Stream) -> None:
    """Close with an RST."""
    sock = transport(stream).socket
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def leave(stream: Stream, how: str) -> None:
    """Leave with a `fin` or an `rst`."""
    if how == "rst":
        reset(stream)
    else:
        transport(stream).socket.close()


async def read_all(stream: Stream) -> bytes:
    """Everything up to the connection's end, a reset included."""
    data = b""
    try:
        while piece := await stream.receive_some(65536):
            data += piece
    except trio.BrokenResourceError:
        pass
    return data


async def read_until(stream: Stream, end: bytes) -> bytes:
    """Everything up to and with `end`, which must be the last there is."""
    data = b""
    while not data.endswith(end):
        piece = await stream.receive_some(65536)
        assert piece, f"connection ended after {data!r}"
        data += piece
    return data


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class HttpReader:
    """Reads responses of known length, chunked ones too, off a connection that stays open."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.buffer = b""

    async def _fill(self) -> None:
        piece = await self._stream.receive_some(65536)
        if not piece:
            raise EOFError(f"connection ended; unread: {self.buffer!r}")
        self.buffer += piece

    async def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            await self._fill()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    async def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            await self._fill()
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    async def head(self) -> tuple[int, dict[str, str]]:
        status, *lines = (await self.until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        return int(status.split(" ")[1]), dict(line.split(": ", 1) for line in lines)

    async def answer(self, *, method: str = "GET") -> Answer:
        status, headers = await self.head()
        body = b""
        if method == "HEAD" or status in (204, 304) or status < 200:
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await self.until(b"\r\n"), 16):
                body += await self.exactly(size)
                assert await self.exactly(2) == b"\r\n"
            assert await self.exactly(2) == b"\r\n"
        else:
            body = await self.exactly(int(headers["content-length"]))
        return Answer(status, headers, body)


async def ask(port: int, raw: bytes) -> Answer:
    """Send raw bytes on a new connection; the first answer to them."""
    async with connected(port) as stream:
        await stream.send_all(raw)
        return await HttpReader(stream).answer()


GET = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"


async def read_body(receive: Any) -> bytes:
    """A request's whole body."""
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        if not message["more_body"]:
            return body


async def reply(send: Any, body: bytes = b"ok", status: int = 200, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with the request's body."""
    await reply(send, await read_body(receive))


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sends(*messages: dict[str, Any]) -> App:
    """An app that answers every request with these messages."""

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return App(handler)


def request(method: bytes = b"GET", version: bytes = b"1.1", headers: bytes = b"") -> bytes:
    return method + b" / HTTP/" + version + b"\r\nhost: test\r\n" + headers + b"\r\n"


class H2Client:
    """An HTTP/2 client on one connection: `h2` and a socket."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.events: list[h2.events.Event] = []
        self.acknowledge = True

    async def start(self) -> None:
        self.connection.initiate_connection()
        await self.flush()

    async def start_without_windows(self) -> None:
        """Let the server send as much as it will: only the socket can hold it up."""
        self.connection.initiate_connection()
        self.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
        self.connection.increment_flow_control_window(2**31 - 1 - 65535)
        await self.flush()

    async def flush(self) -> None:
        await self.stream.send_all(self.connection.data_to_send())

    async def request(self, path: str = "/", *, method: str = "GET", end: bool = True) -> int:
        stream_id = self.connection.get_next_available_stream_id()
        headers = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "test")]
        self.connection.send_headers(stream_id, headers, end_stream=end)
        await self.flush()
        return stream_id

    async def wait_for(self, kind: type[h2.events.Event], stream_id: int | None = None) -> Any:
        """The next event of a kind, of a stream if one is named. Windows are opened on the way."""
        while True:
            for index, event in enumerate(self.events):
                if isinstance(event, kind) and (stream_id is None or getattr(event, "stream_id", None) == stream_id):
                    return self.events.pop(index)
            data = await self.stream.receive_some(65536)
            if not data:
                raise EOFError("connection ended")
            for event in self.connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived) and self.acknowledge:
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.events.append(event)
            await self.flush()
