"""What a provider needs of HTTP: one request out, the response's bytes back as they arrive.

Two things implement it: the pool of this package (trio sockets and httptools), and an adapter over any httpx client.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from typing import Protocol

Headers = Sequence[tuple[bytes, bytes]]


class UpstreamResponse(Protocol):
    """A response whose head has arrived. Must be closed: `close` is synchronous and never blocks."""

    status: int
    headers: Headers
    """Names in lower case, in the order they came. Does not hold `content-encoding` once the body is decoded."""

    async def receive(self) -> bytes:
        """The next bytes of the body as soon as there are any, decoded; b"" once the body is complete.

        Has no deadline of its own. Raises `ProviderConnectionError` when the connection breaks before the body is
        complete, `BadResponseError` for bytes that are not HTTP. When cancelled, the response can only be closed.
        """
        ...

    def close(self) -> None:
        """Give the connection back to the pool if the body was read to its end, else close its socket at once."""
        ...


class Upstream(Protocol):
    """A client bound to one base URL, with its pool, proxy and TLS settings."""

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes],
        *,
        length: int | None = None,
    ) -> UpstreamResponse:
        """Send a request and wait for the head of the response.

        A body may come in pieces: `length` bytes together, or in chunks if that is None. Its iterator is closed on
        every way out, and may be left before its end when the service answers early.
        `target` is appended to the base URL's path (`/chat/completions?x=1`). `headers` need not hold `host` and
        `content-length`. Connecting, waiting for a free slot included, has the configured deadline and raises
        `ProviderTimeoutError("connect")`; waiting for the head has none: that is the caller's. Raises
        `ProviderConnectionError` (`sent` tells whether the service may have seen the request). When cancelled at any
        point, every socket and slot it took is given back before `Cancelled` goes on.
        """
        ...

    @property
    def open_connections(self) -> int:
        """Sockets open now, idle ones included."""
        ...

    @property
    def used_slots(self) -> int:
        """Requests under way, those still connecting included, those waiting for a slot not."""
        ...

    async def aclose(self) -> None:
        """Close everything, at once."""
        ...
