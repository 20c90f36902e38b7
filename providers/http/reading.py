"""Whole bodies: read from an upstream response under a limit, and through a provider's pure function."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from providers.errors import BadResponseError
from providers.transport.base import UpstreamResponse

log = logging.getLogger("triway.provider")

MAX_RESPONSE_BYTES = 256 * 1024 * 1024
MAX_ERROR_BYTES = 1024 * 1024

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)
"""What a pure function raises over bytes that are not what it was written for (msgspec's errors are ValueErrors)."""

T = TypeVar("T")


def read_answer(read: Callable[[bytes], T], body: bytes) -> T:
    """`read(body)`. Raises `BadResponseError` when it cannot be read."""
    try:
        return read(body)
    except UNREADABLE as error:
        place = traceback.extract_tb(error.__traceback__)[-1]  # the message may quote the answer
        log.warning("unreadable answer: %s at %s:%s", type(error).__name__, place.filename, place.lineno)
        raise BadResponseError("the provider's answer could not be read", retryable=False) from error


async def read_all(response: UpstreamResponse, limit: int) -> bytes:
    """The rest of a body. Raises `BadResponseError` above `limit` bytes. The caller closes the response."""
    first = await response.receive()
    if not first:
        return first
    pieces = [first]
    size = len(first)
    while data := await response.receive():
        pieces.append(data)
        size += len(data)
        if size > limit:
            raise BadResponseError(f"the provider's answer is larger than {limit} bytes", retryable=False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
