"""`ExpiringCredentials`: what a blocking library fetches and what expires, kept fresh without holding the loop up.

The rules, all of them here:
* Fetching runs in a thread, under `FETCH_TIMEOUT`, once for all who ask meanwhile: they share what comes of it, the
  failure too.
* Who fetches may be cancelled like any other who waits. The thread goes on, and what it brings is not lost: one of the
  others takes over the wait for it. A thread that outlived its deadline keeps the one place until it ends, so that no
  more pile up behind it.
* Credentials that still hold are given out while new ones are fetched, and when fetching fails; `RETRY_AFTER` later it
  is tried again.

Imports the errors.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Generic, TypeVar

import trio

from providers.errors import ErrorKind, ProviderError

log = logging.getLogger("triway.provider")

FETCH_TIMEOUT = 15.0
"""Seconds that fetching may take before the requests that wait for it fail."""

RETRY_AFTER = 30.0
"""Seconds to go on with credentials that still hold before fetching new ones is tried again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """Credentials, and until when they hold."""

    value: T
    expires: datetime | None
    """None: for ever."""


class _Flight(Generic[T]):
    """One fetch, for all who wait for it."""

    __slots__ = ("done", "failure")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.failure: Callable[[], ProviderError] | None = None
        """Makes the error for each who waited. None when done: there are credentials, or the fetcher was cancelled."""


class ExpiringCredentials(ABC, Generic[T]):
    """`now` is the wall clock that expiry times are read by."""

    what: ClassVar[str]
    """What they are called in a message: `AWS credentials`."""
    refresh_before: ClassVar[float]
    """Seconds before they expire from which on new ones are fetched."""
    margin: ClassVar[float]
    """Seconds before they expire from which on credentials count as expired: the request has to arrive in time."""
    failures: ClassVar[tuple[type[Exception], ...]]
    """What `fetch` raises when it gets none."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._held: Held[T] | None = None
        """The last that were fetched. The thread sets it."""
        self._flight: _Flight[T] | None = None
        self._threads = trio.CapacityLimiter(1)
        self._not_before = 0.0

    @abstractmethod
    def fetch(self) -> Held[T]:
        """Fetch new ones. Blocks; runs in a thread."""

    @abstractmethod
    def refused(self, failure: Exception) -> Callable[[], ProviderError]:
        """What makes the errors for those who wait, from what `fetch` raised. Its message may name accounts or quote
        secrets: it is not for them."""

    async def current(self) -> T:
        """The credentials. May wait for a fetch; can be cancelled. Raises `ProviderError`."""
        while True:
            held = self._held
            if held is not None:
                if not self._expires_within(held, self.refresh_before):
                    return held.value
                others_try = self._flight is not None or trio.current_time() < self._not_before
                if others_try and not self._expires_within(held, self.margin):
                    return held.value
            flight = self._flight
            if flight is None:
                return await self._fly()
            await flight.done.wait()
            if flight.failure is not None:
                raise flight.failure()

    def _expires_within(self, held: Held[T], seconds: float) -> bool:
        return held.expires is not None and (held.expires - self._now()).total_seconds() < seconds

    async def _fly(self) -> T:
        flight = self._flight = _Flight()
        try:
            flight.failure = await self._fetch()
        finally:
            self._flight = None
            flight.done.set()
        held = self._held
        if held is not None and not self._expires_within(held, self.margin):
            return held.value
        raise (flight.failure or self._too_late)()

    async def _fetch(self) -> Callable[[], ProviderError] | None:
        """Set `_held`; return what went wrong."""
        failure: Callable[[], ProviderError] | None = self._too_late
        with trio.move_on_after(FETCH_TIMEOUT):
            try:
                held = await trio.to_thread.run_sync(
                    self._fetch_in_thread, abandon_on_cancel=True, limiter=self._threads
                )
                failure = None
                if not self._expires_within(held, self.refresh_before):
                    return None
            except self.failures as error:
                log.error("no %s: %s", self.what, type(error).__name__)
                failure = self.refused(error)
        # The library may give out the old ones when it could still do without new ones.
        self._not_before = trio.current_time() + RETRY_AFTER
        return failure

    def _fetch_in_thread(self) -> Held[T]:
        held = self._held
        if held is not None and not self._expires_within(held, self.refresh_before):
            return held  # a fetch that was given up came to its end after all
        held = self._held = self.fetch()
        return held

    def _too_late(self) -> ProviderError:
        message = f"the gateway got no {self.what} within {FETCH_TIMEOUT:g} s"
        return ProviderError(message, kind=ErrorKind.TIMEOUT, status=504)
