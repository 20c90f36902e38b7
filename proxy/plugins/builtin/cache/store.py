"""Keeps answers, as bytes: in this process, or in Redis or Valkey for several."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import trio

from proxy.plugins.builtin.redis_client import RedisClient


class Store(Protocol):
    """Every call is bounded in time; what it raises means that nothing can be looked up or kept now."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...

    async def aclose(self) -> None: ...


class MemoryStore:
    """The answers that were used last, up to so many bytes together. `ttl` in seconds."""

    def __init__(self, *, ttl: float, max_bytes: int, clock: Callable[[], float] = trio.current_time) -> None:
        self._ttl = ttl
        self._max_bytes = max_bytes
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        """Until when, and what."""
        self.size = 0

    async def get(self, key: str) -> bytes | None:
        found = self._kept.get(key)
        if found is None:
            return None
        until, value = found
        if until <= self._clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes) -> None:
        self._drop(key)
        self._kept[key] = (self._clock() + self._ttl, value)
        self.size += len(value)
        while self.size > self._max_bytes:
            self._drop(next(iter(self._kept)))

    async def aclose(self) -> None:
        self._kept.clear()
        self.size = 0

    def _drop(self, key: str) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.size -= len(found[1])


class RedisStore:
    """How much is kept is for Redis to say (`maxmemory`). `ttl` and `timeout` in seconds."""

    def __init__(self, url: str, *, ttl: float, prefix: str, timeout: float) -> None:
        self._client = RedisClient(url, timeout=timeout)
        self._ttl = max(1, round(ttl * 1000))
        self._prefix = prefix

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._client.run(lambda: self._client.redis.get(f"{self._prefix}:{key}"))
        return value

    async def put(self, key: str, value: bytes) -> None:
        await self._client.run(lambda: self._client.redis.set(f"{self._prefix}:{key}", value, px=self._ttl))

    async def aclose(self) -> None:
        await self._client.aclose()
