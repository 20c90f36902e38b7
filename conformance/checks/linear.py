"""Linear: a stream that is eight times as long costs eight times as much time, and no more memory for each event."""

from __future__ import annotations

import time
import tracemalloc

from conformance.checks.base import BrokenPromiseError, Probe
from conformance.checks.probing import synthetic
from conformance.replay import Play
from conformance.replay.deliveries import WHOLE, bytes_each
from conformance.stage import Stage
from conformance.subjects.base import Question, Subject, Traits

EVENTS = 1000
TIME_FACTOR = 8
TIME_LIMIT = 11.0
"""Times the CPU time, at most; linear work gives 8, quadratic work 64, half and half 36."""
MEMORY_FACTOR = 4
MEMORY_LIMIT = 8.0
TRIES = 4
"""The least of several tries counts: whatever disturbs one only makes it longer."""
FEW_BYTES = 2 * 1024 * 1024
"""Less memory than this proves nothing."""
FEW_SECONDS = 0.05
"""Less time than this for the longer one proves nothing."""

_DELIVERY = bytes_each(16 * 1024)


class Linear(Probe):
    name = "linear"
    sentence = "time and memory grow linearly with the stream"

    def variants(self, traits: Traits) -> list[str]:
        return ["time", "memory"] if traits.in_process else ["time"]

    async def run(self, subject: Subject, stage: Stage, variant: str) -> None:
        await (self._memory if variant == "memory" else self._time)(subject, stage)

    async def _time(self, subject: Subject, stage: Stage) -> None:
        clock = time.process_time if subject.traits.in_process else time.monotonic
        least: dict[int, float] = {}
        few, many = EVENTS, EVENTS * TIME_FACTOR
        ratio = 0.0
        for _ in range(TRIES):
            # The short one is measured more often: disturbed alone, it would make anything look linear.
            for events in (few, few, few, many):
                started = clock()
                await _ask(subject, stage, events)
                least[events] = min(clock() - started, least.get(events, float("inf")))
            ratio = least[many] / least[few]
            if ratio < TIME_LIMIT or least[many] < FEW_SECONDS:
                return
        raise BrokenPromiseError(f"{many} events took {ratio:.1f} times the time of {few}")

    async def _memory(self, subject: Subject, stage: Stage) -> None:
        peaks: list[int] = []
        for events in (EVENTS, EVENTS * MEMORY_FACTOR):
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                await _ask(subject, stage, events)
                peaks.append(tracemalloc.get_traced_memory()[1] - before)
            finally:
                tracemalloc.stop()
        ratio = peaks[1] / max(1, peaks[0])
        if ratio >= MEMORY_LIMIT and peaks[1] > FEW_BYTES:
            raise BrokenPromiseError(
                f"{MEMORY_FACTOR} times the events took {ratio:.1f} times the memory ({peaks[1]} B)"
            )


async def _ask(subject: Subject, stage: Stage, events: int) -> None:
    recording = synthetic(subject.upstream, [f"word {number} " for number in range(events)])
    await subject.prepare(recording, WHOLE)
    prompt = stage.prompt_for(Play(recording, _DELIVERY))
    answered = await subject.ask(Question(prompt=prompt, stream=True))
    stage.drop(prompt)
    if answered.failure is not None:
        raise BrokenPromiseError(f"no answer: {answered.failure.message}")
