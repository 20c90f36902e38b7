"""`LeakMeter`: what a case leaves behind in this process. Reads /proc; where there is none, descriptors go uncounted."""

from __future__ import annotations

import os

import msgspec
import trio

from conformance.stage import Stage
from conformance.subjects.base import Subject

SETTLE_SECONDS = 3.0
"""How long what a case started may take to end. Nothing waits so long unless it leaks."""

CONNECTION_DESCRIPTORS = 2
"""An idle connection to the replay server: the provider's end and the server's, both in this process."""
CONNECTION_TASKS = 2
"""The replay server's tasks for a connection."""
IDLE_CONNECTIONS = 1
"""Connections that a pool may keep when it is used by one request at a time."""


class _Level(msgspec.Struct, frozen=True):
    tasks: int
    descriptors: int
    connections: int


class LeakMeter:
    """Made before the case; `settle` after it."""

    def __init__(self, subject: Subject, stage: Stage) -> None:
        self._subject, self._stage = subject, stage
        self._before = self._level()

    async def settle(self) -> list[str]:
        """Wait until nothing is left, at most `SETTLE_SECONDS`. Returns what is, in words."""
        found = self._left()
        deadline = trio.current_time() + SETTLE_SECONDS
        pause = 0.0005
        while found and trio.current_time() < deadline:
            await trio.sleep(pause)
            pause = min(pause * 2, 0.05)
            found = self._left()
        return found

    def _level(self) -> _Level:
        connections = self._stage.server.open_connections
        in_process = self._subject.traits.in_process
        factor = CONNECTION_DESCRIPTORS if in_process else 1
        return _Level(
            tasks=trio.lowlevel.current_statistics().tasks_living - CONNECTION_TASKS * connections,
            descriptors=_open_descriptors() - factor * connections,
            connections=connections,
        )

    def _left(self) -> list[str]:
        now, before = self._level(), self._before
        found = self._subject.in_use()
        for name in ("tasks", "descriptors"):
            more = getattr(now, name) - getattr(before, name)
            if more > 0:
                found.append(f"{more} more {name} than before")
        allowed = max(before.connections, IDLE_CONNECTIONS)
        if now.connections > allowed and self._subject.traits.in_process:
            found.append(f"{now.connections} connections to the provider, {allowed} before")
        busy = sum(1 for exchange in self._stage.server.exchanges if not exchange.ended.is_set())
        if busy:
            found.append(f"{busy} requests to the provider that nobody ended")
        return found


def _open_descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except FileNotFoundError:
        return 0
