"""Processes pinned to a core, and what /proc says of them: CPU seconds, resident memory, foreign load. Linux only.

Imports nothing of this package.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1


class StartError(Exception):
    """A process did not come up; the message holds the end of its log."""


def pin(cores: set[int]) -> Callable[[], None]:
    """What a child runs before exec: bind it to `cores`, and let it die with us. Safe, since we have no threads."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        os.sched_setaffinity(0, cores)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return prepare


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody accepts connections on the port of loopback."""
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Pinned:
    """A process, and all that it starts, on given cores, in a process group of its own, its output in a file."""

    def __init__(
        self, command: Sequence[str], cores: set[int], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.command = list(command)
        self._log = log
        self._started = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                preexec_fn=pin(cores),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def log_tail(self, characters: int = 1500) -> str:
        """The end of what it printed."""
        return self._log.read_text(errors="replace")[-characters:]

    def wait_listening(self, port: int, seconds: float) -> float:
        """Wait until the port accepts; returns seconds since the start. Raises `StartError`."""
        while not listens(port):
            self._check(seconds, f"does not listen on port {port}")
            time.sleep(0.005)
        return time.monotonic() - self._started

    def wait_until(self, ready: Callable[[], bool], seconds: float, what: str) -> float:
        """Wait until `ready()`; returns seconds since the start. Raises `StartError`."""
        while not ready():
            self._check(seconds, what)
            time.sleep(0.02)
        return time.monotonic() - self._started

    def _check(self, seconds: float, what: str) -> None:
        if not self.alive:
            raise StartError(f"exited with {self._process.returncode}: {' '.join(self.command)}\n{self.log_tail()}")
        if time.monotonic() - self._started > seconds:
            raise StartError(f"{what} within {seconds:.0f} s: {' '.join(self.command)}\n{self.log_tail()}")

    def freeze(self) -> None:
        """Stop it (SIGSTOP), so that it cannot disturb the measurement of another."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self, seconds: float = 5) -> None:
        """SIGTERM, and SIGKILL if it is still there after `seconds`."""
        self.thaw()
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def tree(self) -> list[int]:
        """The pids of it and its descendants."""
        pids = [self.pid]
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    pids += map(int, task.read_text().split())
        return pids

    def cpu_seconds(self) -> float:
        """CPU time so far, user and system, of the whole tree."""
        return sum(_cpu(pid) for pid in self.tree())

    def rss_mb(self) -> float:
        """Resident memory now of the whole tree, in MiB; pages shared by its processes count for each."""
        return sum(_rss(pid) for pid in self.tree()) / 2**20

    def open_files(self) -> int:
        """Open file descriptors of the whole tree."""
        count = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                count += len(os.listdir(f"/proc/{pid}/fd"))
        return count


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def busy_seconds(core: int) -> float:
    """CPU time that a core has spent on anything so far."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / _TICK
    return 0.0
