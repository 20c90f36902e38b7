"""All runs of a session, subjects in turn (A B C, A B C, ...), so that a slow minute of the machine hits them alike.

Only the subject that is measured runs; the others are stopped (SIGSTOP) meanwhile. Imports measure.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator

from benchmarks.measure import NOISY, Bench, Running, Sample
from benchmarks.processes import StartError
from benchmarks.subjects import Subject
from benchmarks.workloads import Workload


class Campaign:
    """Runs `workloads` through `subjects`, `repeats` times each. What could not start is in `failed`."""

    def __init__(self, bench: Bench, subjects: list[Subject], workloads: list[Workload], repeats: int) -> None:
        self._bench = bench
        self._subjects = subjects
        self.workloads = workloads
        self._repeats = repeats
        self._running: dict[str, Running] = {}
        self.samples: list[Sample] = []
        self.failed: dict[str, str] = {}

    def run(self) -> None:
        """Run everything. Subjects are stopped at the end, however it comes."""
        try:
            for workload in self.workloads:
                self._workload(workload)
        finally:
            for running in self._running.values():
                running.stop()

    def _workload(self, workload: Workload) -> None:
        _say(f"{workload.name}: {workload.about}")
        order = [s for s in self._subjects if _fits(s, workload)]
        # Memory tells more from one long run than from the median of three short ones.
        repeats = 1 if workload.group in ("memory", "slow5000") else self._repeats
        for turn in range(repeats):
            if turn:
                random.shuffle(order)
            for subject in order:
                if subject.name in self.failed:
                    continue
                try:
                    with self._up(subject, fresh=workload.fresh) as running:
                        sample = self._bench.run(running, workload)
                except StartError as error:
                    self.failed[subject.name] = str(error)
                    self._drop(subject.name)
                    _say(f"    {subject.name}: FAILED: {error}")
                    continue
                self.samples.append(sample)
                _say(f"    {describe(sample, workload)}")

    @contextlib.contextmanager
    def _up(self, subject: Subject, *, fresh: bool) -> Iterator[Running]:
        """The subject, running; afterwards frozen, or gone if it is to be fresh for each run."""
        if fresh:
            running = self._bench.start(subject)
            try:
                yield running
            finally:
                running.stop()
            return
        running = self._running.get(subject.name) or self._bench.start(subject)
        self._running[subject.name] = running
        running.thaw()
        yield running
        running.freeze()

    def _drop(self, name: str) -> None:
        running = self._running.pop(name, None)
        if running is not None:
            running.stop()


def _fits(subject: Subject, workload: Workload) -> bool:
    if workload.group in ("memory", "startup") and not subject.external:
        return False
    return workload.route in subject.routes


def describe(sample: Sample, workload: Workload) -> str:
    """A run in one line."""
    notes = [
        f"core {sample.subject_busy:4.0%} harness {sample.harness_busy:4.0%}",
        f"rss {sample.rss_after_mb:.0f} MiB" if sample.rss_after_mb else "",
        f"limited by the {sample.limited_by}" if sample.limited_by else "",
        f"NOISY: others took {sample.foreign:.0%} of a core" if sample.foreign > NOISY else "",
        f"FAULTS {sample.faults} {sample.load.get('first_error', '')[:200]}" if sample.faults else "",
        f"LEFT OPEN UPSTREAM {sample.left_active}" if sample.left_active else "",
    ]
    return f"{sample.subject:12} {sample.value:12,.1f} {workload.unit:18} " + "; ".join(n for n in notes if n)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
