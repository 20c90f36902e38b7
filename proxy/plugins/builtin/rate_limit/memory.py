"""Counts in this process. Exact, since nothing in it waits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import trio

from proxy.plugins.builtin.rate_limit.store import Bucket, Demand, Level, Slots, level_of_bucket

MAX_KEYS = 100_000
"""Keys of each kind that are remembered. Addresses and users are anybody's to make up; the one that was looked at
longest ago is forgotten first, which at worst fills its bucket."""


class MemoryStore:
    """A `Store`. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Balance, and when it was that."""
        self._slots: OrderedDict[str, dict[str, float]] = OrderedDict()
        """By holder, until when."""

    async def take(self, demands: Sequence[Demand]) -> list[Level]:
        return self.take_now(demands)

    async def settle(self, buckets: Sequence[Bucket]) -> None:
        self.settle_now(buckets)

    async def release(self, slots: Sequence[Slots]) -> None:
        self.release_now(slots)

    async def aclose(self) -> None:
        self._buckets.clear()
        self._slots.clear()

    def take_now(self, demands: Sequence[Demand]) -> list[Level]:
        """`take`, without a pause."""
        now = self._clock()
        levels = [self._level(demand, now) for demand in demands]
        if any(level.wait for level in levels):
            return levels
        return [self._taken(demand, now) for demand in demands]

    def settle_now(self, buckets: Sequence[Bucket]) -> None:
        """`settle`, without a pause."""
        now = self._clock()
        for bucket in buckets:
            self._set(bucket.key, min(self._balance(bucket, now) - bucket.cost, bucket.limit), now)

    def release_now(self, slots: Sequence[Slots]) -> None:
        """`release`, without a pause."""
        for slot in slots:
            held = self._slots.get(slot.key)
            if held is not None:
                held.pop(slot.holder, None)
                if not held:
                    del self._slots[slot.key]

    def _level(self, demand: Demand, now: float) -> Level:
        if isinstance(demand, Bucket):
            return level_of_bucket(demand, self._balance(demand, now))
        held = self._held(demand.key, now)
        free = demand.limit - len(held)
        return Level(remaining=max(free, 0), wait=0.0 if free > 0 else 1.0)

    def _taken(self, demand: Demand, now: float) -> Level:
        if isinstance(demand, Bucket):
            balance = self._balance(demand, now) - demand.cost
            self._set(demand.key, balance, now)
            return Level(remaining=max(balance, 0.0))
        held = self._held(demand.key, now)
        held[demand.holder] = now + demand.lease
        self._slots[demand.key] = held
        self._slots.move_to_end(demand.key)
        while len(self._slots) > MAX_KEYS:
            self._slots.popitem(last=False)
        return Level(remaining=max(demand.limit - len(held), 0))

    def _balance(self, bucket: Bucket, now: float) -> float:
        known = self._buckets.get(bucket.key)
        if known is None:
            return bucket.limit
        balance, at = known
        return min(bucket.limit, balance + (now - at) * bucket.rate)

    def _set(self, key: str, balance: float, now: float) -> None:
        self._buckets[key] = (balance, now)
        self._buckets.move_to_end(key)
        while len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)

    def _held(self, key: str, now: float) -> dict[str, float]:
        held = self._slots.get(key)
        if held is None:
            return {}
        for holder in [holder for holder, until in held.items() if until <= now]:
            del held[holder]
        return held
