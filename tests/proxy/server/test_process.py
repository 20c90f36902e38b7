"""`serve` in a process of its own: signals, exit codes, messages, workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from tests.proxy.server.support import HttpReader, connected, read_all, serving
from tests.proxy.server.support import echo as echo_app

ROOT = Path(__file__).parents[3]


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode()


class Served:
    """A running server process and what it says."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.output = ""
        self.port = 0

    async def read(self) -> None:
        assert self.process.stdout is not None
        async with self.process.stdout as stdout:
            async for data in stdout:
                self.output += data.decode()

    async def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        while len(found := re.findall(pattern, self.output)) < count:
            assert self.process.poll() is None, self.output
            await trio.sleep(0.02)
        return found

    async def ends(self, *, within: float = 10) -> int:
        with trio.fail_after(within):
            return await self.process.wait()


@asynccontextmanager
async def process(startup: str = "works", *, ready: bool = True, **settings: Any) -> AsyncIterator[Served]:
    """A server process. Killed on the way out, with its workers. What it said is complete then."""
    settings = {"bind": ["127.0.0.1:0"], **settings}
    command = [sys.executable, "-m", "tests.proxy.server.served", msgspec.json.encode(settings).decode(), startup]
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            running = await trio.lowlevel.open_process(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
            )
            served = Served(running)
            nursery.start_soon(served.read)
            try:
                if ready:
                    found = await served.wait_for(r"Running on http://127.0.0.1:(\d+)", settings.get("workers", 1))
                    assert len(set(found)) == 1
                    served.port = int(found[0])
                yield served
            finally:
                _kill_group(running.pid)  # after a test that went well none of it is left
                with trio.CancelScope(deadline=trio.current_time() + 5, shield=True):
                    await running.wait()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _kill_group(group: int) -> None:
    if _group_lives(group):
        os.killpg(group, signal.SIGKILL)


async def body_of(port: int, path: str) -> bytes:
    async with connected(port) as stream:
        await stream.send_all(get(path))
        return (await HttpReader(stream).answer()).body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_signal_drains_and_exits_0(workers: int, number: signal.Signals) -> None:
    async with process(workers=workers) as served:
        # Enough streams for both workers to have one that outlives the other's.
        async with trio.open_nursery() as nursery:
            bodies: list[bytes] = []
            begun = 0

            async def ask(seconds: float) -> None:
                nonlocal begun
                async with connected(served.port) as stream:
                    await stream.send_all(get(f"/stream/{seconds}"))
                    reader = HttpReader(stream)
                    await reader.until(b"begun\r\n")
                    begun += 1
                    bodies.append(await reader.until(b"0\r\n\r\n"))

            for index in range(8):
                nursery.start_soon(ask, 0.5 + 0.2 * index)
            while begun < 8:
                await trio.sleep(0.01)
            served.process.send_signal(number)
        assert bodies == [b"4\r\ndone\r\n"] * 8
        assert await served.ends() == 0
    assert served.output.count("lifespan over") == workers
    assert "Traceback" not in served.output


@pytest.mark.parametrize("workers", [1, 2])
async def test_idle_it_stops_quickly(workers: int) -> None:
    async with process(workers=workers) as served, connected(served.port) as idle:
        await idle.send_all(get("/pid"))
        await HttpReader(idle).answer()
        served.process.send_signal(signal.SIGTERM)
        assert await served.ends(within=3) == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_streams_get_their_error_and_the_exit_is_0(workers: int) -> None:
    async with process(workers=workers, graceful_timeout=0.2) as served:
        async with connected(served.port) as ending, connected(served.port) as stubborn, connected(served.port) as deaf:
            await ending.send_all(get("/hang"))
            await stubborn.send_all(get("/stubborn"))
            await deaf.send_all(get("/flood"))
            reader = HttpReader(ending)
            await reader.until(b"begun\r\n")
            await HttpReader(stubborn).until(b"begun\r\n")
            served.process.send_signal(signal.SIGTERM)
            assert await reader.until(b"0\r\n\r\n") == b"d\r\nin-band error\r\n"
            assert not (await read_all(stubborn)).endswith(b"0\r\n\r\n")
            assert await served.ends() == 0
    assert served.output.count("lifespan over") == workers


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_signal_cuts_it_short(workers: int) -> None:
    async with process(workers=workers, graceful_timeout=60) as served, connected(served.port) as stream:
        await stream.send_all(get("/stubborn"))
        await HttpReader(stream).until(b"begun\r\n")
        served.process.send_signal(signal.SIGTERM)
        await served.wait_for("stopping: ", workers)
        await trio.sleep(0.3)
        assert served.process.poll() is None
        served.process.send_signal(signal.SIGTERM)
        assert await served.ends(within=3) == 1
    assert "lifespan over" in served.output


async def test_the_drain_delay() -> None:
    async with process(drain_delay=0.5) as served:
        assert await body_of(served.port, "/ready") == b"ready"
        served.process.send_signal(signal.SIGTERM)
        await served.wait_for("stopping: ")
        assert await body_of(served.port, "/ready") == b"draining"
        assert await served.ends() == 0


async def test_a_signal_to_the_whole_group() -> None:
    """As service managers send it: the workers get it too, and Hypercorn's parent sends it to them once more."""
    async with process(workers=2) as served, connected(served.port) as stream:
        await stream.send_all(get("/stream/1"))
        reader = HttpReader(stream)
        await reader.until(b"begun\r\n")
        os.killpg(served.process.pid, signal.SIGTERM)
        assert await reader.until(b"0\r\n\r\n") == b"4\r\ndone\r\n"
        assert await served.ends() == 0


async def test_workers_share_the_requests() -> None:
    async with process(workers=2) as served:
        pids: set[bytes] = set()
        while len(pids) < 2:
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    pids.add(await body_of(served.port, "/pid"))

                for _ in range(20):
                    nursery.start_soon(ask)
        assert str(served.process.pid).encode() not in pids


async def test_a_worker_that_dies_stops_the_whole_gracefully() -> None:
    async with process(workers=2) as served:
        async with connected(served.port) as stream:
            await stream.send_all(get("/pid"))
            reader = HttpReader(stream)
            survivor = (await reader.answer()).body
            victim = survivor
            while victim == survivor:
                victim = await body_of(served.port, "/pid")
            await stream.send_all(get("/stream/1"))
            await reader.until(b"begun\r\n")
            os.kill(int(victim), signal.SIGKILL)
            assert await reader.until(b"0\r\n\r\n") == b"4\r\ndone\r\n"
            assert await served.ends() == 1


async def test_a_worker_that_dies_while_stopping_hurries_nobody() -> None:
    async with process(workers=2) as served, connected(served.port) as stream:
        await stream.send_all(get("/pid"))
        reader = HttpReader(stream)
        survivor = (await reader.answer()).body
        victim = survivor
        while victim == survivor:
            victim = await body_of(served.port, "/pid")
        await stream.send_all(get("/stream/1.5"))
        await reader.until(b"begun\r\n")
        # Stopped first, or it would be done before it can be killed.
        os.kill(int(victim), signal.SIGSTOP)
        served.process.send_signal(signal.SIGTERM)
        await served.wait_for("stopping: ", 1)
        os.kill(int(victim), signal.SIGKILL)
        assert await reader.until(b"0\r\n\r\n") == b"4\r\ndone\r\n"
        assert await served.ends() == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shares connections out among sockets")
async def test_new_connections_are_shared_out_among_the_workers() -> None:
    async with process(workers=2) as served:
        answered = Counter([await body_of(served.port, "/pid") for _ in range(100)])
    assert len(answered) == 2
    assert min(answered.values()) >= 20  # of a fair coin's 100 throws, less comes once in ten thousand million times


async def test_workers_do_not_outlive_a_killed_parent() -> None:
    async with process(workers=2) as served:
        served.process.kill()
        await served.process.wait()
        with trio.fail_after(5):
            while _group_lives(served.process.pid):
                await trio.sleep(0.05)
    assert served.output.count("lifespan over") == 2


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_port_in_use_is_one_line(workers: int) -> None:
    async with serving(echo_app) as other:
        async with process(ready=False, workers=workers, bind=[f"127.0.0.1:{other.port}"]) as served:
            assert await served.ends() == 1
        assert served.output == f"cannot start: cannot listen on 127.0.0.1:{other.port}: Address already in use\n"


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_port_of_another_gateway_is_in_use(workers: int) -> None:
    async with process(workers=workers) as first:
        async with process(ready=False, workers=2, bind=[f"127.0.0.1:{first.port}"]) as second:
            assert await second.ends() == 1
        assert "Address already in use" in second.output


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_failing_startup_says_why(workers: int) -> None:
    async with process("fails", ready=False, workers=workers) as served:
        assert await served.ends() == 1
    assert "cannot start: " in served.output
    assert "no such provider" in served.output
    assert "Traceback" not in served.output


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_signal_ends_a_startup(workers: int) -> None:
    async with process("hangs", ready=False, workers=workers) as served:
        await served.wait_for("lifespan begins", workers)
        served.process.send_signal(signal.SIGTERM)
        assert await served.ends(within=3) == 0


async def test_sighup_is_the_app_s_and_no_worker_is_replaced_for_it() -> None:
    """That it gets to the apps is shown by tests/gateway/test_reload.py; this app does not listen."""
    async with process(workers=2) as served:
        workers = {await body_of(served.port, "/pid") for _ in range(20)}
        async with connected(served.port) as stream:
            await stream.send_all(get("/stream/0.5"))
            reader = HttpReader(stream)
            await reader.until(b"begun\r\n")
            served.process.send_signal(signal.SIGHUP)
            assert await reader.until(b"0\r\n\r\n") == b"4\r\ndone\r\n"
        assert len(workers | {await body_of(served.port, "/pid") for _ in range(20)}) <= 2
        assert served.output.count("Running on") == 2
        served.process.send_signal(signal.SIGTERM)
        assert await served.ends() == 0


async def test_a_slow_startup_says_so() -> None:
    async with process("hangs", ready=False, startup_timeout=0.2) as served:
        assert await served.ends() == 1
    assert "cannot start: Timeout whilst awaiting startup" in served.output


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_app_that_cannot_be_made_is_not_hidden(workers: int) -> None:
    async with process("raises", ready=False, workers=workers) as served:
        assert await served.ends() == 1
    assert "LookupError: the app cannot be made" in served.output
