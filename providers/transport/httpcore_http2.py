"""What httpcore's HTTP/2 needs to survive cancellation. The one place that knows httpcore from the inside.

Many requests share an HTTP/2 connection, so one that is cancelled must leave the connection whole. httpcore (1.0.9, and
httpx 0.28 has no successor) does not see to that:

* A cancelled write leaves frames half written or, if it had not begun, lost, and with them the connection's header
  compression and TLS records. `shield_writes` lets a write that has begun come to its end, within a time limit.
* It sends no RST_STREAM for a stream that nobody reads any more: the service would generate on, and h2 would count the
  stream as open until no other may be. `reset_abandoned_streams` sends them.

Private attributes are looked up defensively: a client that is built differently is left as it is.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from typing import Any

import h2.connection
import h2.errors
import h2.exceptions
import httpcore
import httpx
import trio

WRITE_GRACE_SECONDS = 2.0
"""How long a write goes on after its request was cancelled."""

_log = logging.getLogger(__name__)


def open_connections(client: httpx.AsyncClient) -> list[Any]:
    """The connections of all the client's pools: those of its proxies too."""
    return [connection for pool in _pools(client) for connection in pool.connections]


def shield_writes(client: httpx.AsyncClient) -> None:
    """From now on, connections of this client do not let cancellation cut a write."""
    for pool in _pools(client):
        backend = getattr(pool, "_network_backend", None)
        if isinstance(backend, httpcore.AsyncNetworkBackend):
            pool._network_backend = _ShieldingBackend(backend)


async def reset_abandoned_streams(client: httpx.AsyncClient, request: httpx.Request) -> None:
    """Reset the HTTP/2 streams that h2 has open and httpcore has no reader for any more."""
    for connection in open_connections(client):
        http2 = _inner_http2(connection)
        state = getattr(http2, "_h2_state", None)
        readers = getattr(http2, "_events", None)
        write = getattr(http2, "_write_outgoing_data", None)
        if not isinstance(state, h2.connection.H2Connection) or readers is None or write is None:
            continue
        abandoned = [id_ for id_, stream in state.streams.items() if not stream.closed and id_ not in readers]
        try:
            for stream_id in abandoned:
                state.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
            if abandoned:
                await write(request)
        except (h2.exceptions.ProtocolError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            _log.debug("a connection was lost together with its abandoned streams")


def _pools(client: httpx.AsyncClient) -> list[Any]:
    transports = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    pools = [getattr(transport, "_pool", None) for transport in transports]
    return [pool for pool in pools if isinstance(pool, httpcore.AsyncConnectionPool)]


def _inner_http2(connection: Any) -> Any:
    """A pool's connection wraps the protocol's own, and a proxy's wraps that again."""
    for _ in range(3):
        if hasattr(connection, "_h2_state"):
            return connection
        connection = getattr(connection, "_connection", None)
    return None


class _ShieldingBackend(httpcore.AsyncNetworkBackend):
    """Opens connections with another backend."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _ShieldingStream(await self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _ShieldingStream(await self._backend.connect_unix_socket(path, timeout, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _ShieldingStream(httpcore.AsyncNetworkStream):
    """Another stream, whose writes run to their end."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As long as nobody is cancelled, without a limit of its own; then for `WRITE_GRACE_SECONDS` more."""
        shield = trio.CancelScope(shield=True)
        failure: Exception | None = None

        async def limit_when_cancelled() -> None:
            try:
                await trio.sleep_forever()
            finally:
                shield.deadline = trio.current_time() + WRITE_GRACE_SECONDS

        # The watcher lives outside of the shield, so that it is told of a cancellation that the write is not.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(limit_when_cancelled)
            with shield:
                try:
                    await self._stream.write(buffer, timeout)
                except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                    failure = error  # Raised below: a nursery would put it into a group, which httpcore cannot read.
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if shield.cancelled_caught:
            raise httpcore.WriteError("the connection stalled")

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _ShieldingStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
