"""`ReplayServer`: writes plays to real sockets, byte for byte and in the chosen pieces.

HTTP/1.1 is written by hand, because no server library would write it so badly; requests are parsed by httptools. A
client that shuts down its sending side counts as gone.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType

import trio

from conformance.replay.answer import Answer
from conformance.replay.background import Background
from conformance.replay.connection import Connection
from conformance.replay.exchange import Exchange, ReceivedRequest
from conformance.replay.play import Play

Script = Callable[[ReceivedRequest], Play]
"""Decides how a request is answered. An exception in it ends the server, so that no test hides it."""

EXHAUSTED = Answer(
    status=400,
    headers={"content-type": "application/json"},
    body=b'{"error":{"message":"the replay script has no further play","type":"invalid_request_error"}}',
)
"""What a request gets that comes after the last play of a list. A status that nobody tries again."""


def play_in_order(plays: Iterable[Play]) -> Script:
    """The plays, one for each request; after the last one `EXHAUSTED`."""
    left = iter(plays)
    return lambda request: next(left, Play(EXHAUSTED))


class ReplayServer:
    """A provider that says what it is told to.

    `script` is a function from requests to plays, a list of plays (each is used once, in order), or one play for all
    requests. Use it as an async context manager, or `await nursery.start(server.run)`; leaving closes every connection
    at once.
    """

    def __init__(
        self,
        script: Script | Iterable[Play] | Play,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        accept_delay: float = 0.0,
        max_connections: int = 1000,
        keep: int = 1000,
    ) -> None:
        """`accept_delay`: seconds to wait before each accepted connection is read. `keep`: exchanges to remember."""
        if isinstance(script, Play):
            play = script
            self._script: Script = lambda request: play
        elif callable(script):
            self._script = script
        else:
            self._script = play_in_order(script)
        self._host, self._port = host, port
        self._ssl = ssl_context
        self._accept_delay = accept_delay
        self._limit = trio.CapacityLimiter(max_connections)
        self._arrival = trio.Event()
        self._background = Background(self.run)
        self.exchanges: deque[Exchange] = deque(maxlen=keep)
        """The last `keep` exchanges, in order of their requests."""
        self.received = 0
        """Requests so far."""
        self.accepted = 0
        """Connections so far."""
        self._open: dict[int, Connection] = {}

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end. Known once the server runs."""
        return f"{'https' if self._ssl else 'http'}://{self._host}:{self._port}"

    @property
    def address(self) -> tuple[str, int]:
        return self._host, self._port

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What was received, in order; the last `keep` of it."""
        return [exchange.request for exchange in self.exchanges]

    @property
    def open_numbers(self) -> set[int]:
        """Which connections are open, counted from 1 (`ReceivedRequest.connection`)."""
        return set(self._open)

    def hang_up(self, number: int) -> None:
        """Reset a connection, whatever is being played on it. One that is closed already stays so."""
        connection = self._open.get(number)
        if connection is not None:
            connection.close(reset=True)

    @property
    def open_connections(self) -> int:
        """Connections accepted and not closed by either side."""
        return self._limit.borrowed_tokens

    async def wait_received(self, count: int = 1) -> Exchange:
        """Wait until `count` requests were received, and return that exchange. Has no deadline of its own."""
        while self.received < count:
            await self._arrival.wait()
        return self.exchanges[count - 1 - self.received]

    async def run(self, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; report the URL once connections are accepted."""
        listener = socket.socket()
        try:
            # Connections of an earlier server on this port may still be in TIME_WAIT.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(1024)
            listener.setblocking(False)
            self._host, self._port = listener.getsockname()
            async with trio.open_nursery() as nursery:
                task_status.started(self.url)
                while True:
                    await trio.lowlevel.wait_readable(listener)
                    try:
                        sock, _ = listener.accept()
                    except (BlockingIOError, ConnectionAbortedError):
                        continue  # the client was gone before its turn came
                    sock.setblocking(False)
                    # More clients than this wait in the kernel's queue.
                    await self._limit.acquire_on_behalf_of(sock)
                    self.accepted += 1
                    nursery.start_soon(self._serve, sock, self.accepted)
        finally:
            listener.close()

    async def _serve(self, sock: socket.socket, number: int) -> None:
        connection = Connection(sock, number, self._exchange, self._ssl)
        self._open[number] = connection
        try:
            await trio.sleep(self._accept_delay)
            await connection.serve()
        finally:
            connection.close()
            del self._open[number]
            self._limit.release_on_behalf_of(sock)

    def _exchange(self, request: ReceivedRequest) -> Exchange:
        exchange = Exchange(request, self._script(request))
        self.exchanges.append(exchange)
        self.received += 1
        self._arrival.set()
        self._arrival = trio.Event()
        return exchange

    async def __aenter__(self) -> ReplayServer:
        await self._background.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._background.__aexit__(kind, error, traceback)
