"""Goes through a `RoutePlan`: asks its candidates until one answers. Knows nothing of HTTP or of plugins.

A candidate *wins* when its answer begins: with a stream's first token, or with a whole answer. Until then nothing has
been sent to the client, so a failure is invisible to it and the next candidate is asked. From then on the winner is the
only one: whoever else was still trying is cancelled, its upstream connection closed, and what happens to the winner's
answer is the client's to hear.

    one candidate, no deadline       asked directly: no task, no scope
    several                          one after the other
    several and `hedge_after`        two at most at the same time, in a nursery that ends with the answer

Every try ends in one of these ways, and its model's health hears of it:

    it fails before its answer begins            a failure
    it is cut off while it is silent             how long it was silent, at least; by the plan's deadline also a
                                                 failure, if it had half of that time or more
    its answer breaks off                        a failure, though the client has heard the error
    its answer is cut off (the client left ...)  nothing more than when it began
    its answer comes to its end                  a success
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import trio

from providers.errors import ErrorKind, GatewayError, ProviderTimeoutError
from proxy.routing.health import ModelHealth
from proxy.routing.plan import RoutePlan

T = TypeVar("T")
R = TypeVar("R", bound="Route")

Claim = Callable[[], Awaitable[None]]
"""What a try awaits before it shows anything to the client. Returns to the winner; to all others, never."""


class Route:
    """A candidate, found in the table of models."""

    __slots__ = ("blameless", "fault", "health", "model")

    def __init__(self, model: str, health: ModelHealth) -> None:
        self.model = model
        """The name it was asked for by."""
        self.health = health
        self.fault: GatewayError | None = None
        """What broke its answer off, where the client was told of it and nothing is raised. Set by who asks."""
        self.blameless = False
        """What is raised after its answer has begun is not the model's fault. Set by who asks."""


class Watcher(Generic[R]):
    """Is told what happens on the way. Overridden where it is to be counted; must not wait and must not raise."""

    def failed(self, route: R, error: GatewayError, *, goes_on: bool) -> None:
        """A try failed before its answer began. `goes_on`: another one is asked, or is still trying."""

    def hedged(self, route: R) -> None:
        """A try was started beside another one that had been silent for too long."""

    def lost(self, route: R) -> None:
        """A try was cancelled because another one won."""


async def race(
    plan: RoutePlan,
    routes: Sequence[R],
    ask: Callable[[R, Claim], Awaitable[T]],
    *,
    understand: Callable[[Exception], GatewayError],
    watcher: Watcher[R] | None = None,
) -> T:
    """Ask `routes` (the plan's candidates, at least one) in order, and return what the winner's `ask` returns.

    `ask` awaits its claim before it shows anything. `understand` makes a `GatewayError` of any other exception that a
    try raises before it has won. Tries beyond the first are paid for from the plan's budget; into it pays who knows
    what is a request of a client. When all have failed, the last one's error is raised; a winner's exceptions come
    through as they are. Cancelled, everything it started is gone when it returns.
    """
    run = _Run(plan, routes, ask, understand, watcher or Watcher())
    if len(routes) == 1 and plan.deadline is None:
        return await run.one_after_the_other()
    with trio.CancelScope() as scope:
        if plan.deadline is not None:
            scope.deadline = trio.current_time() + plan.deadline
        run.scope = scope
        if plan.hedge_after is None or len(routes) == 1:
            return await run.one_after_the_other()
        return await run.side_by_side(plan.hedge_after)
    raise run.last_error or ProviderTimeoutError("first_token", plan.deadline or 0.0)


class _Run(Generic[R, T]):
    """One execution of a plan."""

    def __init__(
        self,
        plan: RoutePlan,
        routes: Sequence[R],
        ask: Callable[[R, Claim], Awaitable[T]],
        understand: Callable[[Exception], GatewayError],
        watcher: Watcher[R],
    ) -> None:
        self.plan = plan
        self.ask = ask
        self.understand = understand
        self.watcher = watcher
        self.budget = plan.budget
        self.left = list(reversed(routes))
        self.scope: trio.CancelScope | None = None
        self.winner: R | None = None
        self.over = False
        """A failure has ended the plan: nobody can win any more."""
        self.last_error: GatewayError | None = None
        self.running: dict[R, trio.CancelScope] = {}

    # -- one try ------------------------------------------------------------------------------------------------------

    async def attempt(self, route: R) -> T:
        """Ask one candidate; its health hears of the outcome. Raises `_FailedError` if it has not won."""
        health = route.health
        began = trio.current_time()

        async def claim() -> None:
            if self.winner is None and not self.over and not self._is_out_of_time():
                health.measured(trio.current_time() - began)
                self._won(route)
            elif self.winner is not route:
                await trio.sleep_forever()  # until it is cancelled, which it is already

        over = False
        health.started()
        try:
            answer = await self.ask(route, claim)
            await claim()
            over = True
            if route.fault is not None:
                health.failed(route.fault, trio.current_time())
            else:
                health.succeeded()
        except Exception as caught:
            if self.winner is None:
                over = True
                error = self._failed(route, caught, trio.current_time() - began)
                raise _FailedError(error) from caught
            if self.winner is route:
                over = True
                if not route.blameless:
                    health.failed(caught if isinstance(caught, GatewayError) else _BROKEN, trio.current_time())
            raise
        finally:
            if not over and self.winner is not route:
                self._cut_off(route, trio.current_time() - began)
            health.ended()
        return answer

    def _failed(self, route: R, caught: Exception, seconds: float) -> GatewayError:
        error = caught if isinstance(caught, GatewayError) else self.understand(caught)
        route.health.failed(error, trio.current_time())
        if error.kind is ErrorKind.TIMEOUT:
            route.health.silent(seconds)
        self.last_error = error
        return error

    def _cut_off(self, route: R, seconds: float) -> None:
        """A try ends that has been silent for so long."""
        route.health.silent(seconds)
        deadline = self.plan.deadline
        if self.winner is None and deadline is not None and self._is_out_of_time() and seconds >= deadline / 2:
            route.health.failed(ProviderTimeoutError("first_token", deadline), trio.current_time())

    def _is_out_of_time(self) -> bool:
        return self.scope is not None and self.scope.cancel_called

    def _won(self, route: R) -> None:
        self.winner = route
        if self.scope is not None:
            self.scope.deadline = math.inf
        for other, scope in self.running.items():
            if other is not route:
                self.watcher.lost(other)
                scope.cancel()

    def _goes_on_after(self, error: GatewayError) -> bool:
        """Whether another candidate is to be asked after `error`; if so, it is paid for."""
        if not self.left or not self.plan.goes_on_after(error):
            return False
        return self.budget is None or self.budget.withdraw()

    # -- the ways through a plan --------------------------------------------------------------------------------------

    async def one_after_the_other(self) -> T:
        while True:
            route = self.left.pop()
            try:
                return await self.attempt(route)
            except _FailedError as failed:
                goes_on = self._goes_on_after(failed.error)
                self.watcher.failed(route, failed.error, goes_on=goes_on)
                if not goes_on:
                    raise failed.error from None

    async def side_by_side(self, hedge_after: float) -> T:
        """The first candidate, and a second one when the first fails or has been silent for `hedge_after` seconds."""
        answers: list[T] = []
        raised: list[Exception] = []
        """What the winner raised, or what ends the whole plan."""
        settled = trio.Event()

        async def run(route: R) -> None:
            with self.running[route]:
                try:
                    answers.append(await self.attempt(route))
                except _FailedError as failed:
                    self._settle_failure(route, failed.error, raised)
                except Exception as error:  # noqa: BLE001 - the winner's is raised again outside of the nursery
                    if self.winner is route:
                        raised.append(error)
                finally:
                    del self.running[route]
                    settled.set()

        def start(nursery: trio.Nursery) -> None:
            route = self.left.pop()
            self.running[route] = trio.CancelScope()  # counted from now on, though its task has not run yet
            nursery.start_soon(run, route)

        async with trio.open_nursery() as nursery:
            start(nursery)
            while not answers and not raised:
                settled = trio.Event()
                may_hedge = bool(self.left) and self.winner is None and len(self.running) < 2
                with trio.move_on_after(hedge_after if may_hedge else math.inf) as silence:
                    await settled.wait()
                if answers or raised or self.winner is not None:
                    continue
                if not self.running:  # the last one failed, perhaps just when it had been silent for too long
                    start(nursery)  # paid for when it failed
                elif silence.cancelled_caught:
                    if self.budget is None or self.budget.withdraw():
                        self.watcher.hedged(self.left[-1])
                        start(nursery)
                    else:
                        hedge_after = math.inf  # cannot be afforded: only a failure brings the next one
            nursery.cancel_scope.cancel()
        if answers:
            return answers[0]
        raise raised[0]

    def _settle_failure(self, route: R, error: GatewayError, raised: list[Exception]) -> None:
        """A try failed: does another one go on, is the next one to be started, or is it over?"""
        if len(self.running) == 1:  # this one is still counted
            goes_on = self._goes_on_after(error)
        else:
            goes_on = self.plan.goes_on_after(error)
            if not goes_on and route is not next(iter(self.running)):
                # A hedge must not end what it was to help: the first may well do what this one cannot.
                self.left.clear()
                goes_on = True
        self.watcher.failed(route, error, goes_on=goes_on)
        if not goes_on:
            self.over = True
            raised.append(error)


class _FailedError(Exception):
    """A try failed before it won."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(error)
        self.error = error


_BROKEN = GatewayError("the provider's code failed", kind=ErrorKind.SERVER, status=500)
"""What an exception of a provider's own counts as, when its answer had begun."""
