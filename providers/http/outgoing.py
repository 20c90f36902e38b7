"""`OutgoingRequest`: what `request_out` makes of a request."""

from __future__ import annotations

import msgspec


class OutgoingRequest(msgspec.Struct):
    """An upstream request, as `request_out` makes it."""

    target: str
    """Path, below the base URL's path, and query: `/chat/completions`."""
    body: bytes
    headers: dict[str, str] = {}
    method: str = "POST"
    dropped: list[str] = []
    """Names of the client's parameters that the body does not carry."""
