"""AWS credentials from wherever botocore finds them, kept fresh without holding the loop up.

botocore fetches and refreshes credentials by calls that block: files, the metadata server, STS, SSO. Here they run in a
thread, under a deadline, one at a time, whoever asks. Credentials that still hold are given out while new ones are
fetched, and also when fetching fails; `RETRY_AFTER` later it is tried again.

botocore is the extra `bedrock`; it is imported with this module. Imports the errors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import trio
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from providers.errors import ErrorKind, ProviderError

log = logging.getLogger("triway.provider")

FETCH_TIMEOUT = 15.0
"""Seconds that fetching may take before the request that waits for it fails."""

RETRY_AFTER = 30.0
"""Seconds to go on with credentials that still hold before fetching new ones is tried again."""

REFRESH_BEFORE = 15 * 60
"""Seconds before they expire from which on new ones are fetched: botocore's own figure."""

MARGIN = 60
"""Seconds before they expire from which on credentials count as expired: the request has to arrive in time."""

_FAILURES = (BotoCoreError, ClientError, RuntimeError, ValueError, OSError)
"""What botocore raises when it gets no credentials. RuntimeError: the new ones have expired already."""


def static_credentials(access_key: str, secret_key: str, token: str | None) -> Callable[[], Any]:
    """A loader of credentials that are known."""
    return lambda: Credentials(access_key, secret_key, token)


def found_credentials(profile: str | None) -> Callable[[], Any]:
    """A loader that looks where AWS's own tools look: the environment, a profile of the shared files, SSO, a web
    identity, the container's or the machine's role."""
    return lambda: Session(profile=profile).get_credentials()


def region_of_profile(profile: str | None) -> str | None:
    """The region that a profile (None: the default one) names. Raises ValueError if there is no such profile."""
    try:
        found = Session(profile=profile).get_config_variable("region")
    except BotoCoreError as error:
        raise ValueError(str(error)) from error
    return found if isinstance(found, str) else None


class _Held(NamedTuple):
    keys: ReadOnlyCredentials
    expires: datetime | None
    """None: never."""


class AWSCredentials:
    """`load` is called once, in a thread, and returns botocore's credentials, or None if there are none."""

    def __init__(self, load: Callable[[], Any], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._load = load
        self._now = now
        self._source: Any = None
        """botocore's credentials, which refresh themselves when they are asked in the thread."""
        self._held: _Held | None = None
        """What they were when last asked. The thread sets it: a fetch that nobody waited for is not lost."""
        self._fetching = trio.Lock()
        self._threads = trio.CapacityLimiter(1)
        """A thread that outlived its deadline holds the place until it ends, so that no more pile up behind it."""
        self._not_before = 0.0

    async def current(self) -> ReadOnlyCredentials:
        """Access key, secret key and token, all of one kind. May wait for a fetch; can be cancelled, which stops the
        wait, not the thread. Raises `ProviderError`."""
        held = self._held
        if held is not None:
            if not self._expires_within(held, REFRESH_BEFORE):
                return held.keys
            others_try = self._fetching.locked() or trio.current_time() < self._not_before
            if others_try and not self._expires_within(held, MARGIN):
                return held.keys
        async with self._fetching:
            # Another task may have fetched them meanwhile.
            if self._held is not None and not self._expires_within(self._held, REFRESH_BEFORE):
                return self._held.keys
            return await self._fetch()

    def _expires_within(self, held: _Held, seconds: float) -> bool:
        return held.expires is not None and (held.expires - self._now()).total_seconds() < seconds

    async def _fetch(self) -> ReadOnlyCredentials:
        error = ProviderError(
            f"the gateway got no AWS credentials within {FETCH_TIMEOUT:g} s", kind=ErrorKind.TIMEOUT, status=504
        )
        with trio.move_on_after(FETCH_TIMEOUT):
            try:
                held = await trio.to_thread.run_sync(
                    self._fetch_in_thread, abandon_on_cancel=True, limiter=self._threads
                )
                if not self._expires_within(held, REFRESH_BEFORE):
                    return held.keys
            except _FAILURES as failure:
                # Its message may name accounts and roles: for the log's reader only the type.
                log.error("no AWS credentials: %s", type(failure).__name__)
                error = ProviderError(
                    "the gateway has no AWS credentials for this model",
                    kind=ErrorKind.AUTHENTICATION,
                    status=401,
                    retryable=False,
                )
        # botocore keeps the old ones when a refresh fails that it could still do without.
        self._not_before = trio.current_time() + RETRY_AFTER
        if self._held is not None and not self._expires_within(self._held, MARGIN):
            return self._held.keys
        raise error

    def _fetch_in_thread(self) -> _Held:
        if self._source is None:
            self._source = self._load()
        if self._source is None:
            raise ValueError("none were found")
        keys = self._source.get_frozen_credentials()
        # botocore has no public word for it; static credentials have no expiry at all.
        held = self._held = _Held(keys, getattr(self._source, "_expiry_time", None))
        return held
