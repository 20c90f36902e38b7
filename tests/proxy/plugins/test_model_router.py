"""`model-router`: from a configuration, a request and the models' health to the plan that is gone through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from providers import ErrorKind, LLMRequest, ProviderConnectionError
from providers.extension import check_config
from proxy.config import ConfigError, load_config
from proxy.plugins import PluginContext
from proxy.plugins.builtin.model_router.plugin import ModelRouter
from proxy.plugins.builtin.model_router.settings import SCHEMA
from proxy.plugins.pipeline import Pipeline, PipelineRun
from proxy.routing import RoutePlan
from proxy.routing.health import ModelHealth

DOWN = ProviderConnectionError("down")


async def router(**config: Any) -> ModelRouter:
    filled, problems = check_config(SCHEMA, config)
    assert not problems
    plugin = ModelRouter()
    assert plugin.validate_config(filled) is True
    await plugin.configure(filled)
    plugin._random = Random(7)
    return plugin


async def plan(plugin: ModelRouter, health: Mapping[str, ModelHealth] = {}, **context: Any) -> RoutePlan:
    given = {"request": LLMRequest(model="asked"), **context}
    result = await plugin.before_model(PluginContext(health=health.get, **given))
    assert result is not None
    assert result.context is not None
    assert isinstance(result.context.routes, RoutePlan)
    return result.context.routes


async def order(plugin: ModelRouter, health: Mapping[str, ModelHealth] = {}, **context: Any) -> list[str]:
    return [candidate.model for candidate in (await plan(plugin, health, **context)).candidates]


def user(name: str) -> LLMRequest:
    request = LLMRequest(model="asked")
    request.metadata.user_id = name
    return request


async def test_model_and_fallbacks_in_order_each_once() -> None:
    assert await order(await router(model="a", fallbacks=["b", "a", "c", "b"])) == ["a", "b", "c"]
    assert await order(await router(fallbacks=["b"])) == ["asked", "b"], "without a model the client's own comes first"
    assert await order(await router()) == ["asked"]


async def test_figures_reach_the_plan_in_seconds() -> None:
    made = await plan(await router(model="a", hedgeAfter=250, deadline=4000, onErrors=["overloaded"]))
    assert (made.hedge_after, made.deadline, made.on_kinds) == (0.25, 4.0, frozenset({ErrorKind.OVERLOADED}))
    assert made.budget is not None


async def test_weights_are_shares() -> None:
    plugin = await router(targets=[{"model": "a", "weight": 3}, {"model": "b"}, {"model": "c", "weight": 0.5}])
    firsts = Counter([(await order(plugin))[0] for _ in range(4500)])
    assert firsts["a"] == pytest.approx(3000, rel=0.1)
    assert firsts["b"] == pytest.approx(1000, rel=0.15)
    assert firsts["c"] == pytest.approx(500, rel=0.2)
    assert sorted(await order(plugin)) == ["a", "b", "c"], "those not chosen are asked when the first fails"


async def test_the_least_busy_for_its_weight() -> None:
    health = {"a": ModelHealth(), "b": ModelHealth()}
    plugin = await router(targets=[{"model": "a"}, {"model": "b", "weight": 2}], strategy="least-busy")
    assert (await order(plugin, health))[0] == "b"
    health["b"].in_flight = 2
    assert (await order(plugin, health))[0] == "a"
    health["a"].in_flight = 1
    assert (await order(plugin, health))[0] == "b"
    even = await router(targets=[{"model": "a"}, {"model": "b"}], strategy="least-busy")
    firsts = {(await order(even))[0] for _ in range(50)}
    assert firsts == {"a", "b"}, "among equals chance decides"


async def test_the_quickest_of_late_and_the_unmeasured_first() -> None:
    health = {name: ModelHealth() for name in "abc"}
    health["a"].measured(0.9)
    health["b"].measured(0.2)
    plugin = await router(targets=[{"model": name} for name in "abc"], strategy="lowest-latency")
    assert await order(plugin, health) == ["c", "b", "a"]


async def test_a_user_stays_where_it_is_when_others_come_and_go() -> None:
    users = [f"user-{number}" for number in range(300)]
    three = await router(targets=[{"model": name} for name in "abc"], strategy="sticky")
    two = await router(targets=[{"model": name} for name in "ac"], strategy="sticky")
    before = {name: (await order(three, request=user(name)))[0] for name in users}
    after = {name: (await order(two, request=user(name)))[0] for name in users}
    assert set(Counter(before.values())) == {"a", "b", "c"}
    assert all(after[name] == before[name] for name in users if before[name] != "b")
    assert before == {name: (await order(three, request=user(name)))[0] for name in users}
    heavy = await router(targets=[{"model": "a", "weight": 9}, {"model": "b"}], strategy="sticky")
    firsts = Counter([(await order(heavy, request=user(name)))[0] for name in users])
    assert firsts["a"] > 230


async def test_the_first_rule_that_applies_decides_and_inherits_the_rest() -> None:
    plugin = await router(
        model="usual",
        fallbacks=["spare"],
        hedgeAfter=100,
        rules=[
            {"when": {"userIds": ["vip-"]}, "model": "best"},
            {"when": {"headers": {"x-tier": "/^free$/"}}, "targets": [{"model": "cheap"}], "fallbacks": []},
            {"when": {"models": ["asked"]}, "hedgeAfter": 900},
        ],
    )
    assert await order(plugin, request=user("vip-1")) == ["best", "spare"]
    assert await order(plugin, headers={b"x-tier": b"free"}) == ["cheap"]
    made = await plan(plugin)
    assert [candidate.model for candidate in made.candidates] == ["usual", "spare"]
    assert made.hedge_after == 0.9
    other = await plan(plugin, request=LLMRequest(model="other"))
    assert other.hedge_after == 0.1


async def test_a_model_that_keeps_failing_is_asked_last_until_a_probe_succeeds(autojump_clock: MockClock) -> None:
    health = {"a": ModelHealth(), "b": ModelHealth()}
    plugin = await router(model="a", fallbacks=["b"], failureThreshold=2, cooldown=10_000)
    for _ in range(2):
        assert await order(plugin, health) == ["a", "b"]
        health["a"].failed(DOWN, trio.current_time())
    assert await order(plugin, health) == ["b", "a"]
    await trio.sleep(10)
    assert await order(plugin, health) == ["a", "b"], "the cooldown is over: one may try"
    assert await order(plugin, health) == ["b", "a"], "while it does, the others do not"
    health["a"].succeeded()
    assert await order(plugin, health) == ["a", "b"]


async def test_a_request_that_proves_nothing_leaves_the_probe_to_the_next(autojump_clock: MockClock) -> None:
    """Cancelled, answered by another plugin, wrong in itself, or nothing that a model is asked for."""
    health = {"a": ModelHealth(), "b": ModelHealth()}
    plugin = await router(model="a", fallbacks=["b"], failureThreshold=1, cooldown=10_000)
    health["a"].failed(DOWN, trio.current_time())
    await trio.sleep(10)
    for _ in range(3):
        context = PluginContext(request=LLMRequest(model="asked"), health=health.get)
        result = await plugin.before_model(context)
        assert result is not None
        assert result.context is not None
        assert isinstance(result.context.routes, RoutePlan)
        assert result.context.routes.candidates[0].model == "a"
        assert await order(plugin, health) == ["b", "a"], "while it is under way"
        PipelineRun(Pipeline(()), context).close()
        await trio.sleep(0.1)


async def test_when_all_keep_failing_the_one_that_recovers_soonest_is_asked(autojump_clock: MockClock) -> None:
    health = {"a": ModelHealth(), "b": ModelHealth()}
    plugin = await router(model="a", fallbacks=["b"], failureThreshold=1)
    health["b"].failed(DOWN, trio.current_time())
    await trio.sleep(1)
    health["a"].failed(DOWN, trio.current_time())
    assert await order(plugin, health) == ["b", "a"]


@pytest.mark.parametrize(
    ("config", "line", "words"),
    [
        ("{model: a, targets: [{model: b}]}", 5, "give either 'model' or 'targets', not both"),
        ("{targets: [{model: a}, {model: a}]}", 5, "a model is named twice"),
        ("{rules: [{when: {models: ['/(/']}, model: a}]}", 5, "no regular expression"),
        ("{model: nope}", 5, "config.model: there is no model 'nope' here"),
        ("{targets: [{model: a}, {model: nope}]}", 5, "config.targets[1].model: there is no model 'nope' here"),
        ("{fallbacks: [b-1, nope]}", 5, "config.fallbacks[1]: there is no model 'nope' here"),
        ("{rules: [{when: {models: [x]}, fallbacks: [nope]}]}", 5, "config.rules[0].fallbacks[0]: there is no model"),
        ("{strategy: best}", 5, "config.strategy: expected one of"),
        ("{targets: [{model: a, weight: 0}]}", 5, "config.targets[0].weight"),
        ("{onErrors: [sunshine]}", 5, "config.onErrors[0]: expected one of"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, config: str, line: int, words: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "models:\n"
        "  - {name: a, type: replay, isDefault: true, config: {api: openai-chat}}\n"
        "  - {name: b-*, type: replay, config: {api: openai-chat}}\n"
        "plugins:\n"
        f"  - {{name: model-router, config: {config}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert f"gateway.yaml:{line}:" in str(caught.value)
    assert words in str(caught.value)
