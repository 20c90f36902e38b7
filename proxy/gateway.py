"""`Gateway`: the ASGI application. LLM routes go straight to an `Exchange`, everything else to the Quart-trio app.

It also is what the server talks to at shutdown: `start_draining` and `end_streams`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from providers.errors import ErrorKind, GatewayError, RequestError
from proxy.apis.base import ClientAPI, ModelCard
from proxy.apis.routes import RouteTable
from proxy.exchange.exchange import Exchange
from proxy.exchange.model import ServedModel
from proxy.observe.metrics import OPEN_REQUESTS
from proxy.routing import ModelTable

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds, sizes in bytes."""

    max_body_bytes: int = 10 * 1024 * 1024
    body_timeout: float = 30.0
    max_concurrent_requests: int = 10_000
    request_timeout: float = 3600.0


class Gateway:
    """The ASGI app of one worker process. It serves no model until `install` is called."""

    def __init__(
        self,
        *,
        apis: Sequence[ClientAPI],
        limits: Limits,
        request_id_header: str = "x-request-id",
        write_timeout: float = 30.0,
    ) -> None:
        self._models: ModelTable[ServedModel] = ModelTable(())
        self.cards: list[ModelCard] = []
        self.apis = list(apis)
        self._limits = limits
        self.max_body_bytes = limits.max_body_bytes
        self.body_timeout = limits.body_timeout
        self.request_timeout = limits.request_timeout
        self.request_id_header = request_id_header.lower().encode("latin-1")
        self.write_timeout = write_timeout
        """Seconds that one write to a client may take, where the server itself sets no deadline (HTTP/2)."""
        self.draining = False
        self.fallback: ASGIApp | None = None
        """Everything that is not an LLM route (the admin app), lifespan included."""
        self.exchanges: set[Exchange] = set()
        """Requests under way."""
        self.routes = RouteTable(self.apis)

    def install(self, models: ModelTable[ServedModel], cards: Sequence[ModelCard]) -> None:
        """Serve these models, whose providers are configured, from now on. Who made them closes them."""
        self._models = models
        self.cards = list(cards)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            match = self.routes.match(scope["method"], scope["path"])
            if match is not None:
                await self._exchange(Exchange(self, match, scope, receive, send))
                return
        if self.fallback is not None:
            await self.fallback(scope, receive, send)

    async def _exchange(self, exchange: Exchange) -> None:
        self.exchanges.add(exchange)
        OPEN_REQUESTS.inc()
        try:
            await exchange.run()
        finally:
            self.exchanges.discard(exchange)
            OPEN_REQUESTS.dec()

    # -- what exchanges ask -------------------------------------------------------------------------------------------

    def refusal(self) -> GatewayError | None:
        """Why no further request can be taken now, if so. The asking exchange is counted already."""
        if len(self.exchanges) > self._limits.max_concurrent_requests:
            return GatewayError(
                "too many requests at once; try again in a moment",
                kind=ErrorKind.UNAVAILABLE,
                status=503,
                retry_after=1.0,
            )
        return None

    def resolve(self, name: str) -> tuple[ServedModel, str | None]:
        """The entry that serves a model name, and what its `*` matched. Raises `RequestError` (404)."""
        found = self._models.resolve(name)
        if found is None:
            raise RequestError(
                f"the model '{name[:200]}' does not exist on this gateway; GET /v1/models lists those that do",
                param="model",
                code="model_not_found",
                status=404,
            )
        return found

    # -- what the server asks -----------------------------------------------------------------------------------------

    def start_draining(self) -> None:
        """A stop was asked for: `/ready` says 503 from now on. Running requests go on."""
        self.draining = True

    def end_streams(self) -> None:
        """The graceful timeout is over: every running request ends with an error, in band if its stream has begun."""
        for exchange in list(self.exchanges):
            exchange.abort(
                GatewayError("the gateway is shutting down", kind=ErrorKind.UNAVAILABLE, status=503, retry_after=1.0)
            )
