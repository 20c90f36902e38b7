"""`DetachedWork`: what plugins do after a response, supervised. Knows nothing of HTTP.

Jobs wait in a bounded queue and are worked on by a bounded number of tasks. A job that finds the queue full is dropped;
so is what a stop's deadline leaves. Every drop is counted.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio

from proxy.observe.logs import describe_exception, get_logger
from proxy.observe.metrics import DETACHED_DROPPED, DETACHED_WAITING

Job = Callable[[], Awaitable[None]]

QUIET = 10.0
"""Seconds between two log lines about drops: the counter tells how many there were."""


class DetachedWork:
    """Made once for an app; `run` it in the app's nursery."""

    def __init__(self, *, queue: int, concurrency: int, drain: float) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[Job, Callable[[], None]]](queue)
        self._concurrency = concurrency
        self._drain = drain
        """Seconds that `stop` waits."""
        self._waiting = 0
        self._done: trio.Event | None = None
        self._told_at = -math.inf
        self._open = True

    def submit(self, job: Job, done: Callable[[], None]) -> bool:
        """Have `job` run some time, and `done` called when it is over or dropped. Does not wait. False: dropped."""
        try:
            if not self._open:
                raise trio.WouldBlock
            self._send.send_nowait((job, done))
        except trio.WouldBlock:
            self._drop("queue_full" if self._open else "shutdown", 1)
            done()
            return False
        self._waiting += 1
        DETACHED_WAITING.inc()
        return True

    async def run(self) -> None:
        """Work until cancelled. What still waits then is dropped and counted."""
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(self._concurrency):
                    nursery.start_soon(self._work)
        finally:
            self._open = False
            self._drop_what_waits()

    async def drain(self) -> None:
        """Take no more, and wait until everything is done, or the deadline has passed."""
        self._open = False
        if self._waiting:
            self._done = trio.Event()
            with trio.move_on_after(self._drain):
                await self._done.wait()

    async def _work(self) -> None:
        async for job, done in self._receive:
            over = False
            try:
                await job()
                over = True
            except Exception as error:  # noqa: BLE001 - one job's fault must not end the others
                over = True
                get_logger().error("detached work failed", **describe_exception(error))
            finally:
                if not over:
                    self._drop("shutdown", 1)
                self._finished(done)

    def _finished(self, done: Callable[[], None]) -> None:
        self._waiting -= 1
        DETACHED_WAITING.dec()
        done()
        if self._waiting == 0 and self._done is not None:
            self._done.set()

    def _drop_what_waits(self) -> None:
        while True:
            try:
                _, done = self._receive.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return
            self._drop("shutdown", 1)
            self._finished(done)

    def _drop(self, reason: str, count: int) -> None:
        DETACHED_DROPPED.labels(reason).inc(count)
        now = trio.current_time()
        if now - self._told_at >= QUIET:
            self._told_at = now
            get_logger().warning("detached work is dropped", reason=reason, waiting=self._waiting)
