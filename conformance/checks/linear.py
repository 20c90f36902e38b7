"""Linear: a stream that is many times as long costs as many times the time, and no more memory for each event.

What is compared is always the same amount of work: one long answer against as many short ones as add up to it. So
whatever slows the machine down slows both alike, and the ratio is 1 for linear work on any machine, and near
`FACTOR` for quadratic work. It is CPU time where the subject runs in this process, and the least of several tries.
"""

from __future__ import annotations

import time
import tracemalloc

from conformance.checks.base import BrokenPromiseError, Probe, TooLateError
from conformance.checks.probing import synthetic
from conformance.replay import Delivery, Play
from conformance.replay.deliveries import WHOLE, bytes_each
from conformance.stage import Stage
from conformance.subjects.base import Question, Subject, Traits

FACTOR = 16
"""How many short answers the long one is."""
LIMIT = 1.7
"""Times the time of the short ones, at most. It is 1.9 where the quadratic part of the work has grown as large as the
rest at the long answer's size, and 8.5 where it has at the short ones'."""
LIMIT_BY_THE_CLOCK = 4.0
"""The same for a subject elsewhere, whose CPU time is not to be had: what else runs disturbs it, but not so much."""
CLEAR = 1.3
"""A ratio below this needs no further try."""
FLAGRANT = 1.5
"""Times the limit: no noise on two tries makes this, so there need not be a third."""
TRIES = 5
EVENTS = 500
"""Of a short answer with many events."""
EVENT_BYTES = 64 * 1024
"""Of a short answer with one event, which comes in pieces of `PIECE_BYTES`."""
PIECE_BYTES = 1024
FEW_SECONDS = 0.05
"""Less time than this for the long one proves nothing."""

MEMORY_EVENTS = 500
MEMORY_FACTOR = 4
MEMORY_LIMIT = 8.0
FEW_BYTES = 2 * 1024 * 1024
"""Less memory than this proves nothing."""

_MANY_EVENTS, _LONG_EVENT, _MEMORY = "time, many events", "time, a long event", "memory"


class Linear(Probe):
    name = "linear"
    sentence = "time and memory grow linearly with the stream"

    def variants(self, traits: Traits) -> list[str]:
        return [_MANY_EVENTS, _LONG_EVENT, _MEMORY] if traits.in_process else [_MANY_EVENTS, _LONG_EVENT]

    async def run(self, subject: Subject, stage: Stage, variant: str) -> None:
        if variant == _MEMORY:
            await _memory(subject, stage)
        elif variant == _LONG_EVENT:
            short, long = ["x" * EVENT_BYTES], ["x" * EVENT_BYTES * FACTOR]
            await _time(subject, stage, short, long, bytes_each(PIECE_BYTES))
        else:
            await _time(subject, stage, _words(EVENTS), _words(EVENTS * FACTOR), bytes_each(16 * 1024))


async def _time(subject: Subject, stage: Stage, short: list[str], long: list[str], delivery: Delivery) -> None:
    clock, limit, least_tries = time.process_time, LIMIT, 1
    if not subject.traits.in_process:
        clock, limit, least_tries = time.monotonic, LIMIT_BY_THE_CLOCK, 2

    async def measure(texts: list[str], times: int) -> float:
        started = clock()
        for _ in range(times):
            await _ask(subject, stage, texts, delivery)
        return clock() - started

    apart = together = float("inf")
    for tried in range(TRIES):
        apart = min(apart, await measure(short, FACTOR))
        together = min(together, await measure(long, 1))
        if tried + 1 >= least_tries and (together < CLEAR * apart or together < FEW_SECONDS):
            return
        if tried and together > FLAGRANT * limit * apart:
            break
    if together < limit * apart:
        return
    raise BrokenPromiseError(
        f"an answer {FACTOR} times as long took {together / apart:.1f} times as long as {FACTOR} short ones"
    )


async def _memory(subject: Subject, stage: Stage) -> None:
    peaks: list[int] = []
    for events in (MEMORY_EVENTS, MEMORY_EVENTS * MEMORY_FACTOR):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            await _ask(subject, stage, _words(events), bytes_each(16 * 1024))
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        finally:
            tracemalloc.stop()
    ratio = peaks[1] / max(1, peaks[0])
    if ratio >= MEMORY_LIMIT and peaks[1] > FEW_BYTES:
        raise BrokenPromiseError(f"{MEMORY_FACTOR} times the events took {ratio:.1f} times the memory ({peaks[1]} B)")


def _words(count: int) -> list[str]:
    return [f"word {number} " for number in range(count)]


async def _ask(subject: Subject, stage: Stage, texts: list[str], delivery: Delivery) -> None:
    recording = synthetic(subject.upstream, texts)
    await subject.prepare(recording, WHOLE)
    prompt = stage.prompt_for(Play(recording, delivery))
    answered = await subject.ask(Question(prompt=prompt, stream=True))
    stage.drop(prompt)
    if answered.hung:
        raise TooLateError("the answer did not end")
    if answered.failure is not None:
        raise BrokenPromiseError(f"no answer: {answered.failure.message}")
