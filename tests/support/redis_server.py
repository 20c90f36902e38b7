"""A real Redis (or Valkey) of a test's own, on a socket in a folder of its own. Skips with a reason where none is."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
needs_redis = pytest.mark.skipif(REDIS is None, reason="no redis-server here (Debian: apt-get install redis-server)")
START_SECONDS = 10.0


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its URL. It keeps nothing on disk and ends with the block."""
    assert REDIS is not None
    path = folder / "redis.sock"
    command = [REDIS, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not path.exists():
                assert time.monotonic() < deadline, "redis did not start"
                time.sleep(0.01)
            yield f"unix://{path}"
        finally:
            server.terminate()
