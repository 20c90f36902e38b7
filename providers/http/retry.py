"""When to try an upstream request again, and after how long. Does no I/O.

The rules: connect errors, 408, 409, 429 and 5xx are tried again; nothing else is. The delay is exponential with full
jitter; a `Retry-After` of the provider is obeyed if it is not longer than `RETRY_AFTER_CAP`. Whether there is time
left, and whether a byte has gone to the client, is the caller's to know.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec
from tenacity import RetryCallState, Retrying, wait_random_exponential

from providers.errors import (
    RETRYABLE_STATUS,
    BadResponseError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
)

RETRY_AFTER_CAP = 60.0
"""A `Retry-After` of more than this many seconds is not waited for: the error goes to the client, who is told."""

MAX_DELAY = 30.0
"""The longest delay between two tries, in seconds, when the provider does not say."""


class RetryPolicy(msgspec.Struct, frozen=True):
    attempts: int
    """Tries after the first one."""
    base_delay: float
    """In seconds."""

    def delay(self, error: ProviderError, retries: int) -> float | None:
        """Seconds to wait before the next try after `error`, with `retries` made so far; None: do not try again."""
        if retries >= self.attempts or not is_retryable(error):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= RETRY_AFTER_CAP else None
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = retries + 1
        return float(wait_random_exponential(multiplier=self.base_delay, max=MAX_DELAY)(state))


def is_retryable(error: ProviderError) -> bool:
    """Whether the same request may fare better on the same provider."""
    match error:
        case ProviderTimeoutError():
            return error.phase == "connect"
        case ProviderConnectionError():
            return error.retryable
        case BadResponseError():
            return False
        case _:
            return error.retryable and (error.upstream_status or error.status) in RETRYABLE_STATUS


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from now, from `retry-after-ms` or `retry-after` (RFC 9110, 10.2.3: seconds or an HTTP date)."""
    value = headers.get("retry-after-ms")
    scale = 1000.0
    if value is None:
        value = headers.get("retry-after")
        scale = 1.0
    if value is None:
        return None
    try:
        seconds = float(value) / scale
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
