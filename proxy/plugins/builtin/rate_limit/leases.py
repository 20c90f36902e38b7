"""`Leases`: what this process holds in, and owes to, a store in which others count too. Imports the Redis store.

A request that is over must not wait for Redis, nor may what it held depend on whether Redis answers just then. So its
end is a note made here, and one task (`run`) does what is noted: it renews the leases of slots whose requests run,
gives back the slots of those that are over until that has worked, and settles costs. A slot that is owed is also given
back by the next call that wants one of the same key, so a client that asks on at once never meets its own last request.

Leases are short. Whatever goes wrong (this process dies, a call's effect comes after nobody waits for it any more, more
is owed than is remembered), a slot is lost for one lease at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec
import trio

from proxy.observe.metrics import RATE_LIMIT_STORE_ERRORS
from proxy.plugins.builtin.rate_limit.redis_store import RedisStore
from proxy.plugins.builtin.rate_limit.store import Bucket, Demand, Level, Slots
from proxy.plugins.builtin.redis_client import RETRY_AFTER, RedisGoneError, ThreadCall

MAX_OWED = 10_000
"""Slots, and buckets, that are remembered while Redis cannot be reached; the oldest go first."""
BATCH = 500
"""Keys of one call."""
LAST_PATIENCE = 2.0
"""Seconds in which a worker that stops gives back what it owes."""
RENEWALS = 3
"""In the time of one lease: two may fail without a slot being lost."""

T = TypeVar("T")


class _Owed(msgspec.Struct):
    slots: Slots
    until: float
    """By then it is free by itself."""
    call: ThreadCall[Any] | None = None
    """That may still take it; to be waited for."""

    @property
    def ripe(self) -> bool:
        return self.call is None or self.call.over


class Leases:
    """`failed` is told of every call that Redis did not answer well, except those that it was not asked for."""

    def __init__(self, store: RedisStore, *, failed: Callable[[Exception], object]) -> None:
        self._store = store
        self._failed = failed
        self._held: dict[str, Slots] = {}
        """By holder and key. As many as requests run."""
        self._owed: dict[str, _Owed] = {}
        self._costs: dict[str, Bucket] = {}
        """To be settled, by bucket."""
        self._settling = False
        self._wake = trio.Event()
        self._renew_at = math.inf

    # -- for requests -------------------------------------------------------------------------------------------------

    async def take(self, demands: Sequence[Demand]) -> list[Level]:
        """As the store's. Raises what that raises; then nothing is held, or what may be is owed."""
        slots = [demand for demand in demands if isinstance(demand, Slots)]

        def left_behind(call: ThreadCall[Any]) -> None:
            self._owe(slots, call)

        owed = self._owed_of({slot.key for slot in slots}) if self._owed else ()
        levels = await self._store.take(demands, owed=owed, left_behind=left_behind if slots else None)
        if slots and not any(level.wait for level in levels):
            if not self._held:
                self._renew_at = trio.current_time() + slots[0].lease / RENEWALS
                self._wake.set()
            for slot in slots:
                self._held[_name(slot)] = slot
        return levels

    def over(self, slots: Sequence[Slots], costs: Iterable[Bucket]) -> None:
        """A request is over: give its slots back, and take these costs. Does not wait."""
        for slot in slots:
            self._held.pop(_name(slot), None)
        self._owe(slots)
        for bucket in costs:
            known = self._costs.pop(bucket.key, None)
            cost = bucket.cost + (known.cost if known is not None else 0.0)
            self._costs[bucket.key] = msgspec.structs.replace(bucket, cost=cost)
            _bound(self._costs)
        self._wake.set()

    @property
    def all_told(self) -> bool:
        """Whether the store knows all that has been noted: nothing waits, and nothing is on its way."""
        return not self._owed and not self._costs and not self._settling

    # -- the task -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is noted, until cancelled."""
        while True:
            if not any(owed.ripe for owed in self._owed.values()) and not self._costs:
                # A call that was left behind says nothing when it is over.
                due = trio.current_time() + RETRY_AFTER if self._owed else math.inf
                with trio.move_on_at(min(due, self._renew_at if self._held else math.inf)):
                    await self._wake.wait()
            self._wake = trio.Event()
            if not await self._work():
                await trio.sleep(RETRY_AFTER)

    async def aclose(self) -> None:
        """Give back what is owed, if Redis answers in time, and close the store."""
        with trio.move_on_after(LAST_PATIENCE):
            while (self._owed or self._costs) and not await self._work():  # noqa: ASYNC110 - it is a try that is repeated
                await trio.sleep(RETRY_AFTER)
        await self._store.aclose()

    async def _work(self) -> bool:
        """False: Redis did not answer; what is left is done later."""
        try:
            if self._store.gone:
                await self._store.ping()  # costs are not for trying
            await self._renew()
            await self._give_back()
            await self._settle()
        except Exception as error:  # noqa: BLE001 - whatever the client raises, Redis cannot be asked
            if not isinstance(error, RedisGoneError):
                self._failed(error)
            return False
        return True

    async def _renew(self) -> None:
        now = trio.current_time()
        if not self._held or now < self._renew_at:
            return
        lease = math.inf
        for names in _batches(self._held):
            held = [self._held[name] for name in names if name in self._held]
            if held:
                await self._store.renew(held)
                lease = held[0].lease
        self._renew_at = now + lease / RENEWALS

    async def _give_back(self) -> None:
        now = trio.current_time()
        for name in [name for name, owed in self._owed.items() if owed.until <= now]:
            del self._owed[name]
        for names in _batches([name for name, owed in self._owed.items() if owed.ripe]):
            await self._store.release([self._owed[name].slots for name in names if name in self._owed])
            for name in names:
                self._owed.pop(name, None)

    async def _settle(self) -> None:
        """Once at most: a call that failed may have been heard, and nobody shall pay twice."""
        costs, self._costs = self._costs, {}
        self._settling = True
        try:
            for keys in _batches(costs):
                await self._store.settle([costs[key] for key in keys])
        finally:
            self._settling = False

    # -- what is owed -------------------------------------------------------------------------------------------------

    def _owe(self, slots: Iterable[Slots], call: ThreadCall[Any] | None = None) -> None:
        now = trio.current_time()
        for slot in slots:
            # Twice: what was left behind may begin its lease late.
            self._owed[_name(slot)] = _Owed(slot, now + 2 * slot.lease, call)
            _bound(self._owed)
        self._wake.set()

    def _owed_of(self, keys: set[str]) -> list[Slots]:
        found = (owed.slots for owed in self._owed.values() if owed.slots.key in keys and owed.ripe)
        return list(islice(found, BATCH))


def _name(slot: Slots) -> str:
    return f"{slot.holder} {slot.key}"


def _bound(noted: dict[str, Any]) -> None:
    while len(noted) > MAX_OWED:
        del noted[next(iter(noted))]
        RATE_LIMIT_STORE_ERRORS.inc()


def _batches(names: Iterable[str]) -> list[list[str]]:
    whole = list(names)
    return [whole[start : start + BATCH] for start in range(0, len(whole), BATCH)]
