"""Redis or Valkey for plugins: redis-py's synchronous client in threads. Imports it when it is used (extra `redis`).

redis-py has no client for trio. The number of threads is bounded, and every call has a deadline for all of it: waiting
for a thread, resolving the name, connecting, the answer. Who has waited so long, or is cancelled, waits no more; the
thread is left behind, ends by itself (redis-py's own timeouts; a name server's), and counts until then.

Redis that failed is *gone* for `RETRY_AFTER` seconds: whoever asks is told so at once, and so are those that wait. Then
one call tries, and all others are told so until that one has its answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio

from providers.extension import Schema

T = TypeVar("T")

MAX_THREADS = 32
RETRY_AFTER = 1.0
"""Seconds for which Redis is not asked after it failed."""

URL_SCHEMA: Schema = {
    "type": "string",
    "pattern": "^(rediss?|unix)://",
    "errorMessage": "a redis://, rediss:// or unix:// URL",
    "description": "Redis 6 or newer, or Valkey: `redis://:${REDIS_PASSWORD}@host:6379/0`.",
}
TIMEOUT_SCHEMA: Schema = {
    "type": "integer",
    "minimum": 1,
    "default": 1000,
    "description": "For one call, in ms; resolving the name and connecting included.",
}


def missing_redis() -> str | None:
    """What to do about it, if redis-py is not installed."""
    try:
        import redis  # noqa: F401
    except ImportError:
        return "redis: install the extra: pip install 'triway[redis]'"
    return None


class RedisGoneError(Exception):
    """Redis has failed of late, and was not asked; or it was found to be gone by another call meanwhile."""


class ThreadCall(Generic[T]):
    """A call in a thread, which may outlive the wait for it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.over = False
        """Nothing more will come of it here; what was sent may still be in Redis' socket."""
        self._call = call
        self._lock = threading.Lock()
        self._begun = self._given_up = False

    def __call__(self) -> T:
        with self._lock:
            if self._given_up:
                raise RedisGoneError
            self._begun = True
        try:
            return self._call()
        finally:
            self.over = True

    def give_up(self) -> bool:
        """Nobody waits any more. Whether it may have had, or may yet have, an effect."""
        with self._lock:
            self._given_up = True
            return self._begun


class RedisClient:
    """`url`: `redis://`, `rediss://` or `unix://`. `timeout` in seconds, for each call."""

    def __init__(self, url: str, *, timeout: float) -> None:
        import redis

        self._timeout = timeout
        self.redis: Any = redis.Redis(
            connection_pool=redis.BlockingConnectionPool.from_url(
                url,
                max_connections=MAX_THREADS,
                timeout=timeout,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=None,
                client_name="triway",
            )
        )
        """To be used inside `run` only: it blocks."""
        self._limiter = trio.CapacityLimiter(MAX_THREADS)
        self._gone_until: float | None = None
        """None: it answers, as far as is known."""
        self._trying = False
        self._waits: set[trio.CancelScope] = set()

    @property
    def gone(self) -> bool:
        """It failed, and has not answered since."""
        return self._gone_until is not None

    async def run(self, call: Callable[[], T], *, left_behind: Callable[[ThreadCall[T]], object] | None = None) -> T:
        """`call()` in a thread. Raises what it raises, `TimeoutError`, and `RedisGoneError`.

        `left_behind` is told of a call that has no answer but may have an effect, before this raises.
        """
        trying = self.gone
        if self._gone_until is not None and (self._trying or trio.current_time() < self._gone_until):
            raise RedisGoneError
        self._trying = trying
        work = ThreadCall(call)
        wait = trio.CancelScope(deadline=trio.current_time() + self._timeout)
        self._waits.add(wait)
        answered = False
        try:
            with wait:
                result = await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)
                answered = True
                self._gone_until = None
                return result
            raise TimeoutError(f"Redis did not answer within {self._timeout * 1000:.0f} ms")
        except Exception as error:
            if self.gone and not trying:
                raise RedisGoneError from error  # another call has told it
            self._gone_until = trio.current_time() + RETRY_AFTER
            for other in self._waits:
                other.cancel()
            raise
        finally:
            self._waits.discard(wait)
            if trying:
                self._trying = False
            if not answered and work.give_up() and left_behind is not None:
                left_behind(work)

    async def aclose(self) -> None:
        with trio.move_on_after(self._timeout):
            await trio.to_thread.run_sync(self.redis.close, abandon_on_cancel=True)
