"""httpx's API on this package's connections, for provider authors who write httpx.

    async with httpx.AsyncClient(transport=TrioTransport()) as client: ...

It drops httpcore, which can lose a slot of its pool with each request cancelled while the pool is contended. Imports
httpx and this package's pool.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import TypedDict, cast

import httpx
import trio

from providers.errors import BadResponseError, GatewayError, ProviderConnectionError, ProviderTimeoutError
from providers.transport.failures import (
    ConnectError,
    DisconnectedError,
    InvalidRequestError,
    OperationTimeoutError,
    ProxyError,
    ReceiveError,
    SendError,
    SlotTimeoutError,
)
from providers.transport.pool import ConnectionPool, Timeouts
from providers.transport.response import PoolResponse

_ERRORS: tuple[tuple[type[GatewayError], type[httpx.TransportError]], ...] = (
    (SlotTimeoutError, httpx.PoolTimeout),
    (ProviderTimeoutError, httpx.ConnectTimeout),
    (ProxyError, httpx.ProxyError),
    (ConnectError, httpx.ConnectError),
    (SendError, httpx.WriteError),
    (DisconnectedError, httpx.RemoteProtocolError),
    (ReceiveError, httpx.ReadError),
    (ProviderConnectionError, httpx.NetworkError),
    (BadResponseError, httpx.RemoteProtocolError),
    (InvalidRequestError, httpx.LocalProtocolError),
)
"""The first that fits wins."""


class _HTTPXTimeouts(TypedDict, total=False):
    """httpx's `timeout` extension, in seconds."""

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None


class TrioTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient` under trio: one `ConnectionPool` for each origin, at most `max_origins`.

    When there are more origins, the one whose last request is longest ago and that has none under way is closed; if all
    are busy, the request gets `httpx.PoolTimeout`. The other settings are those of `ConnectionPool`, for each origin.
    (A client that is given a transport leaves proxies and certificates to it.)

    The request's timeouts are obeyed: `pool`, `connect`, `read` (the wait for the head, and each wait for more of the
    body) and `write` (sending the whole request). Failures are httpx's exceptions; see `_ERRORS`.
    """

    def __init__(
        self,
        *,
        max_connections: int = 100,
        max_idle: int = 20,
        keepalive_expiry: float = 30.0,
        max_origins: int = 64,
        proxy: str | None = None,
        trust_env: bool = True,
        ca_bundle: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if max_origins < 1:
            raise ValueError("max_origins: expected at least 1")
        self._max_connections = max_connections
        self._max_idle = max_idle
        self._keepalive_expiry = keepalive_expiry
        self._max_origins = max_origins
        self._proxy = proxy
        self._trust_env = trust_env
        self._ca_bundle = ca_bundle
        self._ssl_context = ssl_context
        self._pools: OrderedDict[tuple[str, str, int | None], ConnectionPool] = OrderedDict()
        """The one used last at the end."""

    @property
    def open_connections(self) -> int:
        """Sockets open now, to all origins."""
        return sum(pool.open_connections for pool in self._pools.values())

    @property
    def used_slots(self) -> int:
        """Requests under way, to all origins."""
        return sum(pool.used_slots for pool in self._pools.values())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for the head of its response. Raises `httpx.TransportError`s."""
        limits = cast(_HTTPXTimeouts, request.extensions.get("timeout") or {})
        timeouts = Timeouts(
            slot=limits.get("pool"), connect=limits.get("connect"), write=limits.get("write"), read=limits.get("read")
        )
        stream = request.stream
        body: bytes | AsyncIterable[bytes]
        length: int | None = None
        if isinstance(stream, httpx.ByteStream):
            body = b"".join(stream)
        elif isinstance(stream, httpx.AsyncByteStream):
            body, length = stream, _declared_length(request.headers)
        else:
            raise TypeError("an asynchronous client needs an asynchronous request body")
        pool = self._pool(request)
        try:
            response = await pool.exchange(
                request.method.encode("ascii"),
                request.url.raw_path,
                request.headers.raw,
                body,
                length=length,
                timeouts=timeouts,
            )
        except (GatewayError, OperationTimeoutError) as error:
            raise _translated(error, request) from error
        return httpx.Response(
            response.status,
            headers=list(response.headers),
            stream=_ResponseStream(response, timeouts.read, request),
            extensions={"http_version": f"HTTP/{response.http_version}".encode()},
        )

    async def aclose(self) -> None:
        """Close every connection at once; see `ConnectionPool.close`."""
        while self._pools:
            self._pools.popitem()[1].close()
        await trio.lowlevel.checkpoint()

    def _pool(self, request: httpx.Request) -> ConnectionPool:
        url = request.url
        origin = (url.scheme, url.host, url.port)
        pool = self._pools.get(origin)
        if pool is None:
            self._make_room(request)
            host = f"[{url.host}]" if ":" in url.host else url.raw_host.decode("ascii")
            port = "" if url.port is None else f":{url.port}"
            try:
                pool = ConnectionPool(
                    f"{url.scheme}://{host}{port}",
                    max_connections=self._max_connections,
                    max_idle=self._max_idle,
                    keepalive_expiry=self._keepalive_expiry,
                    proxy=self._proxy,
                    trust_env=self._trust_env,
                    ca_bundle=self._ca_bundle,
                    ssl_context=self._ssl_context,
                )
            except ValueError as error:
                raise httpx.UnsupportedProtocol(str(error), request=request) from error
            self._pools[origin] = pool
        self._pools.move_to_end(origin)
        return pool

    def _make_room(self, request: httpx.Request) -> None:
        if len(self._pools) < self._max_origins:
            return
        for origin, pool in self._pools.items():
            if not pool.used_slots and not pool.waiting_requests:
                pool.close()
                del self._pools[origin]
                return
        raise httpx.PoolTimeout("requests to too many origins at once", request=request)


class _ResponseStream(httpx.AsyncByteStream):
    """The body of a response, as it comes off the wire: httpx itself undoes the compression."""

    def __init__(self, response: PoolResponse, read_timeout: float | None, request: httpx.Request) -> None:
        self._response = response
        self._read_timeout = read_timeout
        self._request = request

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            if self._read_timeout is None:
                data = await self._response.receive()
            else:
                with trio.move_on_after(self._read_timeout) as scope:
                    data = await self._response.receive()
                if scope.cancelled_caught:
                    raise OperationTimeoutError("read")
        except (GatewayError, OperationTimeoutError) as error:
            self._response.close()
            raise _translated(error, self._request) from error
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        # No checkpoint: httpx calls this in clean-up, under cancellation too.
        self._response.close()


def _declared_length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _translated(error: GatewayError | OperationTimeoutError, request: httpx.Request) -> httpx.TransportError:
    if isinstance(error, OperationTimeoutError):
        kind = httpx.ReadTimeout if error.operation == "read" else httpx.WriteTimeout
        return kind(str(error), request=request)
    for ours, theirs in _ERRORS:
        if isinstance(error, ours):
            return theirs(error.message, request=request)
    return httpx.TransportError(error.message, request=request)
