"""The downstream server: Hypercorn's deployment with HTTP/1.1 connections of our own on trio and httptools.

Hypercorn's are the configuration, the sockets, TLS, the worker processes, the lifespan, HTTP/2 and WebSockets.

How it fits together, from the process inwards: `serve` -> `spawned` (several workers) -> `worker` -> Hypercorn's
`worker_serve` -> `connection` (for each accepted socket) -> `http1` and `cycle`, or `hypercorn_path`. `head`, `chunked`
and `response` are the grammar, without I/O. Imports nothing else of `proxy`, nor of `providers`.
"""

from __future__ import annotations

from proxy.server.app import DISCONNECT, ClientDisconnectedError, Disconnect, GatewayApp
from proxy.server.errors import StartupError
from proxy.server.serve import serve, serve_in_task
from proxy.server.settings import ServerSettings

__all__ = [
    "DISCONNECT",
    "ClientDisconnectedError",
    "Disconnect",
    "GatewayApp",
    "ServerSettings",
    "StartupError",
    "serve",
    "serve_in_task",
]
