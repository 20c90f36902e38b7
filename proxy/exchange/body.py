"""Reads a request's body, under its limits. Speaks ASGI; imports only the errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from providers.errors import ErrorKind, RequestError

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class ClientGoneError(Exception):
    """The client left while its body was being read."""


async def read_body(headers: Mapping[str, str], receive: Receive, *, max_bytes: int, timeout: float) -> bytes:
    """The whole body.

    Raises `RequestError`: 413 above `max_bytes` (at once, if `content-length` says so), 408 when it is not complete
    after `timeout` seconds, 415 for an encoded body. Raises `ClientGoneError` when the client leaves.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise RequestError(f"content-encoding '{encoding[:40]}' is not supported: send the body plain", status=415)
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    pieces: list[bytes] = []
    size = 0
    with trio.CancelScope(deadline=trio.current_time() + timeout):
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
    raise RequestError(
        f"the request's body was not complete after {round(timeout * 1000)} ms", status=408, kind=ErrorKind.TIMEOUT
    )


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(f"the request's body is larger than {max_bytes} bytes", status=413)
