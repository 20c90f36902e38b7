"""How `triway reload` reaches a running gateway: a file with its process id, SIGHUP, and what the workers report.

The report is a file beside the process id's, one JSON line for each worker that has tried. Imports nothing of the
gateway.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

REPORT = "TRIWAY_RELOAD_REPORT"
"""The environment's variable that names the file in which workers tell what came of a reload."""

PATIENCE = 90.0
"""Seconds to wait for all workers: more than a new generation may take to be configured."""


class ReloadReport(msgspec.Struct, kw_only=True):
    """What came of a reload in one worker."""

    pid: int
    ok: bool
    error: str = ""
    in_file: bool = False
    """It is the configuration file that is wrong."""
    fixed: list[str] = []
    """Keys that changed in the file but hold from the next start only."""


class ReloadError(Exception):
    """No gateway could be asked, or not all of it answered."""


@contextmanager
def listed(pid_file: Path, workers: int) -> Iterator[None]:
    """Name this process, and how many workers it has, in `pid_file` while it serves."""
    os.environ[REPORT] = str(_report_file(pid_file.absolute()))
    pid_file.write_text(f"{os.getpid()}\n{workers}\n")
    try:
        yield
    finally:
        for file in (pid_file, _report_file(pid_file)):
            file.unlink(missing_ok=True)


def reload_listed(pid_file: Path, *, patience: float = PATIENCE) -> list[ReloadReport]:
    """Ask the gateway of `pid_file` to reload, and wait for every worker's report. Raises `ReloadError`."""
    try:
        pid, workers = map(int, pid_file.read_text().split())
    except OSError as error:
        raise ReloadError(f"{pid_file}: {error.strerror}; is the gateway running, with --pid-file?") from error
    except ValueError as error:
        raise ReloadError(f"{pid_file} is no process id file of 'triway serve'") from error
    file = _report_file(pid_file)
    file.unlink(missing_ok=True)
    hang_up(pid)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        reports = _read(file)
        if len(reports) >= workers:
            return list(reports.values())
        time.sleep(0.05)
    raise ReloadError(f"only {len(_read(file))} of {workers} workers told within {patience:.0f} s what came of it")


def hang_up(pid: int) -> None:
    """Send SIGHUP. Raises `ReloadError` if it cannot be."""
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        raise ReloadError(f"process {pid} cannot be asked: {error.strerror}") from error


def _read(file: Path) -> dict[int, ReloadReport]:
    """The last report of each worker; lines that are not complete yet are left for the next look."""
    try:
        lines = file.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return {}
    reports = [msgspec.json.decode(line, type=ReloadReport) for line in lines]
    return {report.pid: report for report in reports}


def _report_file(pid_file: Path) -> Path:
    return pid_file.with_name(pid_file.name + ".reload")
