"""Retries: what is tried again, and after how long."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import (
    BadResponseError,
    ErrorKind,
    OversizedEventError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    kind_of_status,
)
from providers.http.retry import MAX_DELAY, RETRY_AFTER_CAP, RetryPolicy, is_retryable, parse_retry_after

POLICY = RetryPolicy(3, 0.5)


def refusal(status: int, *, retry_after: float | None = None) -> ProviderError:
    return ProviderError(
        "no", kind=kind_of_status(status), status=status, upstream_status=status, retry_after=retry_after
    )


@pytest.mark.parametrize("status", range(400, 600))
def test_the_statuses_that_are_tried_again(status: int) -> None:
    assert is_retryable(refusal(status)) == (status in (408, 409, 429) or status >= 500)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ProviderConnectionError("refused"), True),
        (ProviderConnectionError("reset", sent=True), True),
        (ProviderTimeoutError("connect", 1), True),
        (ProviderTimeoutError("first_token", 1), False),
        (ProviderTimeoutError("idle", 1), False),
        (ProviderTimeoutError("total", 1), False),
        (BadResponseError("HTML"), False),
        (OversizedEventError(1), False),
        (ProviderError("in band", kind=ErrorKind.OVERLOADED, status=529), True),
        (ProviderError("asked not to", kind=ErrorKind.RATE_LIMIT, status=429, retryable=False), False),
        (ProviderError("bad request told as 500", kind=ErrorKind.SERVER, status=500, upstream_status=400), False),
    ],
    ids=lambda value: str(value),
)
def test_the_failures_that_are_tried_again(error: ProviderError, expected: bool) -> None:
    assert is_retryable(error) == expected
    assert (POLICY.delay(error, 0) is not None) == expected


def test_there_are_as_many_tries_as_configured() -> None:
    error = refusal(503)
    assert [POLICY.delay(error, made) is not None for made in range(5)] == [True, True, True, False, False]
    assert RetryPolicy(0, 0.5).delay(error, 0) is None


@settings(deadline=None, max_examples=200)
@given(base=st.floats(0.001, 100), retries=st.integers(0, 9))
def test_the_delay_is_jittered_below_an_exponential_with_a_ceiling(base: float, retries: int) -> None:
    delay = RetryPolicy(10, base).delay(refusal(503), retries)
    assert delay is not None
    assert 0 <= delay <= min(MAX_DELAY, base * 2**retries)


def test_the_jitter_is_full() -> None:
    delays = [RetryPolicy(10, 1.0).delay(refusal(503), 3) for _ in range(400)]
    assert min(delay for delay in delays if delay is not None) < 1
    assert max(delay for delay in delays if delay is not None) > 7
    assert len(set(delays)) > 300


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.0, RETRY_AFTER_CAP])
def test_the_provider_s_retry_after_is_obeyed(seconds: float) -> None:
    assert POLICY.delay(refusal(429, retry_after=seconds), 0) == seconds


@pytest.mark.parametrize("seconds", [RETRY_AFTER_CAP + 0.1, 3600.0])
def test_a_retry_after_beyond_the_cap_is_the_client_s_to_wait_for(seconds: float) -> None:
    assert POLICY.delay(refusal(429, retry_after=seconds), 0) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 2 "}, 2.0),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Mon, 99 Foo 2099 99:99:99 GMT"}, None),
        ({"retry-after": formatdate(0, usegmt=True)}, 0.0),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
    ],
)
def test_retry_after_is_read_from_both_headers(headers: dict[str, str], expected: float | None) -> None:
    assert parse_retry_after(headers) == expected


def test_retry_after_as_a_date_counts_from_now() -> None:
    seconds = parse_retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert seconds is not None
    assert 20 < seconds <= 30


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40))
def test_no_retry_after_breaks_the_reader(value: str) -> None:
    seconds = parse_retry_after({"retry-after": value})
    assert seconds is None or seconds >= 0
