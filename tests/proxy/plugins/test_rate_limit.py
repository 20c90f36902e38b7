"""`rate-limit`: exact whoever asks at the same time, in this process and in a real Redis; in the API's own words."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from providers.errors import GatewayError
from providers.extension import check_config
from providers.model import LLMRequest, Message, TextPart, Usage
from proxy.plugins.builtin.rate_limit.headers import Left, headers_of
from proxy.plugins.builtin.rate_limit.memory import MemoryStore
from proxy.plugins.builtin.rate_limit.plugin import RateLimit
from proxy.plugins.builtin.rate_limit.redis_store import RedisStore
from proxy.plugins.builtin.rate_limit.settings import SCHEMA
from proxy.plugins.builtin.rate_limit.store import Bucket, Slots, Store
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import PipelineRun
from tests.proxy.plugins.runs import configured, run_of
from tests.support.gateway import wait_until
from tests.support.redis_server import needs_redis, redis_server


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@asynccontextmanager
async def store_of(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    store: Store
    if kind == "memory":
        store = MemoryStore()
    else:
        url = request.getfixturevalue("redis_url")
        store = RedisStore(url, prefix=f"test-{uuid.uuid4().hex}", timeout=5)
    try:
        yield store
    finally:
        await store.aclose()


stores = pytest.mark.parametrize("kind", ["memory", pytest.param("redis", marks=needs_redis)])


def bucket(cost: float = 1.0, *, limit: float = 100, window: float = 86_400.0, key: str = "k") -> Bucket:
    return Bucket(key=key, limit=limit, window=window, cost=cost)


def slot(holder: str, *, limit: int = 2, lease: float = 60.0, key: str = "s") -> Slots:
    return Slots(key=key, limit=limit, holder=holder, lease=lease)


# -- stores ------------------------------------------------------------------------------------------------------------


@stores
async def test_of_500_at_the_same_time_exactly_as_many_get_in_as_may(kind: str, request: pytest.FixtureRequest) -> None:
    async with store_of(kind, request) as store:
        admitted = []

        async def ask(number: int) -> None:
            levels = await store.take([bucket(), slot(f"h{number}", limit=1000)])
            if not any(level.wait for level in levels):
                admitted.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(ask, number)
        assert len(admitted) == 100


@stores
async def test_who_is_refused_by_one_pays_for_none(kind: str, request: pytest.FixtureRequest) -> None:
    async with store_of(kind, request) as store:
        assert not any(level.wait for level in await store.take([bucket(limit=2), slot("a", limit=1)]))
        refused = await store.take([bucket(limit=2), slot("b", limit=1)])
        assert [level.wait > 0 for level in refused] == [False, True]
        await store.release([slot("a")])
        allowed = await store.take([bucket(limit=2), slot("b", limit=1)])
        assert not any(level.wait for level in allowed)
        assert [level.remaining for level in allowed] == [pytest.approx(0, abs=0.01), 0]


@stores
async def test_what_costs_more_than_was_taken_is_waited_for(kind: str, request: pytest.FixtureRequest) -> None:
    async with store_of(kind, request) as store:
        tokens = bucket(10, limit=100, window=100.0)
        (level,) = await store.take([tokens])
        assert level.remaining == pytest.approx(90, abs=0.5)
        await store.settle([bucket(140, limit=100, window=100.0)])
        (level,) = await store.take([tokens])
        assert level.wait == pytest.approx(60, abs=0.5)
        (level,) = await store.take([bucket(0, limit=100, window=100.0)])
        assert level.wait == pytest.approx(50, abs=0.5), "below zero even what costs nothing waits"
        await store.settle([bucket(-500, limit=100, window=100.0)])
        (level,) = await store.take([tokens])
        assert level.remaining == pytest.approx(90, abs=0.5), "more than the limit is never there"


@stores
async def test_slots_whose_holder_died_are_free_again(kind: str, request: pytest.FixtureRequest) -> None:
    async with store_of(kind, request) as store:
        await store.take([slot("a", limit=1, lease=0.05)])
        (level,) = await store.take([slot("b", limit=1)])
        assert level.wait > 0
        await trio.sleep(0.1)
        (level,) = await store.take([slot("b", limit=1)])
        assert level.wait == 0


async def test_a_bucket_fills_up_evenly(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    minute = bucket(limit=60, window=60.0)
    assert sum(not any(level.wait for level in store.take_now([minute])) for _ in range(70)) == 60
    (level,) = store.take_now([minute])
    assert level.wait == pytest.approx(1)
    await trio.sleep(5)
    assert sum(not any(level.wait for level in store.take_now([minute])) for _ in range(70)) == 5


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.plugins.builtin.rate_limit.memory.MAX_KEYS", 10)
    store = MemoryStore()
    for number in range(100):
        store.take_now([bucket(key=f"k{number}"), slot("h", key=f"s{number}")])
    assert len(store._buckets) == len(store._slots) == 10


WORKER = """
import sys, trio
from proxy.plugins.builtin.rate_limit.redis_store import RedisStore
from proxy.plugins.builtin.rate_limit.store import Bucket

async def main():
    store = RedisStore(sys.argv[1], prefix=sys.argv[2], timeout=5)
    admitted = 0
    async def ask():
        nonlocal admitted
        levels = await store.take([Bucket(key="k", limit=100, window=86400.0, cost=1.0)])
        admitted += not any(level.wait for level in levels)
    async with trio.open_nursery() as nursery:
        for _ in range(250):
            nursery.start_soon(ask)
    print(admitted)

trio.run(main)
"""


@needs_redis
async def test_two_processes_count_together(redis_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex}"
    outputs: list[int] = []

    async def work() -> None:
        done = await trio.run_process(
            [sys.executable, "-c", WORKER, redis_url, prefix], capture_stdout=True, env={**os.environ}, cwd=Path.cwd()
        )
        outputs.append(int(done.stdout))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        nursery.start_soon(work)
    assert sum(outputs) == 100


# -- the plugin --------------------------------------------------------------------------------------------------------


def request_of(user: str = "ann", model: str = "gpt-4", text: str = "") -> LLMRequest:
    request = LLMRequest(model=model, messages=[Message(role="user", content=[TextPart(text=text)])])
    request.metadata.user_id = user
    return request


async def asked(plugin: LoadedPlugin, request: LLMRequest | None = None, **context: Any) -> PipelineRun:
    """A run that was let in. Raises the refusal."""
    run = run_of(plugin, request=request or request_of(), **{"adapter": "openai-chat", **context})
    await run.before_model()
    return run


def over(run: PipelineRun, tokens: int | None = None) -> None:
    """The request has ended well; the model told what it took, or nothing."""
    run.context.status, run.context.served_model = 200, "m"
    run.context.usage = Usage(total_tokens=tokens) if tokens is not None else None
    run.close()


@asynccontextmanager
async def beside(*plugins: LoadedPlugin) -> AsyncIterator[None]:
    """Plugins as they live in a gateway: with what they do beside requests, closed in the end."""
    async with trio.open_nursery() as nursery:
        for plugin in plugins:
            nursery.start_soon(plugin.plugin.run_beside)
        try:
            yield
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 10):
                for plugin in plugins:
                    await plugin.plugin.aclose()


def nothing_owed(plugin: LoadedPlugin) -> bool:
    told: bool = plugin.plugin._shared.all_told  # type: ignore[attr-defined]
    return told


async def refused(plugin: LoadedPlugin, request: LLMRequest | None = None, **context: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await asked(plugin, request, **context)
    return caught.value


async def test_each_user_and_model_has_its_own(autojump_clock: MockClock) -> None:
    plugin = await configured(
        RateLimit, limits=[{"name": "each", "by": ["user", "model"], "requests": 2}, {"name": "all", "requests": 5}]
    )
    for _ in range(2):
        await asked(plugin)
    error = await refused(plugin)
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert error.message == "rate limit 'each' reached: 2 requests per minute; try again in 30 s"
    assert error.retry_after == pytest.approx(30)
    await asked(plugin, request_of("bob"))
    await asked(plugin, request_of(model="o3"))
    await asked(plugin, request_of("cid"))
    assert "'all'" in (await refused(plugin, request_of("dan"))).message
    await trio.sleep(30)
    await asked(plugin)


async def test_only_the_models_that_are_named_count() -> None:
    plugin = await configured(RateLimit, limits=[{"name": "x", "requests": 1, "models": ["gpt-", "/mini$/"]}])
    await asked(plugin)
    assert (await refused(plugin, request_of(model="o4-mini"))).status == 429
    await asked(plugin, request_of(model="claude"))


async def test_requests_at_the_same_time_and_their_end_however_it_comes() -> None:
    plugin = await configured(RateLimit, limits=[{"name": "x", "concurrency": 2}])
    first, second = await asked(plugin), await asked(plugin)
    error = await refused(plugin)
    assert error.message.startswith("rate limit 'x' reached: 2 requests at the same time")
    first.close()
    third = await asked(plugin)
    assert (await refused(plugin)).status == 429
    second.close()
    third.close()
    await asked(plugin)


async def test_a_request_may_take_longer_than_any_lease(autojump_clock: MockClock) -> None:
    plugin = await configured(RateLimit, limits=[{"name": "x", "concurrency": 1}], leaseTimeout=1000)
    run = await asked(plugin)
    await trio.sleep(50_000)
    assert (await refused(plugin)).status == 429
    over(run)
    await asked(plugin)


async def test_tokens_are_paid_for_when_they_are_known(autojump_clock: MockClock) -> None:
    plugin = await configured(RateLimit, limits=[{"name": "x", "tokens": 100}])
    run = await asked(plugin, request_of(text="x" * 80))
    assert run.context.response_headers["x-ratelimit-remaining-tokens"] == "80", "the input is taken at once"
    over(run, 150)
    error = await refused(plugin)
    assert error.message.startswith("rate limit 'x' reached: 100 tokens per minute")
    assert error.retry_after == pytest.approx(30), "50 below zero, 100 a minute"
    await trio.sleep(31)
    run = await asked(plugin)
    over(run, None)
    huge = await asked(plugin, request_of(text="x"))
    over(huge, 1)
    await trio.sleep(60)
    await asked(plugin, request_of(text="x" * 4000))


async def test_what_is_left_is_told_with_every_answer() -> None:
    plugin = await configured(
        RateLimit, limits=[{"name": "a", "requests": 50}, {"name": "b", "requests": 3, "per": "hour"}]
    )
    run = await asked(plugin)
    headers = run.context.response_headers
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert headers["x-ratelimit-remaining-requests"] == "2"
    assert headers["x-ratelimit-reset-requests"] in ("20m0s", "19m60s")
    run = await asked(plugin, adapter="anthropic-messages")
    assert run.context.response_headers["anthropic-ratelimit-requests-remaining"] == "1"
    await asked(plugin)
    run = run_of(plugin, request=request_of(), adapter="openai-chat")
    with pytest.raises(GatewayError):
        await run.before_model()
    assert run.context.response_headers["x-ratelimit-remaining-requests"] == "0"


def test_each_api_s_words() -> None:
    left = {"requests": Left(10, 3, 125.0)}
    assert headers_of("openai-responses", left, 0.0) == {  # type: ignore[arg-type]
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-reset-requests": "2m5s",
    }
    assert headers_of("anthropic-messages", left, 1_800_000_000.0) == {  # type: ignore[arg-type]
        "anthropic-ratelimit-requests-limit": "10",
        "anthropic-ratelimit-requests-remaining": "3",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:02:05Z",
    }
    assert headers_of("gemini-generate", left, 0.0) == {}  # type: ignore[arg-type]
    waits = {0.35: "350ms", 6: "6s", 360: "6m0s", 3661: "1h1m1s"}
    for seconds, words in waits.items():
        made = headers_of("openai-chat", {"tokens": Left(1, 0, seconds)}, 0.0)
        assert made["x-ratelimit-reset-tokens"] == words


@needs_redis
async def test_through_redis_slots_and_tokens_come_back(redis_url: str) -> None:
    redis = {"url": redis_url, "prefix": f"test-{uuid.uuid4().hex}"}
    plugin = await configured(
        RateLimit, limits=[{"name": "x", "concurrency": 1}, {"name": "t", "tokens": 100, "per": "day"}], redis=redis
    )
    other = await configured(
        RateLimit, limits=[{"name": "x", "concurrency": 1}, {"name": "t", "tokens": 100, "per": "day"}], redis=redis
    )
    async with beside(plugin, other):
        run = await asked(plugin)
        assert "'x'" in (await refused(other)).message
        over(run, 150)
        await wait_until(lambda: nothing_owed(plugin), seconds=30)
        assert "'t'" in (await refused(other)).message


@pytest.mark.parametrize(("on_error", "admitted", "status"), [("local", 2, 429), ("open", 5, None), ("closed", 0, 503)])
async def test_redis_gone(tmp_path: Path, on_error: str, admitted: int, status: int | None) -> None:
    plugin = await configured(
        RateLimit,
        limits=[{"name": "x", "requests": 2}],
        redis={"url": f"unix://{tmp_path}/nobody.sock", "timeout": 200},
        onStoreError=on_error,
    )
    let_in, statuses = 0, set()
    for _ in range(5):
        try:
            over(await asked(plugin), 10)
            let_in += 1
        except GatewayError as error:
            statuses.add(error.status)
    assert let_in == admitted
    assert statuses == ({status} if status is not None else set())
    await plugin.plugin.aclose()


@needs_redis
async def test_redis_that_comes_back_is_asked_again(redis_url: str, tmp_path: Path) -> None:
    link = tmp_path / "redis.sock"
    plugin = await configured(
        RateLimit,
        limits=[{"name": "x", "requests": 1, "per": "day"}],
        redis={"url": f"unix://{link}", "prefix": f"test-{uuid.uuid4().hex}"},
        onStoreError="closed",
    )
    assert (await refused(plugin)).status == 503
    link.symlink_to(redis_url.removeprefix("unix://"))
    assert (await refused(plugin)).status == 503, "not before the second is over"
    await trio.sleep(1.05)
    await asked(plugin)
    assert (await refused(plugin)).status == 429
    await plugin.plugin.aclose()


@needs_redis
async def test_a_request_that_is_cancelled_while_redis_is_asked_holds_nothing(redis_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex}"
    plugin = await configured(
        RateLimit, limits=[{"name": "x", "concurrency": 1}], redis={"url": redis_url, "prefix": prefix}
    )
    run = run_of(plugin, request=request_of())
    with trio.CancelScope() as scope:
        scope.cancel()
        await run.before_model()
    over(run)
    over(await asked(plugin))
    await plugin.plugin.aclose()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"limits": [{"name": "a", "requests": 1}, {"name": "a", "tokens": 1}]}, "each name once"),
        ({"limits": [{"name": "a"}]}, "limit 'a': give 'requests', 'tokens' or 'concurrency'"),
        ({"limits": [{"name": "a", "requests": 1, "models": ["/(/"]}]}, "limit 'a': '/(/' is no regular expression"),
    ],
)
def test_what_is_wrong_is_told(config: dict[str, Any], words: str) -> None:
    filled, problems = check_config(SCHEMA, config)
    assert not problems
    assert words in str(RateLimit().validate_config(filled))
