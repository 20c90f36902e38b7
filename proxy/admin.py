"""The Quart-trio app: health, readiness, metrics, the list of models, and a clear answer to any other path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import msgspec
import trio
from quart import Response, g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from providers.errors import GatewayError, RequestError
from providers.model import LLMRequest
from proxy.apis.base import ClientAPI, ModelCard
from proxy.exchange.request_id import request_id_of
from proxy.gateway import Gateway
from proxy.observe import metrics
from proxy.plugins import HTTPRequest, PluginContext
from proxy.plugins.pipeline import PipelineRun
from proxy.project import Project

JSON = "application/json"


def make_admin_app(
    gateway: Gateway,
    *,
    startup: Callable[[], Awaitable[None]],
    shutdown: Callable[[], Awaitable[None]],
    serve_metrics: bool = True,
) -> QuartTrio:
    """The app behind everything that is not an LLM route. It also runs the gateway's start and end."""
    app = QuartTrio("triway", static_folder=None)
    app.before_serving(startup)
    app.after_serving(shutdown)

    @app.get("/health")
    async def health() -> Response:
        return Response('{"status":"ok"}', content_type=JSON)

    @app.get("/ready")
    async def ready() -> Response:
        if gateway.draining:
            return Response('{"status":"draining"}', status=503, content_type=JSON)
        return Response('{"status":"ready"}', content_type=JSON)

    if serve_metrics:

        @app.get("/metrics")
        async def show_metrics() -> Response:
            # With several workers this reads files: off the event loop.
            text = await trio.to_thread.run_sync(metrics.render)
            return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        message = {
            404: f"there is no {request.method} {request.path} here",
            405: f"{request.path} does not take {request.method}",
        }.get(status, error.description or error.name)
        response = _failure(gateway, RequestError(message, status=status))
        if status == 405 and (allow := error.get_response().headers.get("Allow")):
            response.headers["allow"] = allow
        return response

    @app.errorhandler(RequestError)
    async def request_error(error: RequestError) -> Response:
        return _failure(gateway, error)

    @app.before_request
    async def below_a_project() -> Response | None:
        """What a project answers itself: its models. No LLM route comes here, unless with a method it does not take."""
        path = _path()
        if allowed := _allowed(gateway, path):
            return _wrong_method(gateway, allowed)
        project = _project(gateway)
        named = project.models_path(path)
        if named is None:
            return None
        if request.method not in ("GET", "HEAD"):
            return _wrong_method(gateway, "GET, HEAD")
        api = _api(gateway)
        refused = await _refused(gateway, project, api, path)
        if refused is not None:
            return refused
        return _answer(api.transform_model(_card(project, named)) if named else api.transform_models(project.cards))

    @app.after_request
    async def add_request_id(response: Response) -> Response:
        response.headers[gateway.request_id_header.decode("latin-1")] = _request_id(gateway)
        return response

    return app


async def _refused(gateway: Gateway, project: Project, api: ClientAPI, path: str) -> Response | None:
    """What keeps the client from the list of models, if a plugin does: those that authenticate are asked."""
    if not project.gatekeepers:
        return None
    scope = request.scope
    client = scope.get("client")
    context = PluginContext(
        request=LLMRequest(model=""),
        project=project.name,
        adapter=api.api,
        operation="list_models",
        request_id=_request_id(gateway),
        available_models=project.cards,
        http_request=HTTPRequest(
            method=request.method, path=path, http_version=request.http_version, scheme=request.scheme
        ),
        headers=dict(scope["headers"]),
        query=scope["query_string"].decode("latin-1"),
        client_ip=client[0] if client else None,
    )
    run = PipelineRun(project.gatekeepers, context)
    try:
        await run.before_model()
    except GatewayError as error:
        response = _failure(gateway, error)
        response.headers.update(context.response_headers)
        return response
    finally:
        run.close()
    return None


def _project(gateway: Gateway) -> Project:
    """The project below which the request's path is."""
    return cast(Project, request.scope.get("triway.project", gateway.generation.default))


def _path() -> str:
    """The request's path without the project's prefix."""
    return cast(str, request.scope.get("triway.path", request.path))


def _allowed(gateway: Gateway, path: str) -> str | None:
    return ", ".join(_project(gateway).routes.allowed(path)) or None


def _wrong_method(gateway: Gateway, allowed: str) -> Response:
    response = _failure(gateway, RequestError(f"{request.path} does not take {request.method}", status=405))
    response.headers["allow"] = allowed
    return response


def _card(project: Project, name: str) -> ModelCard:
    """What may be known of one model. Raises `RequestError` (404)."""
    card = next((card for card in project.cards if card.id == name), None)
    if card is not None:
        return card
    served, matched = project.resolve(name)
    if matched is None:
        raise _no_such_model(name)
    pattern = next(card for card in project.cards if card.id == served.name)
    return msgspec.structs.replace(pattern, id=name)


def _api(gateway: Gateway) -> ClientAPI:
    """The API in whose shape to answer: by the path, or, where several share it, by the header that tells."""
    project = _project(gateway)
    for api in project.apis:
        if api.telling_header is not None and api.telling_header.decode("ascii") in request.headers:
            return api
    return project.routes.api_of(_path()) or project.apis[0]


def _no_such_model(name: str) -> RequestError:
    return RequestError(
        f"the model '{name[:200]}' does not exist on this gateway", param="model", code="model_not_found", status=404
    )


def _answer(body: bytes, status: int = 200) -> Response:
    return Response(body, status=status, content_type=JSON)


def _failure(gateway: Gateway, error: GatewayError) -> Response:
    return _answer(_api(gateway).transform_error(error, _request_id(gateway)), error.status)


def _request_id(gateway: Gateway) -> str:
    """The request's id: the same wherever it is asked for."""
    if "request_id" not in g:
        given = request.headers.get(gateway.request_id_header.decode("latin-1"))
        g.request_id = request_id_of(given.encode("latin-1", "replace") if given is not None else None)
    return str(g.request_id)
