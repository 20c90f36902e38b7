"""What the numbers were measured on. Imports nothing of this package."""

from __future__ import annotations

import datetime
import os
import platform
import resource
import subprocess
from importlib import metadata
from pathlib import Path

import msgspec


class Environment(msgspec.Struct):
    date: str
    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    packages: dict[str, str]
    commit: str
    open_files: int


def describe() -> Environment:
    """Look at the machine, the interpreter, the packages that matter and the commit."""
    info = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    packages = {}
    for name in ("triway", "trio", "httptools", "msgspec", "hypercorn", "quart-trio", "httpx"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Environment(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cpu=models[0] if models else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        kernel=platform.release(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=packages,
        commit=_commit(),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()
