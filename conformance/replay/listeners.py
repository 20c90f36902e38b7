"""What goes wrong before a provider has a request: nobody listens, nobody accepts, nobody speaks TLS.

Each is opened as an async context manager that gives the base URL to call, and closes everything when it is left.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import trio

from conformance.replay.background import Background
from conformance.replay.faults.base import SUCCESS, Expectation
from conformance.replay.play import Play
from conformance.replay.server import ReplayServer
from providers.errors import ErrorKind

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class ListenerFault(ABC):
    """A provider that cannot be reached as it should."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What goes wrong, in words."""

    @property
    @abstractmethod
    def expect(self) -> Expectation:
        """What must be seen when every connection meets the fault."""

    @abstractmethod
    def open(self, play: Play) -> AbstractAsyncContextManager[str]:
        """The base URL of a provider with this fault. One that answers after all answers with `play`."""


@dataclass(frozen=True)
class Refused(ListenerFault):
    """The port is taken, so that nobody else gets it, but nothing listens: connections are refused."""

    @property
    def sentence(self) -> str:
        return "the connection is refused"

    @property
    def expect(self) -> Expectation:
        return Expectation(outcome="error", status=502, kinds=(ErrorKind.CONNECTION,), retried=True)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[str]:
        with socket.socket() as sock:
            sock.bind((_HOST, 0))
            yield _url("http", sock)

    def open(self, play: Play) -> AbstractAsyncContextManager[str]:
        return self._open()


@dataclass(frozen=True)
class Unanswered(ListenerFault):
    """The listener's queue is full: the kernel drops further handshakes, and connecting takes for ever."""

    @property
    def sentence(self) -> str:
        return "the connection is neither accepted nor refused"

    @property
    def expect(self) -> Expectation:
        return Expectation(outcome="error", status=504, kinds=(ErrorKind.TIMEOUT,), retried=True)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[str]:
        fillers: list[trio.SocketStream] = []
        with socket.socket() as sock:
            sock.bind((_HOST, 0))
            sock.listen(0)
            host, port = sock.getsockname()
            try:
                # Linux queues one connection more than the backlog; the first that hangs shows that the queue is full.
                with trio.move_on_after(0.2):
                    while len(fillers) < 16:
                        fillers.append(await trio.open_tcp_stream(host, port))
                yield _url("http", sock)
            finally:
                for filler in fillers:
                    filler.socket.close()

    def open(self, play: Play) -> AbstractAsyncContextManager[str]:
        return self._open()


@dataclass(frozen=True)
class SlowAccept(ListenerFault):
    """The listener takes its time before it reads. An answer comes in the end."""

    seconds: float = 0.3

    @property
    def sentence(self) -> str:
        return f"a connection is read only {self.seconds:g} s after it was made"

    @property
    def expect(self) -> Expectation:
        return SUCCESS

    @asynccontextmanager
    async def _open(self, play: Play) -> AsyncIterator[str]:
        async with ReplayServer(play, accept_delay=self.seconds) as server:
            yield server.url

    def open(self, play: Play) -> AbstractAsyncContextManager[str]:
        return self._open(play)


@dataclass(frozen=True)
class NotTLS(ListenerFault):
    """A port that is called with https and speaks something else."""

    reply: bytes | None
    """What it says to the ClientHello before it closes the connection. None: nothing, and it stays open."""
    what: str
    """The reply, in words."""

    @property
    def sentence(self) -> str:
        return f"the TLS handshake is answered with {self.what}"

    @property
    def expect(self) -> Expectation:
        if self.reply is None:
            return Expectation(outcome="error", status=504, kinds=(ErrorKind.TIMEOUT,), retried=True)
        return Expectation(outcome="error", status=502, kinds=(ErrorKind.CONNECTION,))

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[str]:
        with socket.socket() as sock:
            sock.bind((_HOST, 0))
            sock.listen(64)
            sock.setblocking(False)
            listener = trio.socket.from_stdlib_socket(sock)

            async def accept(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
                task_status.started()
                async with trio.open_nursery() as nursery:
                    while True:
                        connection, _ = await listener.accept()
                        nursery.start_soon(self._reply, connection)

            async with Background(accept):
                yield _url("https", sock)

    def open(self, play: Play) -> AbstractAsyncContextManager[str]:
        return self._open()

    async def _reply(self, sock: trio.socket.SocketType) -> None:
        async with trio.SocketStream(sock) as stream:
            try:
                await stream.receive_some(65536)
                if self.reply is not None:
                    await stream.send_all(self.reply)
                    return
                # Until the peer goes; the fault's nursery ends it at the latest.
                while await stream.receive_some(65536):
                    pass
            except trio.BrokenResourceError:
                return


def _url(scheme: str, sock: socket.socket) -> str:
    host, port = sock.getsockname()
    return f"{scheme}://{host}:{port}"


LISTENER_FAULTS: dict[str, ListenerFault] = {
    "refused": Refused(),
    "unanswered": Unanswered(),
    "slow-accept": SlowAccept(),
    "plaintext-on-tls": NotTLS(
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", "plain HTTP"
    ),
    "garbage-on-tls": NotTLS(bytes(range(128, 256)) * 2, "bytes that mean nothing"),
    "closed-on-tls": NotTLS(b"", "the end of the connection"),
    "silence-on-tls": NotTLS(None, "silence"),
}
