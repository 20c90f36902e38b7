"""The idle timeout of one stream, as the deadline of the scope that it runs in. Does no I/O.

Moving a deadline costs as much as reading an event, and with thousands of streams trio's heap of deadlines grows until
it is rebuilt, while all of them wait. So a long one is moved only when it is off by too much.
"""

from __future__ import annotations

import math

import trio

LAZY_IDLE = 60.0
"""From so many seconds on an idle timeout may strike an eighth of it late, and a client that keeps one write waiting
for three quarters of it has used it up too. A shorter one is exact."""


class IdleDeadline:
    """`deadline` is the whole answer's, on trio's clock; `idle` the timeout in seconds."""

    __slots__ = ("_deadline", "_idle", "_scope", "_slack", "_spare")

    def __init__(self, scope: trio.CancelScope, deadline: float, idle: float) -> None:
        self._scope = scope
        self._deadline = deadline
        self._idle = idle
        self._slack, self._spare = (idle / 8, idle * 3 / 4) if idle >= LAZY_IDLE else (0.0, math.inf)

    def wait_begins(self) -> None:
        """From now on the provider is waited for. Only that counts as idle, not the wait for a slow client."""
        due = min(self._deadline, trio.current_time() + self._idle)
        if not due <= self._scope.deadline <= due + self._slack:
            self._scope.deadline = min(self._deadline, due + self._slack)

    def wait_begins_until(self, time: float) -> None:
        """The same, with another limit beside the two; exact."""
        self._scope.deadline = min(self._deadline, trio.current_time() + self._idle, time)

    def wait_is_over(self) -> None:
        """What comes next takes the client's time, not the provider's."""
        if self._scope.deadline < trio.current_time() + self._spare:
            self._scope.deadline = self._deadline
