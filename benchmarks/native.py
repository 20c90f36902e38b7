"""Builds the two C programs when they are needed. Imports nothing of this package."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent


class NoCompilerError(Exception):
    """There is no C compiler, or it did not take the sources; the message says what to do."""


def build(out: Path) -> tuple[Path, Path]:
    """Compile mock.c and load.c into `out` unless they are newer than their sources; return (mock, load)."""
    out.mkdir(parents=True, exist_ok=True)
    return _compile("mock", out), _compile("load", out)


def _compile(name: str, out: Path) -> Path:
    source, target = SOURCES / f"{name}.c", out / name
    if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return target
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompilerError(
            "The benchmark's provider and load generator are two small C programs, and there is no C compiler here "
            "(cc, gcc or clang). Install one, for example: apt-get install gcc libc6-dev"
        )
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-Wextra", "-o", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoCompilerError(f"{compiler} does not take {source.name} (Linux with glibc is needed):\n{done.stderr}")
    return target
