"""The connections to one provider: keep-alive, a bound on them, and nothing leaked whenever a request is cancelled.

Theory of operation. A *slot* is the right to hold one connection. A request takes a slot first, then an idle connection
or a new one, and owns both; its response inherits them, and `close` gives them back. There is no task of the pool's
own and no lock: everything that is handed over is handed over between two awaits, so that there is always exactly one
owner whose `finally` lets go.

Idle connections hold no slot. A new connection is made only when none is idle, so `max_connections` bounds the sockets
too. Idle ones are reused last in, first out: the youngest is the most likely to be alive, and the surplus of a burst
grows old at the other end, where it is closed. (No task means that this happens with the next request; `close_idle` is
there for whoever wants it sooner.)

What is retried here, and what is not. A kept connection may have been closed by the service at any moment. So it is
looked at before it is used, and if it still fails before a byte of the request has left, the request goes out on a new
one: the service cannot have seen it. After that, only methods that are safe (GET, HEAD, OPTIONS) are sent again, once,
and only if no byte of an answer came. A POST is not, although browsers do it: the service may have begun a completion
that somebody pays for. It raises `ProviderConnectionError` with `sent` true, and whoever knows the request decides.
"""

from __future__ import annotations

import math
import ssl
from collections import deque
from collections.abc import AsyncIterable
from contextlib import suppress

import msgspec
import trio

from providers.errors import ProviderConnectionError, ProviderTimeoutError
from providers.transport.address import choose_proxy, parse_base_url
from providers.transport.base import Headers, UpstreamResponse
from providers.transport.connection import RECEIVE_BYTES, Connection
from providers.transport.dial import Dialer
from providers.transport.failures import OperationTimeoutError, PoolClosedError, SendError, SlotTimeoutError
from providers.transport.request_head import HeadWriter
from providers.transport.response import PoolResponse, decoded
from providers.transport.response_parser import MAX_HEAD_BYTES
from providers.transport.tls import client_context

_LAST_LOOK = 1.0
"""How long to look for an answer on a connection that broke while sending (s)."""
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines for each step of one request, in seconds; None: none. `Upstream.request` has no use for them."""

    slot: float | None = None
    """Waiting for a free slot."""
    connect: float | None = None
    write: float | None = None
    """Sending the request."""
    read: float | None = None
    """Waiting for the head of the response."""


class _Waiter:
    """A request that waits for a slot."""

    __slots__ = ("granted", "woken")

    def __init__(self) -> None:
        self.woken = trio.Event()
        self.granted = False


class ConnectionPool:
    """An `Upstream` on trio and httptools.

    `base_url`: http or https, with a path and a query if need be. `connect_timeout` (s) bounds everything up to the
    connected socket: waiting for a slot, name resolution, TCP, the proxy, TLS. `max_connections` bounds the requests
    under way, `max_idle` the connections kept, `keepalive_expiry` (s) how long they are. `proxy` is an HTTP proxy's
    URL; without it and with `trust_env`, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY decide. `ca_bundle` or
    `ssl_context` replace the trusted certificates (see `client_context`); a context given here is used as it is.
    `max_head_bytes` bounds the head of a response.

    Does nothing until the first request. Belongs to the trio run, and thread, that makes that request.
    Raises ValueError for a URL that cannot be used, and OSError for certificates that cannot be read.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float = 10.0,
        max_connections: int = 1000,
        max_idle: int = 100,
        keepalive_expiry: float = 30.0,
        proxy: str | None = None,
        trust_env: bool = True,
        ca_bundle: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_head_bytes: int = MAX_HEAD_BYTES,
    ) -> None:
        if max_connections < 1:
            raise ValueError("max_connections: expected at least 1")
        address = parse_base_url(base_url)
        chosen_proxy = choose_proxy(address, proxy, trust_env=trust_env)
        tls = None
        if address.scheme == "https":
            tls = ssl_context or client_context(ca_bundle, trust_env=trust_env)
        self._writer = HeadWriter(address, chosen_proxy)
        self._dialer = Dialer(address, chosen_proxy, tls)
        self._connect_timeout = connect_timeout
        self._max_connections = max_connections
        self._max_idle = max_idle
        self._keepalive_expiry = keepalive_expiry
        self._max_head_bytes = max_head_bytes
        self._view = memoryview(bytearray(RECEIVE_BYTES))
        self._free_slots = max_connections
        self._waiting: dict[_Waiter, None] = {}
        """In the order they came."""
        self._idle: deque[Connection] = deque()
        """The youngest last."""
        self._open: set[Connection] = set()
        self._dialing: set[trio.CancelScope] = set()
        self._closed = False

    @property
    def open_connections(self) -> int:
        """Sockets open now, idle ones included; those that are still connecting are not."""
        return len(self._open)

    @property
    def used_slots(self) -> int:
        """Requests under way; see `Upstream.used_slots`."""
        return self._max_connections - self._free_slots

    @property
    def waiting_requests(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiting)

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes],
        *,
        length: int | None = None,
    ) -> UpstreamResponse:
        """Send a request and wait for the head of the response; see `Upstream.request`.

        Also raises `InvalidRequestError` (a ValueError) before anything is sent, if a header or the target cannot be
        written as HTTP, and `BadResponseError` for an answer that is not HTTP or whose head is too large.
        """
        response = await self.exchange(method, target, headers, body, length=length)
        return response if not response.content_encoding else decoded(response, response.content_encoding)

    async def exchange(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes],
        *,
        length: int | None = None,
        timeouts: Timeouts | None = None,
    ) -> PoolResponse:
        """`request` with more say: a body in pieces (of `length` bytes together, or chunked), a deadline for each step.

        A compressed response is left compressed.
        With `timeouts`, also raises `OperationTimeoutError`, and the pool's `connect_timeout` does not apply.
        """
        if isinstance(body, bytes):
            length = len(body)
        head = self._writer.write(method, target, headers, length)
        await trio.lowlevel.checkpoint_if_cancelled()
        deadline = await self._take_slot(timeouts)
        connection: Connection | None = None
        response: PoolResponse | None = None
        try:
            connection = self._reuse()
            fresh = connection is None
            while response is None:
                if connection is None:
                    connection = await self._connect(timeouts, deadline)
                connection.start(head_only=method == b"HEAD")
                try:
                    await self._converse(connection, head, body, length, timeouts)
                    response = PoolResponse(connection, self._give_back)
                except ProviderConnectionError as error:
                    if fresh or not _may_repeat(connection, error, method, body):
                        raise
                    self._discard(connection)
                    connection, fresh = None, True
        finally:
            if response is None:
                if connection is not None:
                    self._discard(connection)
                self._release_slot()
        return response

    def close_idle(self) -> None:
        """Close the idle connections that are older than `keepalive_expiry`."""
        oldest = trio.current_time() - self._keepalive_expiry
        while self._idle and self._idle[0].idle_since < oldest:
            self._discard(self._idle.popleft())

    async def aclose(self) -> None:
        """`close`, as `Upstream` has it."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Close everything at once. Requests under way, and those that wait, get `PoolClosedError`."""
        self._closed = True
        self._idle.clear()
        for connection in list(self._open):
            self._discard(connection)
        for scope in self._dialing:
            scope.cancel()
        for waiter in self._waiting:
            waiter.woken.set()
        self._waiting.clear()

    # One exchange.

    async def _converse(
        self,
        connection: Connection,
        head: bytes,
        body: bytes | AsyncIterable[bytes],
        length: int | None,
        timeouts: Timeouts | None,
    ) -> None:
        """Send the request and read the response's head."""
        if timeouts is None and isinstance(body, bytes):
            try:
                await connection.send_message(head, body)
            except SendError as error:
                await self._look_for_answer(connection, error)
            await connection.read_head()
            return
        timeouts = timeouts or Timeouts()
        with trio.move_on_after(_seconds(timeouts.write)) as writing:
            try:
                if isinstance(body, bytes):
                    await connection.send_message(head, body)
                else:
                    await connection.send_stream(head, body, chunked=length is None)
            except SendError as error:
                await self._look_for_answer(connection, error)
        if writing.cancelled_caught:
            raise OperationTimeoutError("write")
        with trio.move_on_after(_seconds(timeouts.read)) as reading:
            await connection.read_head()
        if reading.cancelled_caught:
            raise OperationTimeoutError("read")

    async def _look_for_answer(self, connection: Connection, error: SendError) -> None:
        """The connection broke while sending: was there an answer before (413, 401 ...)? Raises `error` if not.

        On a broken TCP connection nothing can arrive any more, so this waits for nothing; over TLS it might.
        """
        if not connection.sent and connection.idle_since:
            raise error  # Whatever is there came before this request.
        with trio.move_on_after(_LAST_LOOK), suppress(ProviderConnectionError):
            await connection.read_head()
        if not connection.parser.head_done:
            raise error

    # Slots.

    async def _take_slot(self, timeouts: Timeouts | None) -> float | None:
        """Take a slot, waiting in line if there is none. Returns the deadline for connecting if it had to wait."""
        if self._closed:
            raise PoolClosedError("the connection pool was closed")
        if self._free_slots:
            self._free_slots -= 1
            return None
        seconds = self._connect_timeout if timeouts is None else _seconds(timeouts.slot)
        deadline = trio.current_time() + seconds
        waiter = _Waiter()
        self._waiting[waiter] = None
        taken = False
        try:
            with trio.move_on_at(deadline):
                await waiter.woken.wait()
            if self._closed:
                raise PoolClosedError("the connection pool was closed")
            if not waiter.granted:
                raise SlotTimeoutError(seconds)
            taken = True
        finally:
            if not taken:
                self._waiting.pop(waiter, None)
                if waiter.granted:
                    self._release_slot()
        return deadline

    def _release_slot(self) -> None:
        """Hand a slot to the first in line, or put it back. While somebody waits, no newcomer can find it free."""
        if self._waiting:
            waiter = next(iter(self._waiting))
            del self._waiting[waiter]
            waiter.granted = True
            waiter.woken.set()
        else:
            self._free_slots += 1

    # Connections.

    def _reuse(self) -> Connection | None:
        """The youngest idle connection that is still good."""
        idle = self._idle
        if not idle:
            return None
        oldest = trio.current_time() - self._keepalive_expiry
        while idle:
            connection = idle.pop()
            if connection.idle_since >= oldest and not connection.is_stale():
                return connection
            self._discard(connection)
        return None

    async def _connect(self, timeouts: Timeouts | None, deadline: float | None) -> Connection:
        seconds = self._connect_timeout if timeouts is None else _seconds(timeouts.connect)
        if deadline is None or timeouts is not None:
            deadline = trio.current_time() + seconds
        with trio.move_on_at(deadline) as scope:
            self._dialing.add(scope)
            try:
                connected = await self._dialer.dial()
            finally:
                self._dialing.discard(scope)
        if scope.cancelled_caught:
            if self._closed:
                raise PoolClosedError("the connection pool was closed")
            raise ProviderTimeoutError("connect", seconds)
        connection = Connection(connected, self._view, self._max_head_bytes)
        self._open.add(connection)
        if self._closed:
            self._discard(connection)
            raise PoolClosedError("the connection pool was closed")
        return connection

    def _discard(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()

    def _give_back(self, connection: Connection) -> None:
        """Take a response's connection and slot back."""
        if connection.parser.reusable and connection.sent_whole and not connection.closed and self._max_idle:
            connection.idle_since = now = trio.current_time()
            idle = self._idle
            idle.append(connection)
            if len(idle) > self._max_idle or idle[0].idle_since < now - self._keepalive_expiry:
                self._discard(idle.popleft())
        else:
            self._discard(connection)
        self._release_slot()


def _seconds(timeout: float | None) -> float:
    return math.inf if timeout is None else timeout


def _may_repeat(
    connection: Connection, error: ProviderConnectionError, method: bytes, body: bytes | AsyncIterable[bytes]
) -> bool:
    """Whether a request that failed on a kept connection may go out again on a new one. See the module's docstring."""
    if isinstance(error, PoolClosedError) or not isinstance(body, bytes):
        return False
    return not connection.sent or (method in _SAFE_METHODS and connection.parser.untouched)
