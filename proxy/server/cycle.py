"""`RequestCycle`: one request and its response on an HTTP/1.1 connection, as ASGI's `receive` and `send`.

Two tasks touch it: the connection's reader puts the body in (`take_body`, which never waits), the app's task takes it
out and writes. Everything about framing a response is in here and in `response.py`.
"""

from __future__ import annotations

from typing import Protocol

import trio

from proxy.server.app import ClientDisconnectedError, Disconnect, Message
from proxy.server.chunked import ChunkedDecoder
from proxy.server.head import RequestHead
from proxy.server.response import CHUNKED, CLOSE, CONTINUE, LAST_CHUNK, ResponseStart
from proxy.server.wire import Wire, WriteTimeoutError

MAX_DISCARD = 64 * 1024
"""Bytes of a body that the app left unread and that are still read, to keep the connection; beyond it it is closed."""

_NOTHING, _HELD, _LENGTH, _CHUNKED, _UNTIL_CLOSE, _BODILESS, _COMPLETE = range(7)
"""Where a response is: no start yet, the start held back, then its framing, then complete."""


class Owner(Protocol):
    """What a cycle needs of its connection."""

    wire: Wire

    @property
    def closing(self) -> bool:
        """Whether this response is the connection's last, whatever it says itself."""
        ...

    def room(self) -> None:
        """There is room again for the request's body."""
        ...

    def lost(self, reason: str) -> None:
        """A write failed: the client is gone."""
        ...


class RequestCycle:
    """The state of one request. Its `receive` and `send` are the app's; the rest is the connection's."""

    __slots__ = (
        "_chunks",
        "_expects",
        "_given",
        "_left",
        "_owner",
        "_pieces",
        "_queued",
        "_remaining",
        "_start",
        "_state",
        "_waiting",
        "close",
        "discarding",
        "disconnect",
        "head",
        "request_complete",
    )

    def __init__(self, owner: Owner, head: RequestHead) -> None:
        self.head = head
        self.disconnect = Disconnect()
        self.close = head.close
        """The connection must close after this response."""
        self.request_complete = not head.has_body
        self.discarding = False
        """The response is complete: what still comes of the body is dropped."""
        self._owner = owner
        self._expects = head.expects_continue and head.has_body
        self._chunks = ChunkedDecoder() if head.chunked else None
        self._left = head.content_length or 0
        """Bytes of the request's body still to come, if it has a length."""
        self._pieces: list[bytes] = []
        self._queued = 0
        self._given = False
        """The body's last message was given to the app."""
        self._waiting: trio.lowlevel.ParkingLot | None = None
        self._start: ResponseStart | None = None
        self._state = _NOTHING
        self._remaining = 0
        """Bytes of the response's body still to be sent, if it has a length."""

    # -- the request's body, from the reader --------------------------------------------------------------------------

    def take_body(self, data: bytes) -> bytes | None:
        """Take the body's next bytes. Returns those behind its end, or None while it goes on.

        Raises `RefusedRequestError` for chunks that are none.
        """
        if self._chunks is None:
            piece, rest = (data, b"") if len(data) <= self._left else (data[: self._left], data[self._left :])
            self._left -= len(piece)
            if piece:
                self._pieces.append(piece)
                self._queued += len(piece)
            done: bytes | None = None if self._left else rest
        else:
            before = len(self._pieces)
            done = self._chunks.feed(data, self._pieces)
            self._queued += sum(map(len, self._pieces[before:]))
        self._expects = False  # the client did not wait for a 100
        if done is not None:
            self.request_complete = True
        if self.discarding:
            self._pieces.clear()
        elif self._waiting is not None:
            self._waiting.unpark_all()
        return done

    @property
    def backlog(self) -> int:
        """Bytes of the body that the app has not taken; while discarding, all that were dropped."""
        return self._queued

    def lose(self, reason: str) -> None:
        """The client is gone: tell the app, unless its response is complete."""
        if self._state == _COMPLETE:
            return
        self.disconnect.fire(reason)
        if self._waiting is not None:
            self._waiting.unpark_all()

    # -- ASGI ---------------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """The next of the body as `http.request`, all that is there at once; then wait for `http.disconnect`.

        Once the client is gone, what it left of a body is not given any more. Cancelling loses nothing. Has no deadline
        of its own: a client that sends a body slowly is the app's to judge.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._expects and self.untouched:
            self._expects = False
            await self._write(CONTINUE)
        while True:
            if self.disconnect.reason is not None or self._state == _COMPLETE:
                return {"type": "http.disconnect"}
            if self._pieces or (self.request_complete and not self._given):
                return self._take_message()
            if self._waiting is None:
                self._waiting = trio.lowlevel.ParkingLot()
            await self._waiting.park()

    def _take_message(self) -> Message:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._queued = 0
        self._given = self.request_complete
        self._owner.room()
        return {"type": "http.request", "body": body, "more_body": not self._given}

    async def send(self, message: Message) -> None:
        """Send a part of the response: the start is held back until the first body message.

        Raises `ClientDisconnectedError` once the client is gone, `RuntimeError` or `ValueError` for messages that make
        no response. When cancelled while a write waits for the client, the rest of its bytes goes out before the next
        message's (not under TLS, where the connection is lost).
        """
        kind = message["type"]
        if kind == "http.response.body":
            await self._send_body(message.get("body", b""), bool(message.get("more_body", False)))
        elif kind == "http.response.start":
            if self._state != _NOTHING:
                raise RuntimeError("http.response.start was sent already")
            self._start = ResponseStart(int(message["status"]), message.get("headers", ()))
            self._state = _HELD
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r}")

    async def _send_body(self, body: bytes, more: bool) -> None:
        if self._state == _COMPLETE or self._state == _NOTHING:
            raise RuntimeError("http.response.body outside of a response")
        if self.disconnect.reason is not None:
            await trio.lowlevel.checkpoint_if_cancelled()
            raise ClientDisconnectedError(self.disconnect.reason)
        await trio.lowlevel.checkpoint_if_cancelled()  # before anything changes: a cancelled send has sent nothing
        head = self._settle_framing(body, more) if self._state == _HELD else b""
        data = self._frame(head, body, more)
        if data:
            await self._write(data)
        if not more:
            self._complete()

    def _settle_framing(self, body: bytes, more: bool) -> bytes:
        """Decide how the body ends; returns the head's bytes."""
        start = self._start
        assert start is not None
        length = start.content_length
        if length is None and not more:
            length = len(body)
        parts = [start.lines]
        if self.head.method == "HEAD" or start.status in (204, 304):
            self._state = _BODILESS
            # Of a body that is not sent only the app knows the length (RFC 9110, 8.6); a 204 has none.
            if start.content_length is not None and start.status != 204:
                parts.append(b"content-length: %d\r\n" % start.content_length)
        elif length is not None:
            self._state = _LENGTH
            self._remaining = length
            parts.append(b"content-length: %d\r\n" % length)
        elif self.head.http_version == "1.1":
            self._state = _CHUNKED
            parts.append(CHUNKED)
        else:
            self._state = _UNTIL_CLOSE
            self.close = True
        if start.close or self._owner.closing or (not more and not self._can_keep()):
            self.close = True
        if self.close:
            parts.append(CLOSE)
        parts.append(b"\r\n")
        self._start = None
        return b"".join(parts)

    def _frame(self, head: bytes, body: bytes, more: bool) -> bytes:
        """The bytes to write for one body message."""
        if self._state == _CHUNKED:
            if not body:
                return head if more else head + LAST_CHUNK
            return b"%b%x\r\n%b\r\n%b" % (head, len(body), body, b"" if more else LAST_CHUNK)
        if self._state == _BODILESS:
            return head
        if self._state == _LENGTH:
            if len(body) > self._remaining:
                self.close = True
                raise RuntimeError("more body than the response's content-length says")
            self._remaining -= len(body)
            if not more and self._remaining:
                self.close = True
                raise RuntimeError("less body than the response's content-length says")
        return head + body if head else body

    async def _write(self, data: bytes) -> None:
        try:
            await self._owner.wire.send(data)
        except OSError as error:
            reason = "write_timeout" if isinstance(error, WriteTimeoutError) else "disconnect"
            self._owner.lost(reason)
            await trio.lowlevel.checkpoint_if_cancelled()  # the app may just have cancelled itself
            raise ClientDisconnectedError(self.disconnect.reason or reason) from error

    def _complete(self) -> None:
        self._state = _COMPLETE
        self.disconnect.unsubscribe()
        if self._waiting is not None:
            self._waiting.unpark_all()

    # -- the end, from the connection ---------------------------------------------------------------------------------

    @property
    def untouched(self) -> bool:
        """No byte of the response is on the wire yet."""
        return self._state in (_NOTHING, _HELD)

    @property
    def complete(self) -> bool:
        return self._state == _COMPLETE

    @property
    def cut_looks_whole(self) -> bool:
        """A client would take the response for a whole one if the connection were closed in good order now."""
        return self._state == _UNTIL_CLOSE

    @property
    def held_without_body(self) -> bool:
        """The app gave a start and nothing else."""
        return self._state == _HELD

    def _can_keep(self) -> bool:
        """Whether the connection is worth reading the rest of the request's body."""
        if self.request_complete:
            return True
        return not self._expects and self._chunks is None and self._left <= MAX_DISCARD

    def discard(self) -> bool:
        """Drop what still comes of the body; False if the connection is better closed."""
        if not self._can_keep():
            return False
        self.discarding = True
        self._pieces.clear()
        self._queued = 0
        return True
