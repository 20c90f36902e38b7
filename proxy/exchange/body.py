"""Reads a request's body, under its limits. Speaks ASGI; imports only the errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from providers.errors import RequestError

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class ClientGoneError(Exception):
    """The client left while its body was being read."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, *, max_bytes: int) -> bytes:
    """The whole body. Has no deadline of its own.

    Raises `RequestError`: 413 above `max_bytes` (at once, if `content-length` says so), 415 for an encoded body. Raises
    `ClientGoneError` when the client leaves.
    """
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        shown = encoding[:40].decode("latin-1")
        raise RequestError(f"content-encoding '{shown}' is not supported: send the body plain", status=415)
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece = message.get("body", b"")
        if piece:
            size += len(piece)
            if size > max_bytes:
                raise _too_large(max_bytes)
            pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(f"the request's body is larger than {max_bytes} bytes", status=413)
