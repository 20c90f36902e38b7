"""How `triway reload` reaches a running gateway: a file with its process id, SIGHUP, and what the workers report.

A process id alone says little: when a gateway was killed, its file stays, and the id may be another process's by now,
for which SIGHUP is the end. So the gateway holds a lock on its file for as long as it lives (`flock`: gone with the
process, whatever becomes of it), and no signal goes to a process whose file nobody holds.

The report is a file beside the process id's, one JSON line for each worker that has tried. Imports nothing of the
gateway.
"""

from __future__ import annotations

import fcntl
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
    """Name this process, and how many workers it has, in `pid_file` while it serves.

    Raises `ReloadError` if the file cannot be written, or is that of a gateway that runs.
    """
    pid_file = pid_file.absolute()
    os.environ[REPORT] = str(_report_file(pid_file))
    try:
        held = _write_locked(pid_file, f"{os.getpid()}\n{workers}\n")
    except OSError as error:
        raise ReloadError(f"{pid_file} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        if _is_same(pid_file, held):
            for file in (pid_file, _report_file(pid_file)):
                file.unlink(missing_ok=True)
        os.close(held)


def reload_listed(pid_file: Path, *, patience: float = PATIENCE) -> list[ReloadReport]:
    """Ask the gateway of `pid_file` to reload, and wait for every worker's report. Raises `ReloadError`."""
    pid, workers = _running(pid_file)
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


def _running(pid_file: Path) -> tuple[int, int]:
    """The process id and the number of workers of the gateway that holds `pid_file`. Raises `ReloadError`."""
    try:
        with pid_file.open() as file:
            pid, workers = map(int, file.read().split())
            held = _is_locked(file.fileno())
    except OSError as error:
        raise ReloadError(f"{pid_file}: {error.strerror}; is the gateway running, with --pid-file?") from error
    except ValueError as error:
        raise ReloadError(f"{pid_file} is no process id file of 'triway serve'") from error
    if not held:
        raise ReloadError(f"the gateway of {pid_file} is not running: it ended without removing the file")
    return pid, workers


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


def _write_locked(pid_file: Path, content: str) -> int:
    """Put a file with `content` in place of `pid_file`, and return the descriptor that holds its lock. Whoever finds it
    finds it written and locked. Raises OSError, and `ReloadError` if somebody holds the one that is there."""
    try:
        with pid_file.open() as there:
            if _is_locked(there.fileno()):
                raise ReloadError(f"{pid_file} is the file of a gateway that is running")
    except FileNotFoundError:
        pass
    fresh = pid_file.with_name(f".{pid_file.name}.{os.getpid()}")
    held = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(held, content.encode())
        fresh.replace(pid_file)
    except BaseException:
        os.close(held)
        fresh.unlink(missing_ok=True)
        raise
    return held


def _is_locked(descriptor: int) -> bool:
    """Whether a gateway holds this file. A shared lock asks: those who ask do not see one another."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _is_same(path: Path, descriptor: int) -> bool:
    """Whether `path` is the open file still, and not another one that was put in its place."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _report_file(pid_file: Path) -> Path:
    return pid_file.with_name(pid_file.name + ".reload")
