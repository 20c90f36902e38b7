"""The socket under an HTTP/1.1 connection: bytes in and out, each write with a deadline. Imports only trio.

Plain connections use the socket itself, not trio's `SocketStream`: a read waits for the kernel first instead of trying
in vain, and a write that fits into the socket's buffer (nearly all do) costs one system call and no turn of the
scheduler.
"""

from __future__ import annotations

import select
import socket
import struct
from typing import Protocol

import trio

MAX_READ = 64 * 1024
FULL_TURN = 32
"""Writes that go through at once before one lets the other tasks run: a loop that only writes must not starve them."""
TLS_PIECE = 64 * 1024
"""Bytes that share one deadline under TLS, where a write's progress cannot be seen."""


class WriteTimeoutError(OSError):
    """The client took no byte for the whole write timeout."""


class Wire(Protocol):
    """One reader and any number of writers."""

    broken: bool
    """A write failed or was given up half-way: nothing more can be sent."""

    async def receive(self) -> bytes:
        """The next bytes, b"" at the end. Raises `OSError`. Has no deadline of its own; cancelling loses nothing."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises `WriteTimeoutError`, or `OSError` when the connection is gone."""
        ...

    def end(self) -> None:
        """Say that nothing more will be sent, where that can be said while still reading."""
        ...

    def peer_left(self) -> bool:
        """Whether the client closed or reset, though bytes of it are still unread."""
        ...

    def close(self, *, reset: bool = False) -> None:
        """Close at once, waking who waits in `receive` and `send`. May be called again.

        What was sent is still delivered, unless `reset`. Under TLS no close_notify is sent: the length or the last
        chunk tells a client of HTTP whether it has everything.
        """
        ...


class PlainWire:
    """A bare TCP socket. Takes it away from the trio stream that it came in.

    A `send` that is cancelled keeps what is left of its data for the next one to send first: so an error event can
    still follow a half-written one.
    """

    def __init__(self, stream: trio.SocketStream, write_timeout: float) -> None:
        inner = stream.socket
        family, kind, protocol = inner.family, inner.type, inner.proto
        self._socket = socket.socket(family, kind, protocol, fileno=inner.detach())
        self._receive = self._socket.recv
        self._send = self._socket.send
        self._timeout = write_timeout
        self._lock = trio.Lock()
        self._waiting = bytearray()
        """Bytes that the socket did not take at once. Every sender waits for them to be gone: so they are few."""
        self._quick = 0
        self.broken = False

    def release(self) -> trio.SocketStream:
        """Give the socket back as a trio stream; the wire is of no more use."""
        return trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))

    async def receive(self) -> bytes:
        while True:
            try:
                await trio.lowlevel.wait_readable(self._socket)
                return self._receive(MAX_READ)
            except BlockingIOError:
                continue
            except (trio.ClosedResourceError, ValueError) as error:
                raise OSError("closed") from error

    async def send(self, data: bytes) -> None:
        if self._waiting:
            self._waiting += data
            await self._flush()
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.broken = True
            raise
        if sent < len(data):
            self._waiting += memoryview(data)[sent:]
            await self._flush()
            return
        self._quick += 1
        if self._quick >= FULL_TURN:
            self._quick = 0
            await trio.lowlevel.checkpoint()

    async def _flush(self) -> None:
        """Send what waits, in the order in which it came."""
        async with self._lock:
            self._quick = 0
            try:
                while self._waiting:
                    with trio.move_on_after(self._timeout) as patience:
                        await trio.lowlevel.wait_writable(self._socket)
                    if patience.cancelled_caught:
                        raise WriteTimeoutError(f"the client took nothing for {self._timeout:g} s")
                    try:
                        sent = self._send(self._waiting)
                    except BlockingIOError:
                        continue
                    del self._waiting[:sent]
            except (trio.ClosedResourceError, ValueError) as error:
                self.broken = True
                raise OSError("closed") from error
            except OSError:
                self.broken = True
                raise

    def end(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.broken = True

    def peer_left(self) -> bool:
        return _peer_left(self._socket.fileno())

    def close(self, *, reset: bool = False) -> None:
        self.broken = True
        if self._socket.fileno() < 0:
            return
        if reset:
            _reset_on_close(self._socket)
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()


class TLSWire:
    """A TLS connection. A `send` that is cancelled half-way breaks it: a TLS record cannot be taken up again."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], write_timeout: float) -> None:
        self._stream = stream
        self._socket = stream.transport_stream.socket
        self._timeout = write_timeout
        self._lock = trio.Lock()
        self.broken = False

    def release(self) -> trio.SSLStream[trio.SocketStream]:
        """Give the stream back; the wire is of no more use."""
        return self._stream

    async def receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(MAX_READ))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise OSError("closed") from error

    async def send(self, data: bytes) -> None:
        if self.broken:
            raise OSError("closed")
        whole = False
        try:
            async with self._lock:
                for at in range(0, len(data), TLS_PIECE):
                    await self._send_piece(data[at : at + TLS_PIECE])
            whole = True
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise OSError("closed") from error
        finally:
            self.broken = self.broken or not whole

    async def _send_piece(self, piece: bytes) -> None:
        with trio.move_on_after(self._timeout) as patience:
            await self._stream.send_all(piece)
        if patience.cancelled_caught:
            raise WriteTimeoutError(f"the client took too little for {self._timeout:g} s")

    def end(self) -> None:
        """TLS has no half-close that clients bear; the length or the last chunk says it."""

    def peer_left(self) -> bool:
        return _peer_left(self._socket.fileno())

    def close(self, *, reset: bool = False) -> None:
        self.broken = True
        if self._socket.fileno() >= 0 and reset:
            _reset_on_close(self._socket)
        self._socket.close()


def _reset_on_close(sock: socket.socket | trio.socket.SocketType) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


_LEFT = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


def _peer_left(fileno: int) -> bool:
    if fileno < 0:
        return True
    poll = select.poll()
    poll.register(fileno, _LEFT)
    return bool(poll.poll(0))
