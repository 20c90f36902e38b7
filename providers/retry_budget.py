"""`RetryBudget`: so many requests more than were asked for, and no more. Imports nothing.

When a service is down, every retry makes it worse. A budget ties the number of extra requests (retries, fallbacks,
hedges) to the traffic: each request earns a share of a token, each extra one costs a whole token. The idea is
Finagle's (https://finagle.github.io/blog/2016/02/08/retry-budgets/).
"""

from __future__ import annotations

import trio


class RetryBudget:
    """A token bucket that requests fill. Shared by many requests of one process; no method waits.

    In any span of time no more extra requests are made than `share` for each request, `per_second` for each second, and
    what was saved up before: `seconds` times `per_second`, or one.
    """

    __slots__ = ("_at", "_balance", "_limit", "_per_second", "_share", "refused")

    def __init__(self, share: float = 0.2, *, per_second: float = 1.0, seconds: float = 10.0) -> None:
        """`share`: extra requests for each request. `per_second`: extra requests that are allowed whatever the traffic
        is, so that a quiet gateway can try again too. What of it is not used is kept for `seconds`; so is the share."""
        if share < 0 or per_second < 0 or seconds <= 0:
            raise ValueError("a retry budget has no negative share and keeps its tokens for some time")
        self._share = share
        self._per_second = per_second
        self._limit = max(per_second * seconds, 1.0 if share or per_second else 0.0)
        self._balance = self._limit if per_second else 0.0
        self._at = trio.current_time()
        self.refused = 0
        """Extra requests that were not made."""

    def deposit(self) -> None:
        """A request has come."""
        self._refill()
        self._balance = min(self._balance + self._share, self._limit)

    def withdraw(self) -> bool:
        """Whether an extra request may be made; if so, it is paid for."""
        self._refill()
        if self._balance < 1.0:
            self.refused += 1
            return False
        self._balance -= 1.0
        return True

    def _refill(self) -> None:
        now = trio.current_time()
        self._balance = min(self._balance + (now - self._at) * self._per_second, self._limit)
        self._at = now
