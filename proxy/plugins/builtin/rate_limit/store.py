"""What the plugin asks of who counts. Pure data; imports nothing of its neighbours.

A *bucket* holds `limit` units and fills up evenly, `limit` in each `window`. Taking more than there is is refused; what
is settled afterwards may leave it below zero, so that who took more than foreseen waits for it. *Slots* are held as
long as a request runs: leased for `lease` seconds, renewed until it is over, and free by themselves when nobody renews
them (the process died).

One call takes from all of them or from none, atomically, whoever else is counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    limit: float
    window: float
    """In seconds."""
    cost: float
    """What is taken. May be 0: then only a bucket below zero refuses."""

    @property
    def rate(self) -> float:
        """Units in a second."""
        return self.limit / self.window


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    limit: int
    holder: str
    """Who holds the slot: unique for each request."""
    lease: float
    """In seconds."""


Demand = Bucket | Slots


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """What is left after a call, for one demand."""

    remaining: float
    wait: float = 0.0
    """Seconds until the demand can be met; 0: it can be."""


class Store(Protocol):
    """Counts. Every call is bounded in time; what it raises means that it cannot count now."""

    async def take(self, demands: Sequence[Demand]) -> list[Level]:
        """Take all of it, if every level's `wait` is 0; else nothing. A level for each demand, in order."""
        ...

    async def settle(self, buckets: Sequence[Bucket]) -> None:
        """Take these costs, whatever is there; a negative cost is given back."""
        ...

    async def release(self, slots: Sequence[Slots]) -> None:
        """Give slots back. Those that are not held any more do not matter."""
        ...

    async def aclose(self) -> None: ...


def level_of_bucket(bucket: Bucket, balance: float) -> Level:
    """What a balance means for a demand that was not met, or before it is."""
    # Below zero nobody is served, whatever it costs.
    missing = max(bucket.cost, 0.0) - balance if bucket.cost > 0 else -balance
    return Level(remaining=max(balance, 0.0), wait=max(missing, 0.0) / bucket.rate)
