"""How many tokens a request's input has, as its model's provider counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.exchange import with_plugins

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange


async def count_tokens(exchange: Exchange) -> None:
    """Read a request and have its input counted."""
    request = exchange.api.transform_input(await exchange.read_call())
    exchange.outcome.stream = request.stream
    request = await exchange.admit(request)
    if exchange.plugins is not None:
        counted = await with_plugins.count_tokens(exchange, request)
    else:
        exchange.outcome.notes = request.notes
        served, request.metadata.matched = exchange.serve(request.model)
        counted = await served.provider.count_tokens(request)
    await exchange.reply(200, exchange.api.transform_token_count(counted), exchange.answer_headers())
