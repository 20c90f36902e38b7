"""`LeakMeter`: what a case leaves behind in this process. Descriptors are counted where there is a /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice

import msgspec
import trio
import trio.testing

from conformance.stage import Stage
from conformance.subjects.base import Subject

SETTLE_SECONDS = 3.0
"""How long what a case started may take to end. Nothing waits so long unless it leaks."""
PATIENT_LEAKS = 3
"""After so many leaks the subject is known to leak, and the next ones are waited for only `KNOWN_SECONDS`."""
KNOWN_SECONDS = 0.05

CONNECTION_DESCRIPTORS = 2
"""An idle connection to the replay server: the provider's end and the server's, both in this process."""
CONNECTION_TASKS = 2
"""The replay server's tasks for a connection."""
RECENT = 20
"""Exchanges to look back at."""
IDLE_CONNECTIONS = 1
"""Connections that a pool may keep when it is used by one request at a time."""


class _Level(msgspec.Struct, frozen=True):
    tasks: int
    descriptors: int


class LeakMeter:
    """One for each subject. Before each case `await mark()`, after it `await settle(prompt)`."""

    def __init__(self, subject: Subject, stage: Stage, *, patience: float = SETTLE_SECONDS) -> None:
        self._subject, self._stage = subject, stage
        self._patience = patience
        self._leaks = 0
        self._before = _Level(tasks=0, descriptors=0)
        self._kept: dict[bool, set[int]] = {False: set(), True: set()}
        """The connections that the subject's patient and impatient instance have used and left open."""

    async def mark(self) -> None:
        """Remember what is there now, once nothing is in motion: a connection that is half closed counts wrongly."""
        await trio.testing.wait_all_tasks_blocked()
        self._before = self._level()

    async def settle(self, prompts: Iterable[str], *, impatient: bool = False) -> list[str]:
        """Wait until nothing of these prompts is left, as long as the meter's patience lasts. Returns what is.

        A subject that leaks always would else make a run wait for hours.
        """
        kept = self._kept[impatient]
        for prompt in prompts:
            kept |= self._stage.connections(prompt)
        found = self._left(kept)
        patience = self._patience if self._leaks < PATIENT_LEAKS else KNOWN_SECONDS
        deadline = trio.current_time() + patience
        pause = 0.0005
        while found and trio.current_time() < deadline:
            await trio.sleep(pause)
            pause = min(pause * 2, 0.05)
            found = self._left(kept)
        self._leaks += bool(found)
        if len(kept) > IDLE_CONNECTIONS:
            kept.clear()  # told once
        return found

    def _level(self) -> _Level:
        connections = self._stage.server.open_connections
        factor = CONNECTION_DESCRIPTORS if self._subject.traits.in_process else 1
        return _Level(
            tasks=trio.lowlevel.current_statistics().tasks_living - CONNECTION_TASKS * connections,
            descriptors=_open_descriptors() - factor * connections,
        )

    def _left(self, kept: set[int]) -> list[str]:
        now, before = self._level(), self._before
        found = self._subject.in_use()
        for name in ("tasks", "descriptors"):
            more = getattr(now, name) - getattr(before, name)
            if more > 0:
                found.append(f"{more} more {name} than before")
        kept &= self._stage.server.open_numbers
        if len(kept) > IDLE_CONNECTIONS and self._subject.traits.in_process:
            found.append(f"{len(kept)} connections to the provider left open, {IDLE_CONNECTIONS} would do")
        recent = islice(reversed(self._stage.server.exchanges), RECENT)
        busy = sum(1 for exchange in recent if not exchange.ended.is_set())
        if busy:
            found.append(f"{busy} requests to the provider that nobody ended")
        return found


def _open_descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except FileNotFoundError:
        return 0
