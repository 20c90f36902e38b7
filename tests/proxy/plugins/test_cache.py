"""`cache`: which requests are the same, what is kept, and that a kept answer says what the first one said."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from providers.model import (
    Accumulator,
    AssistantMessage,
    Choice,
    Citation,
    LLMRequest,
    LLMResponse,
    Message,
    OpaquePart,
    Part,
    RawBody,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    Usage,
    finish_chunk,
    text_chunk,
    text_response,
)
from proxy.plugins.builtin.cache.keys import key_of
from proxy.plugins.builtin.cache.plugin import Cache
from proxy.plugins.builtin.cache.replay import chunks_of
from proxy.plugins.builtin.cache.store import MemoryStore
from proxy.plugins.builtin.model_router.plugin import ModelRouter
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import PipelineRun, PluginAnswer
from proxy.routing import Candidate, RoutePlan
from tests.proxy.plugins.runs import configured, run_of, streamed
from tests.support.redis_server import needs_redis, redis_server

ANSWER = text_response("the answer", model="m", usage=Usage(prompt_tokens=3, completion_tokens=2))


def asking(text: str = "hello", **fields: Any) -> LLMRequest:
    return LLMRequest(model="m", messages=[Message(role="user", content=[TextPart(text=text)])], **fields)


async def asked(
    plugin: LoadedPlugin, request: LLMRequest | None = None, **context: Any
) -> tuple[PipelineRun, PluginAnswer | None]:
    run = run_of(plugin, request=request or asking(), **context)
    return run, await run.before_model()


async def answered(run: PipelineRun, response: LLMResponse = ANSWER, status: int = 200) -> None:
    """The model gives a whole answer, and the request is over."""
    run.context.response = msgspec.structs.replace(response)
    await run.after_model()
    run.context.status = status
    run.close()
    await run.detached()


async def answered_streaming(run: PipelineRun, *chunks: LLMResponse, status: int = 200) -> None:
    await streamed(run, *chunks)
    run.context.status = status
    run.close()
    await run.detached()


def text_of(answer: PluginAnswer | None) -> str:
    assert answer is not None
    message = answer.whole().choices[0].message
    assert message is not None
    return message.text


# -- hits and misses ---------------------------------------------------------------------------------------------------


async def test_the_same_request_again_is_not_asked_again() -> None:
    plugin = await configured(Cache)
    run, answer = await asked(plugin)
    assert answer is None
    assert run.context.response_headers["x-triway-cache"] == "miss"
    await answered(run)
    run, answer = await asked(plugin)
    assert text_of(answer) == "the answer"
    assert run.context.response_headers["x-triway-cache"] == "hit"
    assert int(run.context.response_headers["age"]) <= 1
    _, answer = await asked(plugin, asking("another"))
    assert answer is None


async def test_whole_and_streamed_share_an_answer() -> None:
    plugin = await configured(Cache)
    run, _ = await asked(plugin, asking(stream=True))
    await answered_streaming(
        run,
        text_chunk("the "),
        text_chunk("answer"),
        finish_chunk("stop"),
        LLMResponse(usage=Usage(prompt_tokens=3, completion_tokens=2)),
    )
    _, answer = await asked(plugin)
    assert text_of(answer) == "the answer"
    assert answer is not None
    assert answer.whole().usage == Usage(prompt_tokens=3, completion_tokens=2)
    _, answer = await asked(plugin, asking(stream=True))
    assert answer is not None
    assert answer.chunks is not None
    assert len(answer.chunks) > 1, "a stream is a stream again"
    assert text_of(answer) == "the answer"


@pytest.mark.parametrize("status", [499, 500, 429])
async def test_an_answer_that_did_not_end_well_is_not_given_again(status: int) -> None:
    plugin = await configured(Cache)
    run, _ = await asked(plugin)
    await answered(run, status=status)
    assert (await asked(plugin))[1] is None
    run, _ = await asked(plugin, asking(stream=True))
    await answered_streaming(run, text_chunk("half"), status=status)
    assert (await asked(plugin))[1] is None


@pytest.mark.parametrize(
    ("headers", "looked_up", "kept"),
    [
        ({b"x-triway-cache": b"no-cache"}, False, True),
        ({b"x-triway-cache": b"no-store"}, True, False),
        ({b"x-triway-cache": b"off"}, False, False),
        ({b"cache-control": b"max-age=0, No-Cache"}, False, True),
        ({b"cache-control": b"no-store"}, True, False),
        ({b"x-triway-cache": b"no-cache", b"cache-control": b"no-store"}, False, False),
    ],
)
async def test_a_request_may_opt_out(headers: dict[bytes, bytes], looked_up: bool, kept: bool) -> None:
    plugin = await configured(Cache)
    run, _ = await asked(plugin)
    await answered(run)
    assert ((await asked(plugin, headers=headers))[1] is not None) == looked_up
    run, _ = await asked(plugin, asking("other"), headers=headers)
    await answered(run)
    assert ((await asked(plugin, asking("other")))[1] is not None) == kept


@pytest.mark.parametrize(("by", "shared"), [([], True), (["user"], False), (["key"], False)])
async def test_whose_answers_are_kept_apart(by: list[str], shared: bool) -> None:
    plugin = await configured(Cache, by=by)
    one, two = asking(), asking()
    one.metadata.user_id, two.metadata.user_id = "ann", "bob"
    run = run_of(plugin, request=one)
    run.context.key_id = "a"
    await run.before_model()
    await answered(run)
    other = run_of(plugin, request=two)
    other.context.key_id = "b"
    assert (await other.before_model() is not None) == shared
    project = run_of(plugin, request=asking(), project="other")
    assert await project.before_model() is None


async def test_answers_grow_old(autojump_clock: MockClock) -> None:
    plugin = await configured(Cache, ttl=60_000)
    run, _ = await asked(plugin)
    await answered(run)
    await trio.sleep(59)
    assert (await asked(plugin))[1] is not None
    await trio.sleep(2)
    assert (await asked(plugin))[1] is None


async def test_memory_is_bounded_and_what_is_used_stays() -> None:
    store = MemoryStore(ttl=60, max_bytes=1000)
    await store.put("kept", b"x" * 300)
    for number in range(50):
        await store.put(str(number), b"x" * 300)
        assert await store.get("kept") is not None
        assert store.size <= 1000
    assert await store.get("0") is None
    await store.put("kept", b"y")
    assert store.size == 601


async def test_answers_that_are_too_large_are_not_kept() -> None:
    plugin = await configured(Cache, maxEntryBytes=1024)
    run, _ = await asked(plugin)
    await answered(run, text_response("x" * 2000))
    assert (await asked(plugin))[1] is None


async def test_token_counts_are_none_of_its_business() -> None:
    plugin = await configured(Cache)
    run, _ = await asked(plugin)
    await answered(run)
    assert (await asked(plugin, operation="count_tokens"))[1] is None


# -- routes ------------------------------------------------------------------------------------------------------------


async def routed(plugin: LoadedPlugin, router: LoadedPlugin, **context: Any) -> tuple[PipelineRun, PluginAnswer | None]:
    run = run_of(router, plugin, request=asking(), **context)
    return run, await run.before_model()


VIP = {b"x-tier": b"vip"}


@pytest.mark.parametrize(
    "other",
    [
        {"model": "b"},
        {"model": "b", "fallbacks": ["a"]},
        {"targets": [{"model": "b"}, {"model": "a"}], "strategy": "order"},
    ],
)
async def test_an_answer_goes_to_those_only_whose_models_may_give_it(other: dict[str, Any]) -> None:
    """Also where the same models are asked, in another order."""
    rule = {"when": {"headers": {"x-tier": "vip"}}, "model": "a", "fallbacks": ["b"]}
    plugin, router = await configured(Cache), await configured(ModelRouter, rules=[rule], **other)
    run, answer = await routed(plugin, router)
    assert answer is None
    await answered(run, text_response("from b"))
    run, answer = await routed(plugin, router, headers=VIP)
    assert answer is None
    await answered(run, text_response("from a"))
    assert text_of((await routed(plugin, router))[1]) == "from b"
    assert text_of((await routed(plugin, router, headers=VIP))[1]) == "from a"


@pytest.mark.parametrize("strategy", ["weighted", "least-busy", "lowest-latency", "sticky"])
async def test_how_load_is_spread_does_not_spread_the_answers(strategy: str) -> None:
    plugin = await configured(Cache)
    router = await configured(
        ModelRouter, targets=[{"model": name} for name in "abcd"], strategy=strategy, fallbacks=["e"]
    )
    firsts = set()
    run, _ = await routed(plugin, router)
    await answered(run)
    for number in range(40):
        run, answer = await routed(plugin, router, client_ip=f"10.0.0.{number}")
        assert answer is not None
        assert run.context.routes is not None
        firsts.add(run.context.routes.candidates[0].model)
    assert len(firsts) > 1 or strategy in ("least-busy", "lowest-latency"), "nothing was spread"


async def test_routes_of_other_plugins_count_as_they_stand() -> None:
    plugin = await configured(Cache)
    plans = [RoutePlan(candidates=tuple(map(Candidate, names))) for names in ("ab", "ba", "ab")]
    outcomes = []
    for plan in plans:
        run = run_of(plugin, request=asking())
        run.context.routes = plan
        answer = await run.before_model()
        outcomes.append(answer is not None)
        if answer is None:
            await answered(run)
    assert outcomes == [False, False, True]


# -- several attempts --------------------------------------------------------------------------------------------------


async def test_what_an_attempt_that_was_thrown_away_said_is_not_kept() -> None:
    plugin = await configured(Cache)
    run, _ = await asked(plugin, asking(stream=True))
    await streamed(run, text_chunk("Hello"), finish_chunk("stop"))
    run.again()
    await answered_streaming(run, text_chunk("Hello"), finish_chunk("stop"))
    assert text_of((await asked(plugin))[1]) == "Hello"


async def test_what_goes_on_from_earlier_words_is_the_answer_to_another_request() -> None:
    plugin = await configured(Cache)
    run, _ = await asked(plugin, asking(stream=True))
    await streamed(run, text_chunk("Let me see. "), finish_chunk("tool_calls"))
    for _ in range(2):
        run.again()
        run.context.continued = True
        await streamed(run, text_chunk("It is noon."), finish_chunk("stop"))
    await answered_streaming(run)
    assert (await asked(plugin))[1] is None


async def test_an_attempt_of_which_nothing_came_by_does_not_matter() -> None:
    """A tool loop behind the cache, which holds back the calls that it answers."""
    plugin = await configured(Cache)
    run, _ = await asked(plugin, asking(stream=True))
    run.again()
    run.context.continued = True
    await answered_streaming(run, text_chunk("It is noon."), finish_chunk("stop"))
    assert text_of((await asked(plugin))[1]) == "It is noon."


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_not_kept_if_the_model_was_asked_again_since(stream: bool) -> None:
    """And another plugin has answered what came then."""
    plugin = await configured(Cache)
    run, _ = await asked(plugin, asking(stream=stream))
    if stream:
        await streamed(run, text_chunk("bad"), finish_chunk("stop"))
    else:
        run.context.response = text_response("bad")
        await run.after_model()
    run.again()
    run.context.status = 200
    run.close()
    await run.detached()
    assert (await asked(plugin))[1] is None


async def test_more_than_an_entry_holds_is_not_even_gathered() -> None:
    plugin = await configured(Cache, maxEntryBytes=1024)
    run, _ = await asked(plugin, asking(stream=True))
    await streamed(run, *[text_chunk("x" * 100) for _ in range(10)])
    heard = run._data[id(plugin)]["heard"]
    assert heard.accumulator is not None
    run.again()
    await answered_streaming(run, *[text_chunk("x" * 100) for _ in range(11)], finish_chunk("stop"))
    assert run._data[id(plugin)]["heard"].accumulator is None
    assert (await asked(plugin))[1] is None


# -- keys --------------------------------------------------------------------------------------------------------------


def test_what_leaves_the_answer_alone_leaves_the_key_alone() -> None:
    plain = key_of(asking(), ["p"])
    dressed = asking(stream=True, include_usage=True, hints={"store": msgspec.Raw(b"true")}, raw=RawBody("x", b"1"))
    dressed.metadata.request_id = "req_1"
    dressed.metadata.headers = {"anthropic-beta": "x"}
    assert key_of(dressed, ["p"]) == plain
    spaced = asking(extra={"x": msgspec.Raw(b'{ "b": 1, "a": 2 }')})
    tight = asking(extra={"x": msgspec.Raw(b'{"a":2,"b":1}')})
    assert key_of(spaced, ["p"]) == key_of(tight, ["p"])


@pytest.mark.parametrize(
    "changed",
    [
        asking("hello "),
        asking(temperature=0.5),
        asking(max_tokens=5),
        asking(extra={"x": msgspec.Raw(b"1")}),
        msgspec.structs.replace(asking(), model="other"),
        LLMRequest(model="m", messages=[Message(role="system", content=[TextPart(text="hello")])]),
    ],
)
def test_what_may_change_the_answer_changes_the_key(changed: LLMRequest) -> None:
    assert key_of(changed, ["p"]) != key_of(asking(), ["p"])


def test_a_scope_s_parts_are_not_run_together() -> None:
    assert key_of(asking(), ["a", "b"]) != key_of(asking(), ["ab", ""])


# -- replaying ---------------------------------------------------------------------------------------------------------

TEXT = st.text(max_size=700)
PARTS = st.one_of(
    st.builds(
        TextPart, text=TEXT, citations=st.lists(st.builds(Citation, kind=st.just("url_citation"), url=TEXT), max_size=2)
    ),
    st.builds(ReasoningPart, text=TEXT, signature=st.text(max_size=5), id=st.just("r")),
    st.builds(ReasoningPart, redacted=st.text(min_size=1, max_size=5)),
    st.builds(RefusalPart, text=TEXT),
    st.builds(ToolCallPart, id=st.text(min_size=1, max_size=5), name=st.text(min_size=1, max_size=5), arguments=TEXT),
    st.builds(OpaquePart, kind=st.just("server_tool_use"), api=st.just("x"), raw=st.just(msgspec.Raw(b'{"a":1}'))),
)


@given(st.lists(st.lists(PARTS, max_size=4), min_size=1, max_size=2))
def test_a_replayed_stream_says_what_the_answer_says(choices: list[list[Part]]) -> None:
    for parts in choices:
        for index, part in enumerate(parts):
            part.index = index
    response = LLMResponse(
        object="chat.completion",
        id="x",
        model="m",
        usage=Usage(prompt_tokens=1, completion_tokens=2),
        choices=[
            Choice(index=index, message=AssistantMessage(content=parts), finish_reason="stop")
            for index, parts in enumerate(choices)
        ],
    )
    accumulator = Accumulator()
    chunks = chunks_of(response)
    for chunk in chunks:
        accumulator.add(chunk)
    assert msgspec.json.encode(accumulator.response().choices) == msgspec.json.encode(response.choices)
    assert accumulator.usage == response.usage
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices if choice.delta is not None]
    assert all(len(part.text) <= 200 for delta in deltas for part in delta.content if isinstance(part, TextPart))


# -- Redis -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@needs_redis
async def test_in_redis_another_worker_finds_it(redis_url: str) -> None:
    redis = {"url": redis_url, "prefix": f"test-{uuid.uuid4().hex}"}
    one, two = await configured(Cache, redis=redis), await configured(Cache, redis=redis)
    run, _ = await asked(one)
    await answered(run)
    assert text_of((await asked(two))[1]) == "the answer"
    await one.plugin.aclose()
    await two.plugin.aclose()


async def test_without_redis_models_are_asked(tmp_path: Path) -> None:
    plugin = await configured(Cache, redis={"url": f"unix://{tmp_path}/nobody.sock", "timeout": 200})
    for _ in range(2):
        run, answer = await asked(plugin)
        assert answer is None
        await answered(run)
    await plugin.plugin.aclose()
