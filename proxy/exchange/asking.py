"""From a plan of models to an answer: finds the plan's candidates, and asks them as `proxy.routing.race` says.

What a candidate streams stays with it until it has won: only then does the client's emitter see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from providers.errors import GatewayError
from providers.model import Accumulator, EventKind, LLMRequest, LLMResponse, RequestNotes
from providers.model.text_run import TextRun
from providers.provider import ChunkEmitter
from proxy.exchange.model import ServedModel
from proxy.observe.logs import get_logger
from proxy.routing.plan import RoutePlan
from proxy.routing.race import Claim, Route, Watcher, race

Resolve = Callable[[str], tuple[ServedModel, str | None]]
"""The entry that serves a model's name, and what its `*` stood for. Raises `RequestError` (404)."""


class ModelRoute(Route):
    """A candidate with its entry, and the request as this entry is asked."""

    __slots__ = ("request", "served")

    def __init__(self, served: ServedModel, request: LLMRequest) -> None:
        super().__init__(request.model, served.health)
        self.served = served
        self.request = request


class Asking:
    """Asks for one request's answers. `chosen` is told whose answer it is: who is asked first, then who won."""

    def __init__(
        self,
        resolve: Resolve,
        chosen: Callable[[ModelRoute], None],
        understand: Callable[[Exception], GatewayError],
        request_id: str,
    ) -> None:
        self._resolve = resolve
        self._chosen = chosen
        self._understand = understand
        self._watcher = _Watcher(request_id, chosen)

    async def whole(self, plan: RoutePlan, request: LLMRequest) -> LLMResponse:
        """A whole answer. Raises what the last candidate raises."""

        async def ask(route: ModelRoute, claim: Claim) -> LLMResponse:
            response = await route.served.provider.execute(route.request)
            await claim()
            self._chosen(route)
            return response

        routes = self._routes(plan, request)
        return await race(plan, routes, ask, understand=self._understand, watcher=self._watcher)

    async def streaming(self, plan: RoutePlan, request: LLMRequest, emitter: ChunkEmitter) -> None:
        """A streamed answer into `emitter`, which is left to be closed by who made it. Raises what the last candidate
        raises before its answer has begun."""

        async def ask(route: ModelRoute, claim: Claim) -> None:
            own = _RunnerEmitter(emitter, claim, lambda: self._chosen(route), alone=len(routes) == 1)
            await route.served.provider.execute_streaming(route.request, own)
            if own.error is not None:
                raise own.error

        routes = self._routes(plan, request)
        await race(plan, routes, ask, understand=self._understand, watcher=self._watcher)

    def _routes(self, plan: RoutePlan, request: LLMRequest) -> Sequence[ModelRoute]:
        routes = []
        for candidate in plan.candidates:
            served, matched = self._resolve(candidate.model)
            metadata = msgspec.structs.replace(request.metadata, matched=matched, retry_budget=plan.budget)
            own = msgspec.structs.replace(request, model=candidate.model, metadata=metadata, notes=RequestNotes())
            routes.append(ModelRoute(served, own))
        self._chosen(routes[0])
        return routes


class _RunnerEmitter(ChunkEmitter):
    """What one candidate emits to. Its first chunk has to win before it gets through."""

    def __init__(self, inner: ChunkEmitter, claim: Claim, won: Callable[[], None], *, alone: bool) -> None:
        self._inner = inner
        self._alone = alone
        """Nobody else may answer: then a keep-alive is as good as a token, and keeps the client waiting."""
        self._claim = claim
        self._tell = won
        self._won = False
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
        await self._inner.emit_chunk(chunk, first, final)

    async def emit_batch(self, chunks: Sequence[LLMResponse | TextRun], first: bool = False) -> None:
        if not self._won:
            if self.error is not None or (not self._alone and all(map(_is_keep_alive, chunks))):
                return
            await self._win()
        await self._inner.emit_batch(chunks, first)

    async def emit_error(self, error: GatewayError) -> None:
        if self._won:
            await self._inner.emit_error(error)
        elif self.error is None:
            self.error = error

    async def _win(self) -> None:
        await self._claim()
        self._won = True
        self._tell()


def _is_keep_alive(chunk: LLMResponse | TextRun) -> bool:
    return isinstance(chunk, LLMResponse) and chunk.kind is EventKind.KEEP_ALIVE


class _Watcher(Watcher[ModelRoute]):
    """Counts and logs what the client does not see."""

    def __init__(self, request_id: str, chosen: Callable[[ModelRoute], None]) -> None:
        self._request_id = request_id
        self._chosen = chosen

    def failed(self, route: ModelRoute, error: GatewayError, *, goes_on: bool) -> None:
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

    def hedged(self, route: ModelRoute) -> None:
        route.served.metrics.hedge("started").inc()

    def lost(self, route: ModelRoute) -> None:
        route.served.metrics.hedge("lost").inc()
