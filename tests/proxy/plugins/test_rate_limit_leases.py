"""`rate-limit` in a real Redis: slots come back whatever happens to Redis, to the worker, or to the request."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from providers.errors import GatewayError
from proxy.plugins.builtin.rate_limit.plugin import RateLimit
from proxy.plugins.builtin.rate_limit.redis_store import RedisStore
from proxy.plugins.builtin.rate_limit.store import Slots
from proxy.plugins.loaded import LoadedPlugin
from tests.proxy.plugins.runs import configured, run_of
from tests.proxy.plugins.test_rate_limit import asked, beside, nothing_owed, over, refused, request_of
from tests.support.gateway import wait_until
from tests.support.redis_server import needs_redis, redis_line, redis_server

pytestmark = needs_redis


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


async def three_at_a_time(url: str, prefix: str = "", **config: Any) -> LoadedPlugin:
    redis = {"url": url, "prefix": prefix or f"test-{uuid.uuid4().hex}", "timeout": config.pop("timeout", 5000)}
    limits = config.pop("limits", [{"name": "x", "concurrency": 3}])
    return await configured(RateLimit, limits=limits, redis=redis, **config)


async def admitted(plugin: LoadedPlugin) -> int:
    """How many more get in now; they are let go."""
    runs, status = [], None
    try:
        for _ in range(9):
            runs.append(await asked(plugin))
    except GatewayError as error:
        status = error.status
    assert status == 429
    for run in runs:
        over(run)
    await wait_until(lambda: nothing_owed(plugin), seconds=30)
    return len(runs)


@pytest.mark.parametrize("trouble", ["cut", "silent"])
async def test_requests_that_end_while_redis_is_away_give_their_slots_back(
    redis_url: str, tmp_path: Path, trouble: Any
) -> None:
    prefix = f"test-{uuid.uuid4().hex}"
    async with redis_line(tmp_path / "line.sock", redis_url) as line:
        plugin, other = await three_at_a_time(line.url, prefix, timeout=1000), await three_at_a_time(redis_url, prefix)
        async with beside(plugin, other):
            runs = [await asked(plugin) for _ in range(3)]
            assert (await refused(other)).status == 429
            line.becomes(trouble)
            for run in runs:
                over(run)
            await trio.sleep(0.5)
            line.becomes("whole")
            await wait_until(lambda: nothing_owed(plugin), seconds=30)
            assert await admitted(other) == 3


async def test_one_client_at_a_time_never_meets_its_own_last_request(redis_url: str) -> None:
    """Though nobody has done any of the work beside requests."""
    plugin = await three_at_a_time(redis_url, limits=[{"name": "x", "concurrency": 1}])
    for _ in range(20):
        over(await asked(plugin))
    await plugin.plugin.aclose()


async def test_a_worker_that_stops_owes_nothing(redis_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex}"
    plugin, other = await three_at_a_time(redis_url, prefix), await three_at_a_time(redis_url, prefix)
    for run in [await asked(plugin) for _ in range(3)]:
        over(run)
    assert (await refused(other)).status == 429
    await plugin.plugin.aclose()
    async with beside(other):
        assert await admitted(other) == 3


async def test_slots_are_leased_for_a_short_while_and_renewed_while_requests_run(redis_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex}"
    alive = await three_at_a_time(redis_url, prefix, leaseTimeout=3000, timeout=1000)
    dead = await three_at_a_time(redis_url, prefix, leaseTimeout=3000, timeout=1000)
    await asked(dead)
    await asked(dead)
    async with beside(alive):
        await asked(alive)
        assert (await refused(alive)).status == 429
        await trio.sleep(4)
        assert await admitted(alive) == 2, "those of the dead are free; the one that runs is not"
    await dead.plugin.aclose()


async def test_what_a_cancelled_request_took_after_all_is_given_back(redis_url: str, tmp_path: Path) -> None:
    """The call is on its way when the client leaves, and has its effect when nobody waits for it any more."""
    async with redis_line(tmp_path / "line.sock", redis_url) as line:
        plugin = await three_at_a_time(line.url, limits=[{"name": "x", "concurrency": 1}])
        async with beside(plugin):
            assert await admitted(plugin) == 1
            store = plugin.plugin._shared._store  # type: ignore[attr-defined]
            taking = store._scripts["take"]
            begun = trio.Event()
            token = trio.lowlevel.current_trio_token()

            def late(**arguments: Any) -> Any:
                trio.from_thread.run_sync(begun.set, trio_token=token)
                trio.from_thread.run(trio.sleep, 0.1, trio_token=token)
                return taking(**arguments)

            store._scripts["take"] = late
            run = run_of(plugin, request=request_of())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run.before_model)
                await begun.wait()
                nursery.cancel_scope.cancel()
            run.close()
            store._scripts["take"] = taking
            assert not nothing_owed(plugin)
            await wait_until(lambda: nothing_owed(plugin), seconds=30)
            assert await admitted(plugin) == 1


async def test_what_is_owed_is_bounded(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.plugins.builtin.rate_limit.leases.MAX_OWED", 10)
    limits = [{"name": "x", "by": ["user"], "concurrency": 1, "tokens": 1000}]
    async with redis_line(tmp_path / "line.sock", redis_url) as line:
        plugin = await three_at_a_time(line.url, limits=limits)
        runs = [await asked(plugin, request_of(f"user-{number}")) for number in range(30)]
        line.becomes("cut")
        for run in runs:
            over(run, 5)
        leases = plugin.plugin._shared  # type: ignore[attr-defined]
        assert len(leases._owed) == len(leases._costs) == 10
        await trio.testing.wait_all_tasks_blocked()
        line.becomes("whole")
        await plugin.plugin.aclose()
        assert nothing_owed(plugin)


async def test_tokens_that_are_settled_while_redis_is_away_are_settled_when_it_is_back(
    redis_url: str, tmp_path: Path
) -> None:
    prefix, limits = f"test-{uuid.uuid4().hex}", [{"name": "t", "tokens": 100, "per": "day"}]
    async with redis_line(tmp_path / "line.sock", redis_url) as line:
        plugin = await three_at_a_time(line.url, prefix, limits=limits, onStoreError="closed", timeout=1000)
        other = await three_at_a_time(redis_url, prefix, limits=limits)
        async with beside(plugin, other):
            run = await asked(plugin)
            line.becomes("cut")
            assert (await refused(plugin)).status == 503
            over(run, 150)
            await trio.sleep(0.2)
            await asked(other)
            line.becomes("whole")
            await wait_until(lambda: nothing_owed(plugin), seconds=30)
            assert "'t'" in (await refused(other)).message


async def test_a_name_server_that_hangs_holds_no_request_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()

    def resolve(*_: Any, **__: Any) -> Any:
        hanging.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    plugin = await three_at_a_time(
        "redis://nowhere.invalid:6379/0", limits=[{"name": "x", "requests": 20}], timeout=100
    )
    async with beside(plugin):
        with trio.fail_after(60):
            for _ in range(20):
                over(await asked(plugin))
            assert (await refused(plugin)).status == 429, "this process counts"
    hanging.set()


async def test_projects_count_apart(redis_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex}"
    plugin = await three_at_a_time(redis_url, prefix, limits=[{"name": "x", "requests": 1, "per": "day"}])
    await asked(plugin, project="one")
    await asked(plugin, project="two")
    assert (await refused(plugin, project="one")).status == 429
    await plugin.plugin.aclose()


async def test_the_store_s_own_words(redis_url: str) -> None:
    """What is owed is given back before anything is taken; a lease that was lost is taken up again by renewing it."""
    store = RedisStore(redis_url, prefix=f"test-{uuid.uuid4().hex}", timeout=5)

    def slot(holder: str, lease: float = 60.0) -> Slots:
        return Slots(key="s", limit=1, holder=holder, lease=lease)

    await store.take([slot("a")])
    (level,) = await store.take([slot("b")])
    assert level.wait > 0
    (level,) = await store.take([slot("b")], owed=[slot("a")])
    assert (level.wait, level.remaining) == (0, 0)
    await store.release([slot("b")])
    await store.renew([slot("c")])
    (level,) = await store.take([slot("d")])
    assert level.wait > 0
    await store.aclose()


def test_a_lease_is_long_enough_to_be_renewed() -> None:
    redis = {"url": "redis://x", "timeout": 1000, "prefix": "p"}
    config = {"limits": [{"name": "x", "concurrency": 1}], "redis": redis, "leaseTimeout": 2000}
    assert "at least 3 times redis.timeout" in str(RateLimit().validate_config(config))
