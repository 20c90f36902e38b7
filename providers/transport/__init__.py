"""HTTP to the providers. `ConnectionPool` is the one to take; the httpx adapters are for what it does not do."""

from providers.transport.base import Headers, Upstream, UpstreamResponse
from providers.transport.failures import (
    ConnectError,
    DisconnectedError,
    InvalidRequestError,
    PoolClosedError,
    ProxyError,
    ReceiveError,
    SendError,
    SlotTimeoutError,
)
from providers.transport.httpx_transport import TrioTransport
from providers.transport.httpx_upstream import HTTPXUpstream
from providers.transport.pool import ConnectionPool
from providers.transport.tls import client_context

__all__ = [
    "ConnectError",
    "ConnectionPool",
    "DisconnectedError",
    "HTTPXUpstream",
    "Headers",
    "InvalidRequestError",
    "PoolClosedError",
    "ProxyError",
    "ReceiveError",
    "SendError",
    "SlotTimeoutError",
    "TrioTransport",
    "Upstream",
    "UpstreamResponse",
    "client_context",
]
