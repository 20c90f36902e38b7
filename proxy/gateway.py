"""`Gateway`: the ASGI application. LLM routes go straight to an `Exchange`, everything else to the Quart-trio app.

It also is what the server talks to at shutdown: `start_draining` and `end_streams`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from providers.errors import ErrorKind, GatewayError, RequestError
from proxy.exchange.exchange import Exchange
from proxy.exchange.request_id import request_id_of
from proxy.generation import Generation
from proxy.observe.metrics import OPEN_REQUESTS
from proxy.plugins.detached import DetachedWork
from proxy.project import Project

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


class Gateway:
    """The ASGI app of one worker process. It serves no model until its generation was started."""

    def __init__(self, generation: Generation, detached: DetachedWork) -> None:
        self.generation = generation
        """What new requests are served by."""
        self.detached = detached
        """Where plugins work on after a response."""
        self.draining = False
        self.fallback: ASGIApp | None = None
        """Everything that is not an LLM route (the admin app), lifespan included."""
        self.exchanges: set[Exchange] = set()
        """Requests under way."""
        self.write_timeout = generation.config.server.write_timeout / 1000
        """Seconds that one write to a client may take, where the server itself sets no deadline (HTTP/2)."""
        self._take_limits(generation)

    def _take_limits(self, generation: Generation) -> None:
        """Times in seconds, sizes in bytes."""
        server = generation.config.server
        self.max_body_bytes = server.max_body_bytes
        self.body_timeout = server.body_timeout / 1000
        self.request_timeout = server.request_timeout / 1000
        self.request_id_header = server.request_id_header.encode("latin-1")
        self._max_concurrent_requests = server.max_concurrent_requests

    def install(self, generation: Generation) -> Generation:
        """Serve new requests by `generation`, which is started. Returns the one before; who made it closes it."""
        before, self.generation = self.generation, generation
        self._take_limits(generation)
        return before

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if scope["path"].startswith("//"):  # a base URL that ends with a slash
                scope = {**scope, "path": "/" + scope["path"].lstrip("/")}
            project = self.generation.default
            match = project.routes.match(scope["method"], scope["path"])
            if match is None:
                project, scope = self._find_project(scope)
                if project is not self.generation.default or "triway.path" in scope:
                    match = project.routes.match(scope["method"], scope["triway.path"])
            if match is not None:
                await self._exchange(Exchange(self, project, match, scope, receive, send))
                return
        elif scope["type"] == "websocket":
            await self._refuse_websocket(scope, receive, send)
            return
        if self.fallback is not None:
            await self.fallback(scope, receive, send)

    def _find_project(self, scope: Any) -> tuple[Project, Any]:
        """The project that a path's first segment names, and the scope with the path below it as `triway.path`."""
        _, name, rest = (scope["path"] + "//").split("/", 2)
        project = self.generation.projects.get(name)
        if project is None:
            return self.generation.default, scope
        return project, {**scope, "triway.project": project, "triway.path": f"/{rest.rstrip('/')}"}

    async def _refuse_websocket(self, scope: Any, receive: Any, send: Any) -> None:
        """No API here is spoken over WebSocket: the handshake is answered by HTTP, in the shape of the path's API."""
        message = await receive()
        if message["type"] != "websocket.connect":
            return
        project, scope = self._find_project(scope)
        path = scope.get("triway.path", scope["path"])
        error = RequestError(f"there is no WebSocket at {path[:200]}; ask by HTTP", status=404)
        headers = dict(scope["headers"])
        request_id = request_id_of(headers.get(self.request_id_header))
        body = (project.routes.api_of(path) or project.apis[0]).transform_error(error, request_id)
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (self.request_id_header, request_id.encode("latin-1")),
        ]
        await send({"type": "websocket.http.response.start", "status": error.status, "headers": head})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})

    async def _exchange(self, exchange: Exchange) -> None:
        generation = exchange.generation
        generation.acquire()
        self.exchanges.add(exchange)
        OPEN_REQUESTS.inc()
        try:
            await exchange.run()
        finally:
            generation.release()
            self.exchanges.discard(exchange)
            OPEN_REQUESTS.dec()

    # -- what exchanges ask -------------------------------------------------------------------------------------------

    def refusal(self) -> GatewayError | None:
        """Why no further request can be taken now, if so. The asking exchange is counted already."""
        if len(self.exchanges) > self._max_concurrent_requests:
            return GatewayError(
                "too many requests at once; try again in a moment",
                kind=ErrorKind.UNAVAILABLE,
                status=503,
                retry_after=1.0,
            )
        return None

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
