"""From a plan of models to an answer: finds the plan's candidates, and asks them as `proxy.routing.race` says.

What a candidate streams stays with it until it has won: only then does the client's emitter see it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from providers.errors import GatewayError, error_of_event
from providers.model import (
    Accumulator,
    EmbeddingRequest,
    EmbeddingResponse,
    EventKind,
    LLMRequest,
    LLMResponse,
    RequestNotes,
)
from providers.model.text_run import TextRun
from providers.provider import ChunkEmitter, Provider
from proxy.exchange.model import ServedModel
from proxy.observe.logs import get_logger
from proxy.routing.plan import RoutePlan
from proxy.routing.race import Claim, Route, Watcher, race

Resolve = Callable[[str], tuple[ServedModel, str | None]]
"""The entry that serves a model's name, and what its `*` stood for. Raises `RequestError` (404)."""


Q = TypeVar("Q", LLMRequest, EmbeddingRequest)
A = TypeVar("A")


class ModelRoute(Route, Generic[Q]):
    """A candidate with its entry, and the request as this entry is asked."""

    __slots__ = ("request", "served")

    def __init__(self, served: ServedModel, request: Q) -> None:
        super().__init__(request.model, served.health)
        self.served = served
        self.request: Q = request


Chosen = Callable[[ModelRoute[Any]], None]


class Asking:
    """Asks for one request's answers. `chosen` is told whose answer it is: who is asked first, then who won."""

    def __init__(
        self,
        resolve: Resolve,
        chosen: Chosen,
        understand: Callable[[Exception], GatewayError],
        request_id: str,
    ) -> None:
        self._resolve = resolve
        self._chosen = chosen
        self._understand = understand
        self._watcher = _Watcher(request_id, chosen)
        self._counted = False
        """Whether the budget has heard of the request: what plugins have asked again is no request of a client."""

    async def whole(self, plan: RoutePlan, request: LLMRequest) -> LLMResponse:
        """A whole answer. Raises what the last candidate raises."""
        return await self._at_once(plan, request, lambda provider, own: provider.execute(own))

    async def count_tokens(self, plan: RoutePlan, request: LLMRequest) -> LLMResponse:
        """The number of the input's tokens, from the first candidate that can tell. Nobody is raced for that."""
        return await self._at_once(_unhurried(plan), request, lambda provider, own: provider.count_tokens(own))

    async def embed(self, plan: RoutePlan, request: EmbeddingRequest) -> EmbeddingResponse:
        """Vectors, as for `count_tokens`."""
        return await self._at_once(_unhurried(plan), request, lambda provider, own: provider.embed(own))

    async def _at_once(self, plan: RoutePlan, request: Q, call: Callable[[Provider, Q], Awaitable[A]]) -> A:
        async def ask(route: ModelRoute[Q], claim: Claim) -> A:
            answer = await call(route.served.provider, route.request)
            if isinstance(answer, LLMResponse) and answer.error is not None:
                route.fault = error_of_event(answer.error, None)  # it is the client's to see, and counts all the same
            await claim()
            self._chosen(route)
            return answer

        return await self._race(plan, self._routes(plan, request), ask)

    async def streaming(self, plan: RoutePlan, request: LLMRequest, emitter: ChunkEmitter) -> None:
        """A streamed answer into `emitter`, which is left to be closed by who made it. Raises what the last candidate
        raises before its answer has begun."""

        async def ask(route: ModelRoute[LLMRequest], claim: Claim) -> None:
            own = _RunnerEmitter(emitter, claim, route, self._chosen, alone=len(routes) == 1)
            await route.served.provider.execute_streaming(route.request, own)
            if own.error is not None:
                raise own.error

        routes = self._routes(plan, request)
        await self._race(plan, routes, ask)

    async def _race(
        self,
        plan: RoutePlan,
        routes: Sequence[ModelRoute[Q]],
        ask: Callable[[ModelRoute[Q], Claim], Awaitable[A]],
    ) -> A:
        if plan.budget is not None and not self._counted:
            self._counted = True
            plan.budget.deposit()
        return await race(plan, routes, ask, understand=self._understand, watcher=self._watcher)

    def _routes(self, plan: RoutePlan, request: Q) -> Sequence[ModelRoute[Q]]:
        routes = []
        for candidate in plan.candidates:
            served, matched = self._resolve(candidate.model)
            metadata = msgspec.structs.replace(request.metadata, matched=matched, retry_budget=plan.budget)
            own = msgspec.structs.replace(request, model=candidate.model, metadata=metadata, notes=RequestNotes())
            routes.append(ModelRoute(served, own))
        self._chosen(routes[0])
        return routes


def _unhurried(plan: RoutePlan) -> RoutePlan:
    return plan if plan.hedge_after is None else msgspec.structs.replace(plan, hedge_after=None)


class _RunnerEmitter(ChunkEmitter):
    """What one candidate emits to. Its first chunk has to win before it gets through.

    The route is told what the model is to blame for after that: an error that it ends its stream with, but nothing
    that goes wrong on the client's side.
    """

    def __init__(
        self,
        inner: ChunkEmitter,
        claim: Claim,
        route: ModelRoute[LLMRequest],
        won: Callable[[ModelRoute[LLMRequest]], None],
        *,
        alone: bool,
    ) -> None:
        self._inner = inner
        self._alone = alone
        """Nobody else may answer: then a keep-alive is as good as a token, and keeps the client waiting."""
        self._claim = claim
        self._route = route
        self._tell = won
        self._won = False
        self._ended = False
        self.error: GatewayError | None = None
        """What ended the stream before it began."""

    @property
    def takes_runs(self) -> bool:  # type: ignore[override]
        return self._inner.takes_runs

    @property
    def accumulator(self) -> Accumulator:  # type: ignore[override]
        return self._inner.accumulator

    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        if not self._won:
            if self.error is not None or (not final and not self._alone and _is_keep_alive(chunk)):
                return
            await self._win()
        self._ended = self._ended or final
        try:
            await self._inner.emit_chunk(chunk, first, final)
        except Exception:
            self._route.blameless = True
            raise

    async def emit_batch(self, chunks: Sequence[LLMResponse | TextRun], first: bool = False) -> None:
        if not self._won:
            if self.error is not None or (not self._alone and all(map(_is_keep_alive, chunks))):
                return
            await self._win()
        try:
            await self._inner.emit_batch(chunks, first)
        except Exception:
            self._route.blameless = True
            raise

    async def emit_error(self, error: GatewayError) -> None:
        if self._won:
            if not self._ended:
                self._route.fault = self._route.fault or error
            await self._inner.emit_error(error)
        elif self.error is None:
            self.error = error

    async def _win(self) -> None:
        await self._claim()
        self._won = True
        self._tell(self._route)


def _is_keep_alive(chunk: LLMResponse | TextRun) -> bool:
    return isinstance(chunk, LLMResponse) and chunk.kind is EventKind.KEEP_ALIVE


class _Watcher(Watcher[ModelRoute[Any]]):
    """Counts and logs what the client does not see."""

    def __init__(self, request_id: str, chosen: Chosen) -> None:
        self._request_id = request_id
        self._chosen = chosen

    def failed(self, route: ModelRoute[Any], error: GatewayError, *, goes_on: bool) -> None:
        if not goes_on:
            self._chosen(route)  # whose error it is that the request's own record tells
            return
        metrics = route.served.metrics
        metrics.upstream_error(error.kind).inc()
        metrics.fallbacks.inc()
        get_logger().info(
            "a model failed; another one is asked",
            request_id=self._request_id,
            entry=route.served.name,
            error=error.kind.value,
            status=error.status,
        )

    def hedged(self, route: ModelRoute[Any]) -> None:
        route.served.metrics.hedge("started").inc()

    def lost(self, route: ModelRoute[Any]) -> None:
        route.served.metrics.hedge("lost").inc()
