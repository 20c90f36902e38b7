"""The plugin: from a request and its models' health to a `RoutePlan`. Imports the SDK and `proxy.routing`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from random import Random

import msgspec
import trio

from providers.extension import Config, KeyPath, extension
from providers.retry_budget import RetryBudget
from proxy.plugins.base import Plugin
from proxy.plugins.builtin.model_router.settings import SCHEMA, Choice, Settings, Target
from proxy.plugins.builtin.model_router.strategies import ORDERS, Knowledge
from proxy.plugins.conditions import CompiledConditions, Conditions
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult
from proxy.routing.health import BreakerPolicy
from proxy.routing.plan import Candidate, RoutePlan


class _Way:
    """A choice with everything filled in that it leaves to the plugin's own."""

    def __init__(self, choice: Choice, base: Choice) -> None:
        named = choice if choice.targets or choice.model is not None else base
        self.targets: tuple[Target, ...] = named.targets or (
            (Target(model=named.model),) if named.model is not None else ()
        )
        """None: the model that the client named."""
        strategy = choice.strategy or base.strategy
        weighted = any(target.weight != 1.0 for target in self.targets)
        strategy = strategy or ("weighted" if weighted else "order")
        self.order = ORDERS[strategy]
        self.is_ordered = strategy == "order"
        self.fallbacks = (choice.fallbacks if choice.fallbacks is not None else base.fallbacks) or ()
        self.hedge_after = _seconds(choice.hedge_after or base.hedge_after)
        self.deadline = _seconds(choice.deadline or base.deadline)
        kinds = choice.on_errors or base.on_errors
        self.on_kinds = frozenset(kinds) if kinds is not None else None

    def choice(self, targets: Sequence[Target]) -> tuple[tuple[str, ...], ...]:
        """What is the same for all requests that go this way: see `RoutePlan.choice`. Which of several targets comes
        first is part of it only where the file says so."""
        names = [target.model for target in targets]
        return tuple(names if self.is_ordered else sorted(names)), tuple(self.fallbacks)


@extension(
    name="model-router",
    version="1.0.0",
    description="Chooses the models that answer: fallbacks, weights, load, latency, stickiness, hedging",
    configuration_schema=SCHEMA,
)
class ModelRouter(Plugin):
    """Runs in `before_model`. A model whose breaker is open is asked last, never left out: when all are, the first of
    them is still better than an error of our own making."""

    def __init__(self) -> None:
        self._random = Random()  # noqa: S311 - spreads load, guards nothing

    def validate_config(self, config: Config) -> bool | str:
        for choice in (config, *config.get("rules", ())):
            if "model" in choice and "targets" in choice:
                return "give either 'model' or 'targets', not both"
            names = [target["model"] for target in choice.get("targets", ())]
            if len(set(names)) < len(names):
                return "targets: a model is named twice; give it a weight instead"
        for rule in config.get("rules", ()):
            try:
                CompiledConditions(msgspec.convert(rule, _When).when)
            except ValueError as error:
                return f"rules: {error}"
        return True

    def models_named(self, config: Config) -> Iterable[tuple[KeyPath, str]]:
        yield from _models_of(config, ())
        for place, rule in enumerate(config.get("rules", ())):
            yield from _models_of(rule, ("rules", place))

    async def configure(self, config: Config) -> None:
        settings = msgspec.convert(config, Settings)
        self._policy = BreakerPolicy(failures=settings.failure_threshold, cooldown=settings.cooldown / 1000)
        budget = settings.retry_budget
        self._budget = RetryBudget(budget.share, per_second=budget.per_second)
        self._otherwise = _Way(settings, settings)
        self._rules = [(CompiledConditions(rule.when), _Way(rule, settings)) for rule in settings.rules]

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        way = next((way for conditions, way in self._rules if conditions.hold(context)), self._otherwise)
        asked = context.target_model or context.request.model
        targets = way.targets or (Target(model=asked),)
        knowledge = Knowledge(health=context.health, random=self._random, key=_who(context))
        order = list(dict.fromkeys((*way.order(targets, knowledge), *way.fallbacks)))
        plan = RoutePlan(
            candidates=tuple(Candidate(model) for model in self._healthy_first(order, context)),
            hedge_after=way.hedge_after,
            on_kinds=way.on_kinds,
            deadline=way.deadline,
            choice=way.choice(targets),
            budget=self._budget,
        )
        return PluginResult(context=ContextUpdate(routes=plan))

    def _healthy_first(self, models: Sequence[str], context: PluginContext) -> list[str]:
        """Models whose breaker is open go behind the others, the one that opens soonest first."""
        now = trio.current_time()
        policy = self._policy
        well: list[str] = []
        ill: list[tuple[float, str]] = []
        for model in models:
            health = context.health(model)
            if health is not None and health.is_open(policy, now):
                ill.append((health.closes_at(policy), model))
            else:
                well.append(model)
        chosen = well + [model for _, model in sorted(ill, key=lambda pair: pair[0])]
        first = context.health(chosen[0])
        if first is not None and first.probe(policy, now):
            context.defer(partial(first.give_back, now))
        return chosen


class _When(msgspec.Struct):
    when: Conditions


def _models_of(choice: Config, path: KeyPath) -> Iterable[tuple[KeyPath, str]]:
    if "model" in choice:
        yield (*path, "model"), choice["model"]
    for place, target in enumerate(choice.get("targets", ())):
        yield (*path, "targets", place, "model"), target["model"]
    for place, model in enumerate(choice.get("fallbacks", ())):
        yield (*path, "fallbacks", place), model


def _who(context: PluginContext) -> str:
    """Who asks, as well as it is known."""
    session = context.request.metadata.session_id
    return context.user_id or context.key_id or session or context.client_ip or ""


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
