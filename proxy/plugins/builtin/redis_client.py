"""Redis or Valkey for plugins: redis-py's synchronous client in threads. Imports it when it is used (extra `redis`).

redis-py has no client for trio. The number of threads is bounded, and every call has a deadline (`timeout`, for
connecting and for answering). Who is cancelled waits for it all the same: else nobody would know what was done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import trio

from providers.extension import Schema

T = TypeVar("T")

MAX_THREADS = 32

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
    "description": "For one call, in ms.",
}


def missing_redis() -> str | None:
    """What to do about it, if redis-py is not installed."""
    try:
        import redis  # noqa: F401
    except ImportError:
        return "redis: install the extra: pip install 'triway[redis]'"
    return None


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

    async def run(self, call: Callable[[], T]) -> T:
        """`call()` in a thread. Raises what it raises, and `TimeoutError` when too many calls are waiting."""
        # Waiting for a thread, then for a connection of the pool, for connecting, and for the answer.
        deadline = trio.current_time() + 4 * self._timeout
        with trio.CancelScope(shield=True, deadline=deadline):
            return await trio.to_thread.run_sync(call, limiter=self._limiter)
        raise TimeoutError("too many calls are waiting for Redis")

    async def aclose(self) -> None:
        await self.run(self.redis.close)
