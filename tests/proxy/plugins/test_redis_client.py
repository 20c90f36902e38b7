"""Redis for plugins: each call ends in time, whatever Redis or a name server does, and who is gone is not asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from proxy.plugins.builtin import redis_client
from proxy.plugins.builtin.redis_client import RedisClient, ThreadCall

pytest.importorskip("redis")

FOREVER = 60.0
"""Seconds: whoever waits so long waits for something that never comes."""


@pytest.fixture
def client(tmp_path: Path) -> RedisClient:
    return RedisClient(f"unix://{tmp_path}/nobody.sock", timeout=0.1)


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """A call that waits for it hangs until the test is over."""
    event = threading.Event()
    yield event
    event.set()


async def outcome_of(client: RedisClient, call: Any, **more: Any) -> str:
    try:
        return str(await client.run(call, **more))
    except Exception as error:  # noqa: BLE001 - it is what is looked at
        return type(error).__name__


async def test_a_call_that_hangs_is_left_behind_in_time(client: RedisClient, hanging: threading.Event) -> None:
    left: list[ThreadCall[Any]] = []
    with trio.fail_after(FOREVER):
        assert await outcome_of(client, hanging.wait, left_behind=left.append) == "TimeoutError"
        assert [call.over for call in left] == [False]
        hanging.set()
        while not left[0].over:
            await trio.sleep(0.01)


async def test_a_name_server_that_hangs_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    def resolve(*args: Any, **more: Any) -> Any:
        hanging.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    client = RedisClient("redis://nowhere.invalid:6379/0", timeout=0.1)
    with trio.fail_after(FOREVER):
        assert await outcome_of(client, client.redis.ping) == "TimeoutError"
    hanging.set()


async def test_who_is_cancelled_does_not_wait(hanging: threading.Event, tmp_path: Path) -> None:
    client = RedisClient(f"unix://{tmp_path}/nobody.sock", timeout=2 * FOREVER)
    left: list[ThreadCall[Any]] = []
    begun = threading.Event()

    def call() -> None:
        begun.set()
        hanging.wait()

    with trio.fail_after(FOREVER):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: client.run(call, left_behind=left.append))
            await trio.to_thread.run_sync(begun.wait)
            nursery.cancel_scope.cancel()
    assert len(left) == 1
    assert not client.gone, "a client that leaves says nothing of Redis"


async def test_a_call_that_never_began_leaves_nothing_behind_and_is_never_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hanging: threading.Event
) -> None:
    monkeypatch.setattr(redis_client, "MAX_THREADS", 1)
    client = RedisClient(f"unix://{tmp_path}/nobody.sock", timeout=0.2)
    left: list[ThreadCall[Any]] = []
    made: list[int] = []
    outcomes: list[str] = []

    async def ask(call: Any) -> None:
        outcomes.append(await outcome_of(client, call, left_behind=left.append))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, hanging.wait)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, lambda: made.append(1))
    assert sorted(outcomes) == ["RedisGoneError", "TimeoutError"]
    assert len(left) == 1, "only the one that began"
    hanging.set()
    while not left[0].over:
        await trio.sleep(0.01)
    await trio.sleep(0.05)
    assert made == []


async def test_of_those_that_wait_for_who_is_gone_one_is_told_why_and_none_waits_on(
    client: RedisClient, hanging: threading.Event
) -> None:
    outcomes: list[str] = []

    async def ask() -> None:
        outcomes.append(await outcome_of(client, hanging.wait))

    with trio.fail_after(FOREVER):
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
    assert sorted(outcomes) == ["RedisGoneError"] * 99 + ["TimeoutError"]


async def test_one_tries_once_a_second_and_all_others_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, client: RedisClient, hanging: threading.Event
) -> None:
    monkeypatch.setattr(redis_client, "RETRY_AFTER", FOREVER)
    asked: list[int] = []

    def call() -> None:
        asked.append(1)
        hanging.wait()

    assert await outcome_of(client, call) == "TimeoutError"
    assert client.gone
    for _ in range(10):
        assert await outcome_of(client, call) == "RedisGoneError"
    assert len(asked) == 1
    its_time_has_come(client)
    outcomes: list[str] = []

    async def ask() -> None:
        outcomes.append(await outcome_of(client, call))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask)
    assert len(asked) == 2
    assert sorted(outcomes) == ["RedisGoneError"] * 49 + ["TimeoutError"]
    its_time_has_come(client)
    assert await outcome_of(client, lambda: "back") == "back"
    assert not client.gone
    assert await outcome_of(client, lambda: "again") == "again"


def its_time_has_come(client: RedisClient) -> None:
    """For the next try."""
    client._gone_until = trio.current_time()


async def test_who_tries_and_is_cancelled_leaves_the_try_to_the_next(
    monkeypatch: pytest.MonkeyPatch, client: RedisClient, hanging: threading.Event
) -> None:
    monkeypatch.setattr(redis_client, "RETRY_AFTER", 0.0)
    assert await outcome_of(client, hanging.wait) == "TimeoutError"
    with trio.CancelScope() as scope:
        scope.cancel()
        await client.run(lambda: "never")
    assert client.gone
    assert await outcome_of(client, lambda: "back") == "back"
