"""Going through a plan, whatever comes at the same moment as what: it ends, one model answers, and all is counted.

Every time is a multiple of half a second, so that failures, first tokens, hedge timers and deadlines coincide.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from providers import GatewayError, ProviderTimeoutError
from providers.retry_budget import RetryBudget
from proxy.routing.race import Claim, Route
from tests.proxy.routing.test_race import BUSY, DOWN, FOREVER, WRONG, Models

LATE = 1000.0
"""Seconds after which a race goes on only because a model is silent for ever."""


class Observed(Models):
    """Models of which is known when each was asked and when it was done."""

    def __init__(self, behaviour: dict[str, Any], wires: trio.Nursery) -> None:
        super().__init__(**behaviour)
        self.ended: dict[str, float] = {}
        self.wires = wires

    async def wait(self, seconds: float) -> None:
        """As for bytes from a socket: once they are there, a cancellation comes too late for this wait."""
        arrived = trio.Event()

        async def bring() -> None:
            await trio.sleep(seconds)
            arrived.set()

        self.wires.start_soon(bring)
        await arrived.wait()

    async def ask(self, route: Route, claim: Claim) -> str:
        assert len(self.asked) - len(self.ended) < 2, "more than two are trying"
        try:
            return await super().ask(route, claim)
        finally:
            self.ended[route.model] = self.now()

    def told_of(self, event: str) -> list[str]:
        return [told[1] for told in self.told.events if told[0] == event]


class Paid(RetryBudget):
    """A budget of so many tokens, and how many were taken."""

    def __init__(self, tokens: int) -> None:
        super().__init__(1.0, per_second=0.0)
        self._limit = self._balance = float(tokens)
        self.taken = 0

    def withdraw(self) -> bool:
        granted = super().withdraw()
        self.taken += granted
        return granted


ticks = st.integers(0, 3).map(lambda halves: halves / 2)
fails = st.tuples(ticks, st.none(), st.sampled_from([DOWN, BUSY, WRONG]))
answers = st.tuples(ticks, ticks, st.sampled_from([None, None, BUSY]))
silent = st.just((FOREVER, 0, None))
behaviours = st.lists(st.one_of(fails, fails, answers, silent), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
# The first fails just when it has been silent for too long, and there is one token.
@example([(0.5, None, DOWN), (0, 0, None)], 0.5, None, 1)
# One fails when the other begins; what it fails with would end the plan.
@example([(1.0, 2.0, None), (0.5, None, WRONG)], 0.5, None, None)
@example([(1.0, None, WRONG), (0.5, 2.0, None)], 0.5, None, None)
@example([(1.0, None, DOWN), (0.5, 2.0, None), (0, 0, None)], 0.5, None, None)
# One begins when the deadline has come, or when the other one is silent for too long.
@example([(1.0, 2.0, None)], None, 1.0, None)
@example([(1.0, 2.0, None), (0.5, 2.0, None)], 0.5, 1.0, None)
@example([(0.5, 2.0, None), (0, 2.0, None)], 0.5, None, None)
@given(
    behaviours,
    st.sampled_from([None, 0.5, 1.0]),
    st.sampled_from([None, 1.0, 2.0, 3.0]),
    st.sampled_from([None, 0, 1, 2]),
)
def test_it_ends_with_one_answer_and_everything_counted(
    behaviour: list[Any], hedge_after: float | None, deadline: float | None, tokens: int | None
) -> None:
    async def go() -> None:
        async with trio.open_nursery() as wires:
            await run(Observed(dict(zip("abcd", behaviour, strict=False)), wires))
            wires.cancel_scope.cancel()

    async def run(models: Observed) -> None:
        budget = Paid(tokens) if tokens is not None else None
        answer, error, late = None, None, True
        with trio.move_on_after(LATE):
            try:
                answer = await models.run(hedge_after=hedge_after, deadline=deadline, budget=budget)
            except GatewayError as caught:
                error = caught
            late = False
        check(models, answer, error, late=late, deadline=deadline, budget=budget)

    # What comes at the same moment comes in an order that trio leaves to chance.
    for _ in range(4):
        trio.run(go, clock=MockClock(autojump_threshold=0))


def check(
    models: Observed,
    answer: str | None,
    error: GatewayError | None,
    *,
    late: bool,
    deadline: float | None,
    budget: Paid | None,
) -> None:
    asked = [model for _, model in models.asked]
    began = {model: at for at, model in models.asked}
    ended, behaviour = models.ended, models.behaviour
    failed, lost, hedged = map(models.told_of, ("failed", "lost", "hedged"))
    # It ends, unless it waits for a model that never says anything.
    if late:
        assert deadline is None
        assert any(behaviour[model][0] == FOREVER and ended[model] >= LATE for model in asked)
    # Nothing goes on behind it.
    assert set(ended) == set(asked)
    # One answers at most, and nobody else is seen.
    assert len(models.shown) <= 1
    assert models.shown == ([answer] if answer is not None else models.shown)
    if error is not None and models.shown:
        assert error is behaviour[models.shown[0]][2], "another one's error ended an answer"
    # They are asked in order, and each beyond the first is paid for.
    assert asked == list(behaviour)[: len(asked)]
    if budget is not None:
        assert len(asked) - 1 <= budget.taken <= len(asked)
    # A hedge is who was asked while another one was still trying; else that one had failed.
    for place, model in enumerate(asked[1:], 1):
        trying = [other for other in asked[:place] if ended[other] >= began[model]]
        assert trying if model in hedged else all(ended[other] <= began[model] for other in asked[:place])
    assert len(hedged) <= len(asked)
    # Each try has one end.
    won = set(models.shown)
    cut = set(asked) - won - set(failed) - set(lost)
    assert len(failed) + len(lost) + len(won) + len(cut) == len(asked)
    if cut:
        assert late or isinstance(error, ProviderTimeoutError) or error in (DOWN, BUSY, WRONG)
    # And the models' health has heard of it.
    for model in asked:
        health = models.health(model)
        seconds = ended[model] - began[model]
        blamed = model in failed and behaviour[model][2] is not WRONG
        broke_off = model in won and behaviour[model][2] is not None
        silent = model in cut and not late and deadline is not None and ended[model] == deadline
        assert (health.requests, health.in_flight) == (1, 0)
        assert health.failures == (blamed or broke_off or (silent and seconds >= deadline / 2 if deadline else False))
        if model in won:
            assert health.average == pytest.approx(behaviour[model][0])
        elif model in lost:
            assert health.average == pytest.approx(seconds), "how long it was silent is not known"
    assert all(models.health(model).requests == 0 for model in behaviour if model not in asked)
    assert math.isfinite(sum(ended.values()))
