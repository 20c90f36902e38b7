"""A conversation compacted by the provider, into items that it alone can read in a later request.

So it is relayed to a provider that speaks the client's own API, and has no other meaning. Nothing of the answer is
understood here, its usage neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.errors import RequestError
from providers.http import WireProvider
from providers.provider import RelayRequest
from proxy.exchange.operations.stored import keeps_responses
from proxy.exchange.relaying import relay, upstream_headers

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange


async def compact(exchange: Exchange) -> None:
    """Read the conversation and pass it on, as plugins left it."""
    api = exchange.api.api
    request = await exchange.admit(exchange.api.transform_input(await exchange.read_call()))
    served, request.metadata.matched = exchange.serve(request.model)
    provider = served.provider
    if not keeps_responses(served, api):
        raise RequestError(
            f"the provider of model '{served.name}' compacts no conversations: it does not speak {api}",
            param="model",
            code="unsupported_parameter",
        )
    assert isinstance(provider, WireProvider)
    passed_on = RelayRequest(
        method="POST",
        target=provider.stored_target("compact", "", request.metadata.query),
        headers=upstream_headers(exchange.headers),
        body=provider.request_out(request).body,
        request_id=exchange.request_id,
    )
    await relay(exchange, served, passed_on)
