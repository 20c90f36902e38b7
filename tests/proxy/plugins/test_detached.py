"""Detached work: bounded in number and queue, drained within a deadline, every drop counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from proxy.observe.metrics import DETACHED_DROPPED
from proxy.plugins.detached import DetachedWork


def dropped(reason: str) -> float:
    return float(DETACHED_DROPPED.labels(reason)._value.get())


@asynccontextmanager
async def working(queue: int = 10, concurrency: int = 2, drain: float = 5) -> AsyncIterator[DetachedWork]:
    work = DetachedWork(queue=queue, concurrency=concurrency, drain=drain)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work.run)
        yield work
        nursery.cancel_scope.cancel()


async def test_no_more_jobs_run_at_once_than_it_has_workers(autojump_clock: Any) -> None:
    running = most = done = 0

    async def job() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1
        done += 1

    async with working(concurrency=3) as work:
        for _ in range(8):
            assert work.submit(job, lambda: None)
        await work.drain()
    assert (most, done) == (3, 8)


async def test_a_full_queue_drops_and_counts(autojump_clock: Any) -> None:
    before = dropped("queue_full")
    released: list[int] = []

    async def job() -> None:
        await trio.sleep(1)

    async with working(queue=2, concurrency=1) as work:
        await trio.testing.wait_all_tasks_blocked()
        taken = []
        for number in range(6):
            taken.append(work.submit(job, lambda number=number: released.append(number)))
            await trio.testing.wait_all_tasks_blocked()
        assert taken == [True, True, True, False, False, False]
        assert released == [3, 4, 5]  # who was dropped needs nothing any more
        await work.drain()
    assert sorted(released) == list(range(6))
    assert dropped("queue_full") - before == 3


async def test_a_stop_waits_no_longer_than_its_deadline(autojump_clock: Any) -> None:
    before = dropped("shutdown")
    released: list[int] = []
    async with working(concurrency=1, drain=3) as work:
        for number in range(3):
            work.submit(trio.sleep_forever, lambda number=number: released.append(number))
        started = trio.current_time()
        await work.drain()
        assert trio.current_time() - started == 3
        assert not work.submit(trio.sleep_forever, lambda: released.append(9))
    assert sorted(released) == [0, 1, 2, 9]
    assert dropped("shutdown") - before == 4


async def test_a_job_that_fails_ends_no_other() -> None:
    done: list[str] = []

    async def fails() -> None:
        raise LookupError

    async def works() -> None:
        done.append("works")

    async with working(concurrency=1) as work:
        work.submit(fails, lambda: None)
        work.submit(works, lambda: None)
        await work.drain()
    assert done == ["works"]
