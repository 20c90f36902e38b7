"""A real Redis (or Valkey) of a test's own, on a socket in a folder of its own. Skips with a reason where none is."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

import pytest
import trio

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


class Line:
    """Between a plugin and its Redis: a socket of its own that can be cut, or fall silent."""

    def __init__(self, path: Path, server: str) -> None:
        self.url = f"unix://{path}"
        self.connections = 0
        """That were made."""
        self._server = server.removeprefix("unix://")
        self._up = trio.Event()
        self._up.set()
        self._cut = False
        self._open: set[trio.CancelScope] = set()

    def becomes(self, state: Literal["whole", "cut", "silent"]) -> None:
        """`cut`: connections are closed. `silent`: they stand, and nothing goes through for good."""
        self._cut = state == "cut"
        self._up = trio.Event()
        if state == "whole":
            self._up.set()
        if state != "silent":
            for scope in self._open:
                scope.cancel()

    async def serve(self, client: trio.SocketStream) -> None:
        self.connections += 1
        with trio.CancelScope() as scope:
            if not self._cut:
                self._open.add(scope)
                async with await trio.open_unix_socket(self._server) as server, trio.open_nursery() as nursery:
                    nursery.start_soon(self._copy, client, server)
                    await self._copy(server, client)
                    nursery.cancel_scope.cancel()
        self._open.discard(scope)
        await trio.aclose_forcefully(client)

    async def _copy(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            async for data in source:
                await self._up.wait()
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


@asynccontextmanager
async def redis_line(path: Path, server: str) -> AsyncIterator[Line]:
    """A line to the server of this URL, at `path`."""
    line = Line(path, server)
    socket = trio.socket.socket(trio.socket.AF_UNIX)
    await socket.bind(str(path))
    socket.listen(100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, line.serve, [trio.SocketListener(socket)])
        yield line
        nursery.cancel_scope.cancel()
