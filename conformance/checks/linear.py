"""Linear: a stream that is four times as long costs four times as much, in time and in memory."""

from __future__ import annotations

import time
import tracemalloc

from conformance.checks.base import BrokenPromiseError, Probe
from conformance.checks.probing import synthetic
from conformance.replay import Play
from conformance.replay.deliveries import WHOLE, bytes_each
from conformance.stage import Stage
from conformance.subjects.base import Question, Subject

EVENTS = 1500
FACTOR = 4
LIMIT = 8.0
"""Times the cost at most; linear work gives 4, quadratic 16."""
TRIES = 4
"""The least of several tries counts: whatever disturbs one only makes it longer."""
FEW_BYTES = 2 * 1024 * 1024
"""Less memory than this proves nothing."""
FEW_SECONDS = 0.02

_DELIVERY = bytes_each(16 * 1024)


class Linear(Probe):
    name = "linear"
    sentence = "time and memory grow linearly with the stream"

    def variants(self, subject: Subject) -> list[str]:
        return ["time", "memory"] if subject.traits.in_process else ["time"]

    async def run(self, subject: Subject, stage: Stage, variant: str) -> None:
        await (self._memory if variant == "memory" else self._time)(subject, stage)

    async def _time(self, subject: Subject, stage: Stage) -> None:
        clock = time.process_time if subject.traits.in_process else time.monotonic
        shortest: dict[int, float] = {}
        ratio = 0.0
        for _ in range(TRIES):
            for events in (EVENTS, EVENTS * FACTOR):
                started = clock()
                await _ask(subject, stage, events)
                shortest[events] = min(clock() - started, shortest.get(events, float("inf")))
            ratio = shortest[EVENTS * FACTOR] / max(shortest[EVENTS], FEW_SECONDS / 2)
            if ratio < LIMIT or shortest[EVENTS * FACTOR] < FEW_SECONDS:
                return
        raise BrokenPromiseError(
            f"{FACTOR} times the events took {ratio:.1f} times the time ({EVENTS} events at first)"
        )

    async def _memory(self, subject: Subject, stage: Stage) -> None:
        peaks: list[int] = []
        for events in (EVENTS, EVENTS * FACTOR):
            tracemalloc.start()
            try:
                before = tracemalloc.get_traced_memory()[0]
                await _ask(subject, stage, events)
                peaks.append(tracemalloc.get_traced_memory()[1] - before)
            finally:
                tracemalloc.stop()
        ratio = peaks[1] / max(1, peaks[0])
        if ratio >= LIMIT and peaks[1] > FEW_BYTES:
            raise BrokenPromiseError(f"{FACTOR} times the events took {ratio:.1f} times the memory ({peaks[1]} bytes)")


async def _ask(subject: Subject, stage: Stage, events: int) -> None:
    recording = synthetic(subject.upstream, [f"word {number} " for number in range(events)])
    await subject.prepare(recording, WHOLE)
    prompt = stage.prompt_for(Play(recording, _DELIVERY))
    answered = await subject.ask(Question(prompt=prompt, stream=True))
    stage.drop(prompt)
    if answered.failure is not None:
        raise BrokenPromiseError(f"no answer: {answered.failure.message}")
