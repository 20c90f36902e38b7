"""`triway` as a process of its own: started with a configuration, asked to stop by signals, its log read."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

ROOT = Path(__file__).parents[2]
_READY = re.compile(r"Running on https?://[^ ]*:(\d+) ")


class TriwayProcess:
    """A `triway serve` under way. Everything that it has written to stderr so far is in `log`."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self.log = ""
        self.port = 0
        self._changed = trio.Event()
        self._reading = trio.Event()
        self._reading.set()
        self._ended = trio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log's JSON lines."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    async def read_log(self) -> None:
        """Collect what it writes, until the last process has closed its stderr."""
        assert self._process.stderr is not None
        async for data in self._process.stderr:
            self.log += bytes(data).decode()
            self._changed.set()
            self._changed = trio.Event()
            await self._reading.wait()
        self._ended.set()

    async def log_ended(self) -> None:
        """Wait until all that it wrote is in `log`. Fails after 30 seconds."""
        with trio.fail_after(30):
            await self._ended.wait()

    def stop_reading(self) -> None:
        """Leave its stderr unread, from the next piece on."""
        self._reading = trio.Event()

    def go_on_reading(self) -> None:
        self._reading.set()

    async def wait_logged(self, pattern: re.Pattern[str], times: int = 1) -> re.Match[str]:
        """Wait until the log matches so many times. Fails when it does not, or when the process ends before."""
        with trio.fail_after(30):
            while True:
                found = list(pattern.finditer(self.log))
                if len(found) >= times:
                    return found[-1]
                assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.log}"
                with trio.move_on_after(0.2):
                    await self._changed.wait()

    async def wait_ready(self, workers: int = 1) -> None:
        self.port = int((await self.wait_logged(_READY, workers))[1])

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def wait(self) -> int:
        """The exit code. Fails after 30 seconds."""
        with trio.fail_after(30):
            return await self._process.wait()


def command(*arguments: str | Path) -> list[str]:
    """`triway ARGUMENTS` in this Python."""
    return [sys.executable, "-m", "proxy.cli", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """The test's environment, less what would configure Triway."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TRIWAY_", "PROMETHEUS_"))}
    return {**inherited, "PYTHONPATH": str(ROOT), **more}


def write_config(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


def content_of(models: list[dict[str, Any]], server: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What `triway_serving` writes into its file."""
    return {"server": server, "models": models, "logging": {"format": "json"}, **more}


@asynccontextmanager
async def triway_serving(
    folder: Path,
    models: list[dict[str, Any]],
    *,
    server: dict[str, Any] | None = None,
    arguments: Sequence[str | Path] = (),
    **more: Any,
) -> AsyncIterator[TriwayProcess]:
    """`triway serve`, ready. On the way out it is killed, if it still runs, with all its workers.

    `more`: further top-level keys of the configuration.
    """
    server = {"port": 0, **(server or {})}
    config = write_config(folder / "gateway.yaml", content_of(models, server, **more))
    process = await trio.lowlevel.open_process(
        command("serve", "-c", config, *arguments), stderr=subprocess.PIPE, env=environment(), start_new_session=True
    )
    running = TriwayProcess(process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.read_log)
        try:
            await running.wait_ready(int(server.get("workers", 1)))
            yield running
        finally:
            kill_group(process.pid)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await process.wait()
            nursery.cancel_scope.cancel()


def kill_group(pid: int) -> None:
    """Kill the processes of the session that a test began with `pid`, if any is left."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
