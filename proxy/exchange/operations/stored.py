"""A response that a provider keeps: fetched (also streamed again), cancelled, deleted, or its input listed.

A response's id does not tell which model it belongs to, and the gateway remembers none: with several workers, and after
a restart, a memory would know only some. So the client names the model (`?model=` or the header `x-triway-model`), or
each model whose provider speaks this API is asked in turn, in the file's order, until one does not say 404. Where
plugins decide who may use which model, several models cannot be asked for one request, and the model must be named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from providers.errors import RequestError
from providers.http import WireProvider
from providers.provider import RelayRequest
from proxy.apis.allowed_paths import CREDENTIAL_PARAMETERS
from proxy.exchange.model import ServedModel
from proxy.exchange.relaying import pass_on, upstream_headers

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange

_ID = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_MODEL_HEADER = b"x-triway-model"
_NOT_SENT = CREDENTIAL_PARAMETERS | {"model"}


async def stored(exchange: Exchange) -> None:
    """Find the models that may have it, and pass the request on."""
    exchange.body_is_read()
    response_id = exchange.params["response_id"]
    if not _ID.fullmatch(response_id) or response_id.strip(".") == "":
        raise RequestError("no id of a response", param="response_id", code="invalid_value")
    query = parse_qsl(exchange.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    models = await _models(exchange, dict(query).get("model"))
    sent = urlencode([(name, value) for name, value in query if name.lower() not in _NOT_SENT])
    _, _, action = exchange.scope["path"].partition(f"/responses/{response_id}")
    method = exchange.scope["method"]
    for place, served in enumerate(models, 1):
        provider = served.provider
        assert isinstance(provider, WireProvider)
        request = RelayRequest(
            method=method,
            target=provider.stored_target(response_id, action, sent),
            headers=upstream_headers(exchange.headers),
            request_id=exchange.request_id,
        )
        exchange.outcome.served = served
        response = await provider.relay(request)
        if response.status == 404 and place < len(models):
            response.close()
            continue
        await pass_on(exchange, response)
        return


async def _models(exchange: Exchange, named: str | None) -> list[ServedModel]:
    """The models to ask, at least one. Raises `RequestError`."""
    api = exchange.api.api
    if named is None and (header := exchange.headers.get(_MODEL_HEADER)) is not None:
        named = header.decode("latin-1")
    if named is not None:
        served, _ = exchange.serve(await exchange.admit_model(named))
        if not keeps_responses(served, api):
            raise RequestError(
                f"the provider of model '{served.name}' keeps no responses that could be fetched",
                param="model",
                code="unsupported_parameter",
            )
        return [served]
    models = [served for served in exchange.project.models if keeps_responses(served, api)]
    if not models:
        raise RequestError("no model of this gateway keeps responses that could be fetched", status=404)
    if len(models) > 1 and exchange.project.pipeline.plugins:
        raise RequestError(
            "say which model the response belongs to: '?model=NAME', or the header 'x-triway-model'",
            param="model",
            code="missing_required_parameter",
        )
    await exchange.admit_model(models[0].name)
    return models


def keeps_responses(served: ServedModel, api: str) -> bool:
    """Whether the model's provider speaks the client's `api` itself: then what it keeps or makes is the client's."""
    return served.provider.api == api and isinstance(served.provider, WireProvider)
