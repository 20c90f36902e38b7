"""Going through a plan: who is asked when, who wins, what becomes of the others. On a clock of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from providers import (
    BadResponseError,
    ErrorKind,
    GatewayError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RequestError,
)
from providers.retry_budget import RetryBudget
from proxy.routing import Candidate, RoutePlan
from proxy.routing.health import BreakerPolicy, ModelHealth
from proxy.routing.race import Claim, Route, Watcher, race

DOWN = ProviderConnectionError("down")
BUSY = ProviderError("busy", kind=ErrorKind.OVERLOADED, status=529)
WRONG = RequestError("wrong")
FOREVER = math.inf


class Told(Watcher[Route]):
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def failed(self, route: Route, error: GatewayError, *, goes_on: bool) -> None:
        self.events.append(("failed", route.model, error, goes_on))

    def hedged(self, route: Route) -> None:
        self.events.append(("hedged", route.model))

    def lost(self, route: Route) -> None:
        self.events.append(("lost", route.model))


class Models:
    """Models that do as told: (seconds to the first token, seconds from there to the end, what is raised, if anything:
    before the first token if the second number is None)."""

    def __init__(self, **behaviour: tuple[float, float | None, Exception | None]) -> None:
        self.behaviour = behaviour
        self.asked: list[tuple[float, str]] = []
        self.shown: list[str] = []
        self.cancelled: list[tuple[float, str]] = []
        self.routes = [Route(model, ModelHealth()) for model in behaviour]
        self.told = Told()
        self.began = trio.current_time()

    def health(self, model: str) -> ModelHealth:
        return next(route.health for route in self.routes if route.model == model)

    def now(self) -> float:
        return round(trio.current_time() - self.began, 3)

    async def wait(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def ask(self, route: Route, claim: Claim) -> str:
        self.asked.append((self.now(), route.model))
        first, rest, error = self.behaviour[route.model]
        try:
            await self.wait(first)
            if rest is None:
                assert error is not None
                raise error
            await claim()
            self.shown.append(route.model)
            await self.wait(rest)
            if error is not None:
                raise error
        except trio.Cancelled:
            self.cancelled.append((self.now(), route.model))
            raise
        return route.model

    async def run(self, **plan: Any) -> str:
        candidates = tuple(Candidate(route.model) for route in self.routes)
        try:
            return await race(
                RoutePlan(candidates=candidates, **plan),
                self.routes,
                self.ask,
                understand=lambda error: GatewayError("internal", kind=ErrorKind.SERVER, status=500),
                watcher=self.told,
            )
        finally:
            assert all(route.health.in_flight == 0 for route in self.routes), "a try is still counted"


async def test_the_first_that_can_answers(autojump_clock: MockClock) -> None:
    models = Models(a=(1, None, DOWN), b=(1, None, BUSY), c=(1, 1, None), d=(0, 0, None))
    assert await models.run() == "c"
    assert models.asked == [(0, "a"), (1, "b"), (2, "c")]
    assert models.shown == ["c"]
    assert models.told.events == [("failed", "a", DOWN, True), ("failed", "b", BUSY, True)]
    assert [models.health(model).failures for model in "abcd"] == [1, 1, 0, 0]
    assert models.health("c").average == pytest.approx(1)


@pytest.mark.parametrize("hedge_after", [None, 0.5])
async def test_the_last_one_s_error_is_told_when_all_fail(autojump_clock: MockClock, hedge_after: float | None) -> None:
    models = Models(a=(0.1, None, BUSY), b=(0.1, None, DOWN))
    with pytest.raises(ProviderConnectionError):
        await models.run(hedge_after=hedge_after)
    assert [event[3] for event in models.told.events] == [True, False]


@pytest.mark.parametrize("hedge_after", [None, 0.5])
async def test_a_wrong_request_is_tried_nowhere_else(autojump_clock: MockClock, hedge_after: float | None) -> None:
    models = Models(a=(0.1, None, WRONG), b=(0, 0, None))
    with pytest.raises(RequestError):
        await models.run(hedge_after=hedge_after)
    assert models.asked == [(0, "a")]
    assert models.health("a").failures == 0


@pytest.mark.parametrize("hedge_after", [None, 0.5, 5])
async def test_after_the_first_token_an_error_is_the_client_s(
    autojump_clock: MockClock, hedge_after: float | None
) -> None:
    models = Models(a=(1, 9, BUSY), b=(3, 0, None))
    with pytest.raises(ProviderError) as caught:
        await models.run(hedge_after=hedge_after)
    assert caught.value is BUSY
    assert models.shown == ["a"]
    assert models.health("a").failures == 1


async def test_an_exception_of_a_provider_s_own_is_a_failure_like_any(autojump_clock: MockClock) -> None:
    models = Models(a=(0, None, ZeroDivisionError()), b=(0, 0, None))
    assert await models.run() == "b"
    alone = Models(a=(0, None, ZeroDivisionError()))
    with pytest.raises(GatewayError, match="internal"):
        await alone.run()


async def test_a_plan_may_say_which_errors_count(autojump_clock: MockClock) -> None:
    only = frozenset({ErrorKind.OVERLOADED})
    models = Models(a=(0, None, BUSY), b=(0, None, DOWN), c=(0, 0, None))
    with pytest.raises(ProviderConnectionError):
        await models.run(on_kinds=only)


# -- hedging -----------------------------------------------------------------------------------------------------------


async def test_a_silent_model_is_raced_and_the_loser_goes_at_once(autojump_clock: MockClock) -> None:
    models = Models(a=(FOREVER, 0, None), b=(1, 5, None), c=(0, 0, None))
    assert await models.run(hedge_after=0.5) == "b"
    assert models.asked == [(0, "a"), (0.5, "b")]
    assert models.cancelled == [(1.5, "a")]
    assert models.told.events == [("hedged", "b"), ("lost", "a")]
    assert models.health("a").failures == 0
    assert trio.current_time() - models.began == pytest.approx(6.5)


async def test_the_first_may_still_win(autojump_clock: MockClock) -> None:
    models = Models(a=(1, 1, None), b=(1, 0, None))
    assert await models.run(hedge_after=0.5) == "a"
    assert models.cancelled == [(1, "b")]
    assert models.told.events == [("hedged", "b"), ("lost", "b")]


async def test_one_that_is_quick_enough_is_not_raced(autojump_clock: MockClock) -> None:
    models = Models(a=(0.4, 5, None), b=(0, 0, None))
    assert await models.run(hedge_after=0.5) == "a"
    assert models.asked == [(0, "a")]


async def test_of_two_that_begin_at_the_same_time_one_is_shown(autojump_clock: MockClock) -> None:
    for _ in range(50):
        models = Models(a=(1, 1, None), b=(0.5, 1, None))
        winner = await models.run(hedge_after=0.5)
        assert models.shown == [winner]


async def test_a_failure_brings_the_next_at_once_and_no_more_than_two_try(autojump_clock: MockClock) -> None:
    models = Models(a=(0.2, None, DOWN), b=(FOREVER, 0, None), c=(FOREVER, 0, None), d=(0, 0, None))
    with trio.move_on_after(20):
        await models.run(hedge_after=0.5)
    assert models.asked == [(0, "a"), (0.2, "b"), (0.7, "c")]
    assert sorted(models.cancelled) == [(20, "b"), (20, "c")]


async def test_while_another_one_tries_a_failure_is_not_the_end(autojump_clock: MockClock) -> None:
    models = Models(a=(1, None, DOWN), b=(1, 0, None))
    assert await models.run(hedge_after=0.5) == "b"
    assert models.told.events[-1] == ("failed", "a", DOWN, True)


async def test_what_is_wrong_for_a_hedge_does_not_end_the_first(autojump_clock: MockClock) -> None:
    """The second model's API may lack what the request asks for; the first is slow, and will answer."""
    models = Models(a=(3, 0, None), b=(0.5, None, WRONG), c=(0, 0, None))
    assert await models.run(hedge_after=0.5) == "a"
    assert models.asked == [(0, "a"), (0.5, "b")], "and nobody else is asked what is wrong"
    assert models.told.events == [("hedged", "b"), ("failed", "b", WRONG, True)]
    both = Models(a=(3, None, DOWN), b=(0.5, None, WRONG), c=(0, 0, None))
    with pytest.raises(ProviderConnectionError):
        await both.run(hedge_after=0.5)
    assert both.told.events[-1] == ("failed", "a", DOWN, False)
    first = Models(a=(1, None, WRONG), b=(3, 0, None))
    with pytest.raises(RequestError):
        await first.run(hedge_after=0.5)


async def test_the_client_s_leaving_ends_all_of_it(autojump_clock: MockClock) -> None:
    models = Models(a=(FOREVER, 0, None), b=(FOREVER, 0, None))
    with trio.move_on_after(2):
        await models.run(hedge_after=0.5)
    assert sorted(models.cancelled) == [(2, "a"), (2, "b")]
    assert not models.health("a").failures


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hedge_after", [None, 0.5])
async def test_a_deadline_holds_for_all_tries_up_to_the_first_token(
    autojump_clock: MockClock, hedge_after: float | None
) -> None:
    slow = Models(a=(2, None, DOWN), b=(FOREVER, 0, None))
    with pytest.raises(ProviderError):
        await slow.run(deadline=3, hedge_after=hedge_after)
    assert slow.now() == 3
    begun = Models(a=(2, 60, None), b=(9, 0, None))
    assert await begun.run(deadline=3, hedge_after=hedge_after) == "a"


@pytest.mark.parametrize(("failing", "asked"), [((0, None, DOWN), 1), ((FOREVER, 0, None), 1)])
async def test_without_budget_nobody_else_is_asked(
    autojump_clock: MockClock, failing: tuple[float, float | None, Exception | None], asked: int
) -> None:
    models = Models(a=failing, b=(0, 0, None))
    budget = RetryBudget(0.0, per_second=0.0)
    with trio.move_on_after(10), pytest.raises(ProviderConnectionError):
        await models.run(budget=budget, hedge_after=0.5)
        raise DOWN
    assert len(models.asked) == asked
    assert budget.refused == 1


def extra(budget: RetryBudget, requests: Sequence[int]) -> list[int]:
    """How many extra requests each of these numbers of requests allows."""
    allowed = []
    for count in requests:
        for _ in range(count):
            budget.deposit()
        granted = 0
        while budget.withdraw():
            granted += 1
        allowed.append(granted)
    return allowed


async def test_extra_requests_are_a_share_of_the_traffic(autojump_clock: MockClock) -> None:
    budget = RetryBudget(0.5, per_second=0.0)
    granted = 0
    for _ in range(1000):
        budget.deposit()
        granted += budget.withdraw()
    assert granted == 500
    assert budget.refused == 500


@pytest.mark.parametrize(("share", "per_second", "saved"), [(0.2, 1.0, 10.0), (0.1, 0.0, 1.0), (0.5, 3.0, 30.0)])
async def test_in_no_span_of_time_more_is_asked_than_promised(
    autojump_clock: MockClock, share: float, per_second: float, saved: float
) -> None:
    """Traffic that comes and goes, every request of which wants three more."""
    budget = RetryBudget(share, per_second=per_second)
    random = Random(3)
    seen: list[tuple[float, int]] = []
    for _ in range(400):
        await trio.sleep(random.choice([0, 0, 0, 0.01, 0.5, 20]))
        budget.deposit()
        seen.append((trio.current_time(), sum(budget.withdraw() for _ in range(3))))
    for start in range(len(seen)):
        extra = 0
        for count, (at, granted) in enumerate(seen[start:], 1):
            extra += granted
            assert extra <= share * count + per_second * (at - seen[start][0]) + saved + 1e-6
    assert sum(granted for _, granted in seen) > share * len(seen) / 2


async def test_a_quiet_gateway_may_try_again_too_but_saves_up_only_so_much(autojump_clock: MockClock) -> None:
    budget = RetryBudget(0.0, per_second=2.0, seconds=5.0)
    assert extra(budget, [1]) == [10]
    await trio.sleep(1)
    assert extra(budget, [1]) == [2]
    await trio.sleep(3600)
    assert extra(budget, [1]) == [10]


# -- what health hears -------------------------------------------------------------------------------------------------


async def test_success_is_an_answer_s_end(autojump_clock: MockClock) -> None:
    """A model whose answers begin and always break off is one that fails."""
    models = Models(a=(1, 1, BUSY))
    for failures in (1, 2, 3):
        with pytest.raises(ProviderError):
            await models.run()
        assert models.health("a").failures == failures
    models.behaviour["a"] = (1, 1, None)
    await models.run()
    assert models.health("a").failures == 0


async def test_an_answer_whose_error_was_told_already_has_failed(autojump_clock: MockClock) -> None:
    models = Models(a=(1, 1, None))
    models.routes[0].fault = BUSY
    assert await models.run() == "a"
    assert models.health("a").failures == 1


async def test_what_breaks_on_the_client_s_side_is_not_the_model_s_fault(autojump_clock: MockClock) -> None:
    models = Models(a=(1, 1, ZeroDivisionError()))
    models.routes[0].blameless = True
    with pytest.raises(ZeroDivisionError):
        await models.run()
    assert models.health("a").failures == 0


async def test_a_client_that_leaves_in_mid_answer_tells_nothing_of_the_model(autojump_clock: MockClock) -> None:
    models = Models(a=(1, 9, None))
    models.health("a").failures = 2
    with trio.move_on_after(3):
        await models.run()
    assert models.health("a").failures == 2
    assert models.health("a").average == pytest.approx(1)


async def test_a_loser_counts_as_slow_as_it_was_silent(autojump_clock: MockClock) -> None:
    models = Models(a=(FOREVER, 0, None), b=(1, 0, None))
    await models.run(hedge_after=0.5)
    assert models.health("a").average == pytest.approx(1.5)
    assert models.health("b").average == pytest.approx(1)
    models.health("a").measured(0.1)
    known = models.health("a").average
    assert known is not None
    await models.run(hedge_after=0.01)
    assert models.health("a").average == pytest.approx(known), "less than it usually takes tells nothing"


@pytest.mark.parametrize("hedge_after", [None, 2.0])
async def test_a_model_that_is_silent_until_the_deadline_has_failed(
    autojump_clock: MockClock, hedge_after: float | None
) -> None:
    """And one that was asked at the last moment has not."""
    models = Models(a=(FOREVER, 0, None), b=(FOREVER, 0, None))
    with pytest.raises(ProviderTimeoutError):
        await models.run(deadline=3, hedge_after=hedge_after)
    assert [models.health(model).failures for model in "ab"] == [1, 0]
    late = Models(a=(2, None, DOWN), b=(FOREVER, 0, None))
    with pytest.raises(ProviderError):
        await late.run(deadline=3)
    assert [late.health(model).failures for model in "ab"] == [1, 0]


# -- breakers ----------------------------------------------------------------------------------------------------------


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    policy = BreakerPolicy(failures=3, cooldown=30)
    health = ModelHealth()
    for at in (0.0, 1.0):
        health.failed(DOWN, at)
    assert not health.is_open(policy, 1.0)
    health.succeeded()
    for at in (2.0, 3.0, 4.0):
        health.failed(WRONG, at)
    assert not health.is_open(policy, 4.0), "a client's mistake opened it"
    for at in (2.0, 3.0, 4.0):
        health.failed(DOWN, at)
    assert health.is_open(policy, 4.0)
    assert health.closes_at(policy) == 34.0
    assert health.is_open(policy, 33.9)
    assert not health.is_open(policy, 34.0)
    assert not health.probe(policy, 33.0), "not yet"
    assert health.probe(policy, 34.0)
    assert health.is_open(policy, 35.0), "a second probe beside the first"
    assert not health.probe(policy, 35.0)
    health.failed(DOWN, 36.0)
    assert health.is_open(policy, 65.9)
    assert not health.is_open(policy, 66.0)
    health.probe(policy, 66.0)
    health.succeeded()
    assert not health.is_open(policy, 66.0)


def test_a_probe_of_which_nothing_came_is_given_back() -> None:
    policy = BreakerPolicy(failures=1, cooldown=30)
    health = ModelHealth()
    health.failed(DOWN, 0.0)
    assert health.probe(policy, 30.0)
    health.failed(WRONG, 31.0)
    health.give_back(30.0)
    assert health.probe(policy, 32.0), "the next request is one"
    health.give_back(30.0)
    assert health.is_open(policy, 33.0), "only its own"
    assert health.probe(policy, 62.0), "after another cooldown somebody else may try"
    health.failed(DOWN, 63.0)
    health.give_back(62.0)
    assert health.is_open(policy, 92.9)
    assert not health.is_open(policy, 93.0)


def test_a_provider_that_asks_to_be_left_alone_is() -> None:
    policy = BreakerPolicy()
    health = ModelHealth()
    limited = ProviderError("slow down", kind=ErrorKind.RATE_LIMIT, status=429)
    limited.retry_after = 20.0
    health.failed(limited, 100.0)
    assert health.is_open(policy, 119.0)
    assert not health.is_open(policy, 120.0)


def test_latency_is_a_moving_average() -> None:
    health = ModelHealth()
    assert health.average is None
    health.measured(1.0)
    for _ in range(50):
        health.measured(3.0)
    assert health.average == pytest.approx(3.0, abs=0.01)


def test_bad_answers_count(autojump_clock: MockClock) -> None:
    health = ModelHealth()
    health.failed(BadResponseError("nonsense"), 0.0)
    assert health.failures == 1
