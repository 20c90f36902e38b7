"""What the server can be told. Imports nothing of this package."""

from __future__ import annotations

import msgspec


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to listen and how long to put up with clients. All times in seconds. Raises `ValueError` for nonsense."""

    bind: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.1:8080"])
    """`host:port` or `[ipv6]:port`; port 0 takes a free one. With a certificate these speak TLS, else plain HTTP."""
    insecure_bind: list[str] = msgspec.field(default_factory=list)
    """Addresses that speak plain HTTP beside the TLS ones. Only with a certificate."""
    certfile: str | None = None
    keyfile: str | None = None
    ca_certs: str | None = None
    """A file of CAs. When given, clients must show a certificate that one of them signed."""
    workers: int = 1
    """Processes. 1 serves in the calling process; more are spawned, on Linux each with sockets of its own."""
    backlog: int = 1024
    http2: bool = True
    """Offer HTTP/2 by ALPN, and take its preface on plain connections (prior knowledge)."""

    max_connections: int = 10_000
    """Open connections of one worker; further ones are told 503 and closed."""
    max_head_bytes: int = 64 * 1024
    """Of a request line with its headers; a longer one is a 431."""
    max_header_count: int = 128
    max_body_backlog: int = 256 * 1024
    """Bytes of a request's body that wait for the app; beyond it the socket is not read."""
    keep_alive_max_requests: int = 10_000
    """Requests of one connection; the answer to the last one says `connection: close`.
    0: no limit."""

    handshake_timeout: float = 15.0
    """For a TLS handshake."""
    header_timeout: float = 15.0
    """For a request's head to be complete: from the accept for the first one, else from the head's first byte."""
    keep_alive_timeout: float = 75.0
    """How long a connection may be idle between requests."""
    write_timeout: float = 30.0
    """How long a client may take no byte at all before it is cut off."""
    startup_timeout: float = 60.0
    """For the app's lifespan startup."""
    drain_delay: float = 0.0
    """How long to go on accepting after SIGTERM, with `/ready` at 503 already: the load balancer's time to notice."""
    graceful_timeout: float = 30.0
    """How long running requests may go on once nothing is accepted any more."""
    end_timeout: float = 2.0
    """How long requests have to write their in-band error after `end_streams`; then they are cancelled."""
    shutdown_timeout: float = 15.0
    """For the app's lifespan shutdown."""

    def __post_init__(self) -> None:
        if not self.bind:
            raise ValueError("bind: no address to listen on")
        if self.workers < 1:
            raise ValueError("workers: must be at least 1")
        if (self.certfile is None) != (self.keyfile is None):
            raise ValueError("certfile and keyfile: give both or neither")
        if self.insecure_bind and self.certfile is None:
            raise ValueError("insecure_bind: only makes sense beside a certificate")
        if self.ca_certs is not None and self.certfile is None:
            raise ValueError("ca_certs: only makes sense with a certificate")
        for name in ("handshake_timeout", "header_timeout", "keep_alive_timeout", "write_timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be more than 0")
        for name in ("drain_delay", "graceful_timeout", "end_timeout"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: must not be negative")
        for name in ("max_connections", "max_head_bytes", "max_header_count", "max_body_backlog"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1")
