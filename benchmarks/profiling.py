"""A flame graph of a subject under load, by py-spy. Imports measure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Bench
from benchmarks.subjects import Subject
from benchmarks.workloads import Workload

MISSING = "py-spy is not installed: pip install py-spy"


def find() -> str:
    """The py-spy command; empty: there is none."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy") or ""


def profile(bench: Bench, subject: Subject, workload: Workload, out: Path) -> Path:
    """Run the workload once with py-spy attached; return the flame graph's file. Raises `StartError`."""
    target = out / f"profile-{subject.name}-{workload.name}.svg"
    running = bench.start(subject)
    try:
        if running.process is None:
            raise ValueError(f"{subject.name} has no process to profile")
        seconds = max(1, round(workload.seconds or workload.limit / 2))
        command = [find(), "record", "--rate", "500", "--duration", str(seconds), "--output", str(target)]
        # py-spy samples from the harness' core, so that it takes little of the subject's.
        spy = subprocess.Popen(
            ["taskset", "-c", str(bench.harness_core), *command, "--subprocesses", "--pid", str(running.process.pid)]
        )
        try:
            bench.run(running, workload)
            spy.wait(seconds + 30)
        finally:
            spy.kill()
            spy.wait()
    finally:
        running.stop()
    return target
