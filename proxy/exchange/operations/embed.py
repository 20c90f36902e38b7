"""The vectors of texts, as a model's provider makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.exchange import with_plugins

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange


async def embed(exchange: Exchange) -> None:
    """Read a request for embeddings and have it answered."""
    request = exchange.api.transform_embedding_input(await exchange.read_call())
    exchange.outcome.notes = request.notes
    request.model = await exchange.admit_model(request.model, request.metadata)
    if exchange.plugins is not None:
        response = await with_plugins.embed(exchange, request)
    else:
        served, request.metadata.matched = exchange.serve(request.model)
        response = await served.provider.embed(request)
    exchange.outcome.usage = response.usage
    raw = response.raw
    is_own = raw is not None and raw.api == exchange.api.api
    body = raw.body if raw is not None and is_own else exchange.api.transform_embeddings(response, request)
    await exchange.reply(200, body, exchange.answer_headers())
