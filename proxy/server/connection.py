"""Takes the place of Hypercorn's `TCPServer`: finds out what a new connection speaks, and has it served."""

from __future__ import annotations

import logging
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.typing import WorkerContext
from hypercorn.utils import parse_socket_addr

from proxy.server.config import ServerConfig
from proxy.server.http1 import Http1Connection
from proxy.server.hypercorn_path import Address, HypercornConnection, Stream
from proxy.server.response import error_response
from proxy.server.wire import PlainWire, TLSWire

TURN_AWAY_TIMEOUT = 0.5
"""Seconds for a client to take the news that there are too many connections."""

_log = logging.getLogger("triway.server")


async def serve_connection(
    app: ASGIWrapper, config: ServerConfig, context: WorkerContext, state: dict[str, Any], stream: Stream
) -> None:
    """Serve one accepted connection until it is over. Raises only what is no `Exception`.

    Hypercorn calls it as it would make a `TCPServer` and await it. Whatever goes wrong ends this connection only.
    """
    try:
        await _serve(app, config, context, state, stream)
    except Exception:  # noqa: BLE001 - one connection's fault is not the worker's
        _log.exception("a connection failed")


async def _serve(
    app: ASGIWrapper, config: ServerConfig, context: WorkerContext, state: dict[str, Any], stream: Stream
) -> None:
    settings = config.settings
    tls = isinstance(stream, trio.SSLStream)
    http2 = False
    if len(config.connections) >= settings.max_connections:
        await _turn_away(stream)
        return
    if isinstance(stream, trio.SSLStream):
        handshake = _Handshake(settings.handshake_timeout)
        with config.connections.holding(handshake), handshake.scope:
            try:
                await stream.do_handshake()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
        if handshake.scope.cancelled_caught:
            return
        http2 = stream.selected_alpn_protocol() == "h2"
    try:
        client, server = _addresses(stream)
    except OSError:
        return  # reset before it was served
    if http2:
        await _serve_hypercorn(app, config, context, state, stream, b"", http2=True, client=client, server=server)
        return
    wire = (
        TLSWire(stream, settings.write_timeout)
        if isinstance(stream, trio.SSLStream)
        else PlainWire(stream, settings.write_timeout)
    )
    connection = Http1Connection(
        app.app,
        wire,
        settings,
        config.connections,
        scheme="https" if tls else "http",
        client=client,
        server=server,
        state=state,
    )
    with config.connections.holding(connection):
        rest = await connection.run()
        if rest is not None:
            is_http2 = rest.startswith(b"PRI")
            stream = wire.release()
            await _serve_hypercorn(
                app, config, context, state, stream, rest, http2=is_http2, client=client, server=server
            )


class _Handshake:
    """A connection that is not one yet: given up at once when the worker stops."""

    def __init__(self, timeout: float) -> None:
        self.scope = trio.CancelScope(deadline=trio.current_time() + timeout)

    def close_when_idle(self) -> None:
        self.scope.cancel()

    def abort(self) -> None:
        self.scope.cancel()


async def _serve_hypercorn(
    app: ASGIWrapper,
    config: ServerConfig,
    context: WorkerContext,
    state: dict[str, Any],
    stream: Stream,
    data: bytes,
    *,
    http2: bool,
    client: Address,
    server: Address,
) -> None:
    connection = HypercornConnection(app, config, context, state, stream)
    tls = isinstance(stream, trio.SSLStream)
    with config.connections.holding(connection):
        await connection.serve(data, http2=http2, tls=tls, client=client, server=server)


def _addresses(stream: Stream) -> tuple[Address, Address]:
    """The client's and the server's. Raises `OSError` if the connection is reset already."""
    sock = (stream.transport_stream if isinstance(stream, trio.SSLStream) else stream).socket
    return parse_socket_addr(sock.family, sock.getpeername()), parse_socket_addr(sock.family, sock.getsockname())


async def _turn_away(stream: Stream) -> None:
    """One connection too many: say so where that costs nothing (a handshake does)."""
    if isinstance(stream, trio.SSLStream):
        return
    with trio.move_on_after(TURN_AWAY_TIMEOUT):
        try:
            await stream.send_all(error_response(503, "too many connections; try again in a moment", "server_error"))
            await stream.send_eof()
            while await stream.receive_some(1024):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
