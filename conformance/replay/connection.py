"""One connection of the replay server: a task that reads all the time, and one that plays.

The reader must never pause, because only a read tells that the peer is gone. Its end cancels the player.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable

import httptools
import trio

from conformance.replay.exchange import Exchange, ReceivedRequest
from conformance.replay.faults.base import End
from conformance.replay.play import Plan

READ_BYTES = 64 * 1024
WRITE_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
"""A request's body; a larger one ends the connection."""
MAX_PIPELINED = 16
"""Requests that may wait on one connection; one more ends it."""
HANDSHAKE_SECONDS = 10.0
FINE_WRITES = 8192
COARSE_STEP = 8

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _RequestParser:
    """Requests from bytes. Raises `httptools.HttpParserError` for what is not HTTP."""

    def __init__(self, connection: int) -> None:
        self.complete: list[ReceivedRequest] = []
        self._connection = connection
        self._parser = httptools.HttpRequestParser(self)
        self.on_message_begin()

    def feed(self, data: bytes) -> list[ReceivedRequest]:
        self._parser.feed_data(data)
        done, self.complete = self.complete, []
        return done

    # httptools calls these.

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            raise ValueError("the request's body is too large")

    def on_message_complete(self) -> None:
        self.complete.append(
            ReceivedRequest(
                method=self._parser.get_method().decode("ascii"),
                target=self._target.decode("latin-1"),
                headers=self._headers,
                body=bytes(self._body),
                connection=self._connection,
            )
        )


class Connection:
    """Owns `sock`. `serve` it once, then `close` it; `close` never blocks and may be called at any time."""

    def __init__(
        self,
        sock: socket.socket,
        number: int,
        begin: Callable[[ReceivedRequest], Exchange],
        context: ssl.SSLContext | None,
    ) -> None:
        self._raw = sock
        self._socket = trio.socket.from_stdlib_socket(sock)
        self._begin = begin
        self._context = context
        self._stream: trio.abc.Stream | None = None
        self._parser = _RequestParser(number)
        self._current: Exchange | None = None
        self._closed = False
        self._writes = 0

    async def serve(self) -> None:
        """Answer requests until either side ends the connection. Ends early, without error, when the peer is gone."""
        self._socket.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        stream: trio.abc.Stream = trio.SocketStream(self._socket)
        if self._context is not None:
            secure = trio.SSLStream(stream, self._context, server_side=True, https_compatible=True)
            with trio.move_on_after(HANDSHAKE_SECONDS) as scope:
                try:
                    await secure.do_handshake()
                except trio.BrokenResourceError:
                    return
            if scope.cancelled_caught:
                return
            stream = secure
        self._stream = stream
        send, receive = trio.open_memory_channel[ReceivedRequest](MAX_PIPELINED)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, send, nursery.cancel_scope)
            await self._answer(receive)  # closes the socket at its end, which ends the reader

    def close(self, *, reset: bool = False) -> None:
        if self._closed:
            return
        self._closed = True
        if reset:
            self._socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.close()

    async def _read(self, requests: trio.MemorySendChannel[ReceivedRequest], scope: trio.CancelScope) -> None:
        assert self._stream is not None
        reset = False
        try:
            while data := await self._stream.receive_some(READ_BYTES):
                for request in self._parser.feed(bytes(data)):
                    requests.send_nowait(request)
        except trio.BrokenResourceError as error:
            reset = isinstance(error.__cause__, ConnectionResetError)
        except trio.ClosedResourceError:
            scope.cancel()  # closed by us, maybe while no answer was being played
            return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, trio.WouldBlock):
            scope.cancel()
            return
        if self._closed:
            return  # by us
        if self._current is not None:
            self._current.peer_reset = reset
            self._current.peer_closed.set()
        scope.cancel()

    async def _answer(self, requests: trio.MemoryReceiveChannel[ReceivedRequest]) -> None:
        while True:
            request = await requests.receive()
            exchange = self._current = self._begin(request)
            exchange.started.set()
            try:
                end = await self._play(exchange.play.plan(), exchange)
            finally:
                exchange.ended.set()
            if end is not End.KEEP or request.header(b"connection") == b"close":
                self.close(reset=end is End.RST)
                return

    async def _play(self, plan: Plan, exchange: Exchange) -> End:
        self._writes = 0
        for piece in plan.pieces:
            if piece.delay:
                await trio.sleep(piece.delay)
            data = piece.data
            for start in range(0, len(data), WRITE_BYTES):
                if not await self._write(data[start : start + WRITE_BYTES], exchange):
                    return End.FIN
        exchange.completed.set()
        if plan.end is End.STALL:
            # Until the reader sees the peer go, or the server is shut down.
            await trio.sleep_forever()
        return plan.end

    async def _write(self, data: bytes, exchange: Exchange) -> bool:
        """Let others run, so that the peer can read the last piece before this one, and write. False: the peer is gone.

        After `FINE_WRITES` writes of an answer others run only before every eighth: the segments are still one for each
        write, but a peer in the same thread then reads some of them together, and a long body takes no minutes.
        """
        assert self._stream is not None
        self._writes += 1
        if self._writes <= FINE_WRITES or self._writes % COARSE_STEP == 0:
            # Before the write, not after it: between the last byte and `completed` the peer must not get a turn.
            await trio.lowlevel.checkpoint()
        try:
            if self._context is None:
                # Straight to the kernel: a body written byte by byte is as many writes, and `send_all` costs thrice.
                try:
                    sent = self._raw.send(data)
                except BlockingIOError:
                    sent = 0
                exchange.bytes_written += sent
                data = data[sent:]
            if data:
                await self._stream.send_all(data)
                exchange.bytes_written += len(data)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            exchange.peer_closed.set()
            return False
        return True
