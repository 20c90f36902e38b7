"""One connection that carries one exchange at a time: a socket, and the parser of what it receives.

Works on a non-blocking standard socket with trio's `wait_readable` and `wait_writable`: a request that fits into the
socket's buffer is one `send`, an answer one wait, one `recv` and one feed of the parser. TLS takes the same way, for an
`ssl.SSLSocket` speaks through the same calls and says "not yet" with two exceptions more. (It is read with more room
than one TLS record has, so nothing is ever left over inside OpenSSL where `wait_readable` could not see it.)

Nothing here has a deadline: that is the pool's, or the caller's.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable

import trio
from trio.lowlevel import notify_closing, wait_readable, wait_writable

from providers.transport.failures import DisconnectedError, PoolClosedError, ReceiveError, SendError, explain
from providers.transport.response_parser import ResponseParser

RECEIVE_BYTES = 64 * 1024
_JOINED_BYTES = 64 * 1024
"""A body up to this size goes into one `send` with the head; of a larger one the first so many bytes."""

_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """A connected socket (its TLS handshake done). Whoever holds it closes it; `close` is synchronous."""

    __slots__ = ("_fd", "_socket", "_view", "closed", "idle_since", "parser", "sent", "sent_whole")

    def __init__(self, connected: socket.socket, view: memoryview, max_head_bytes: int) -> None:
        self._socket = connected
        self._fd = connected.fileno()
        self._view = view
        """Where `recv` writes. All connections of a pool share it: it is filled and parsed without a pause between."""
        self.parser = ResponseParser(max_head_bytes)
        self.idle_since = 0.0
        self.sent = False
        """Whether any byte of the current request may have left."""
        self.sent_whole = False
        """Whether all of it has."""
        self.closed = False

    def close(self) -> None:
        """Close the socket at once; a task that waits on it is woken. TLS gets no close_notify: that could block."""
        if self.closed:
            return
        self.closed = True
        notify_closing(self._fd)
        self._socket.close()
        self.parser.detach()

    def is_stale(self) -> bool:
        """Whether an idle connection can carry no other request: its peer has closed it, or sent something unasked.

        One system call. Over TLS, session tickets and the like are taken in and do not count.
        """
        try:
            self._socket.recv(1)
        except _NOT_YET:
            return False
        except OSError:
            return True
        return True

    def start(self, *, head_only: bool) -> None:
        """Make ready for another request. `head_only`: it is a HEAD."""
        self.parser.start(head_only=head_only)
        self.sent = self.sent_whole = False

    # Sending. A service may answer before it has read everything (413, 401 ...) and close then; so whenever a send has
    # to wait, the response is watched for too, and after a failed send it is looked for.

    def send_now(self, data: bytes | memoryview) -> int:
        """Send what the socket takes without waiting and return how much that is. Raises `SendError`."""
        try:
            size = self._socket.send(data)
        except _NOT_YET:
            if isinstance(self._socket, ssl.SSLSocket):
                self.sent = True  # Some of its records may be out although none of `data` counts as sent yet.
            return 0
        except OSError as error:
            if self.closed:
                raise self._closed_early() from None
            message = f"the connection broke while the request was sent: {explain(error)}"
            raise SendError(message, sent=self.sent) from error
        if size:
            self.sent = True
        return size

    async def send_message(self, head: bytes, body: bytes) -> None:
        """Send a request, or as much of it as the service takes before it answers.

        Raises `SendError`, `ReceiveError`, `PoolClosedError`. When cancelled, the connection can only be closed.
        """
        if len(body) <= _JOINED_BYTES:
            data = head + body
            sent = self.send_now(data)
            self.sent_whole = sent == len(data) or await self._send_rest(memoryview(data)[sent:])
        elif await self._send_rest(memoryview(head + body[:_JOINED_BYTES])):
            self.sent_whole = await self._send_rest(memoryview(body)[_JOINED_BYTES:])

    async def send_stream(self, head: bytes, body: AsyncIterable[bytes], *, chunked: bool) -> None:
        """Like `send_message`, for a body that comes in pieces; `chunked` says whether to frame them."""
        if not await self._send_rest(memoryview(head)):
            return
        pieces = aiter(body)
        try:
            async for piece in pieces:
                # The pieces may come, and go, without a pause.
                await trio.lowlevel.checkpoint()
                if not piece:
                    continue
                data = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
                if not await self._send_rest(memoryview(data)):
                    return
        finally:
            # A generator that is not wanted to its end should not have to wait for the garbage collector.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        self.sent_whole = not chunked or await self._send_rest(memoryview(b"0\r\n\r\n"))

    async def _send_rest(self, data: memoryview) -> bool:
        """Send all of `data`; False: the response came first, and the rest is not wanted."""
        while True:
            data = data[self.send_now(data) :]
            if not data:
                return True
            await self._wait_to_send()
            if self.parser.head_done or self.parser.fault is not None:
                return False

    async def _wait_to_send(self) -> None:
        """Wait until more can be sent. Whatever arrives in the meantime is parsed."""
        if self.closed:
            raise self._closed_early()
        closed = False

        async def watch(scope: trio.CancelScope) -> None:
            nonlocal closed
            try:
                await wait_readable(self._fd)
            except trio.ClosedResourceError:
                closed = True
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, nursery.cancel_scope)
            try:
                await wait_writable(self._fd)
            except trio.ClosedResourceError:
                closed = True
            nursery.cancel_scope.cancel()
        if closed:
            raise self._closed_early()
        self._receive_now()

    def _closed_early(self) -> PoolClosedError:
        """The error for a connection that somebody else closed, which is the pool alone.

        It can happen at any await: while the socket is waited for, after it became ready and before the waiting task
        has run, or while the holder of the response is busy elsewhere. The descriptor's number may be another socket's
        by then, so `closed` is looked at before each wait; `socket.socket` itself forgets the number.
        """
        return PoolClosedError("the connection pool was closed", sent=self.sent)

    # Receiving.

    async def read_head(self) -> None:
        """Wait for the head of the response.

        Raises `DisconnectedError`, `ReceiveError`, `PoolClosedError` or `BadResponseError`. When cancelled, the
        connection can only be closed.
        """
        parser = self.parser
        while not parser.head_done:
            if parser.fault is not None:
                raise parser.fault
            if self.closed:
                raise self._closed_early()
            try:
                await wait_readable(self._fd)
            except trio.ClosedResourceError:
                raise self._closed_early() from None
            self._receive_now()

    async def receive(self) -> bytes:
        """The next bytes of the body, as they came, as soon as there are any; b"" at its end.

        Raises and is cancelled like `read_head`.
        """
        parser = self.parser
        pieces = parser.pieces
        while not pieces:
            if parser.complete:
                return b""
            if parser.fault is not None:
                raise parser.fault
            if self.closed:
                raise self._closed_early()
            try:
                await wait_readable(self._fd)
            except trio.ClosedResourceError:
                raise self._closed_early() from None
            self._receive_now()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    def _receive_now(self) -> None:
        """Take what has arrived, if anything has, and parse it."""
        try:
            size = self._socket.recv_into(self._view)
        except _NOT_YET:
            return
        except OSError as error:
            if self.closed:
                raise self._closed_early() from None
            raise ReceiveError(f"the connection to the provider broke: {explain(error)}", sent=self.sent) from error
        if size:
            self.parser.feed(self._view[:size])
        elif not self.parser.end():
            where = "in the middle of its answer" if self.parser.head_done else "without an answer"
            raise DisconnectedError(f"the provider closed the connection {where}", sent=self.sent)
