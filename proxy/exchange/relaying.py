"""Passing a request on to a provider's own API and its answer back, bytes as they come. For operations to use.

What may go from one side to the other is decided here: nothing that belongs to one connection (RFC 9110, 7.6.1), and
nobody's credentials.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import trio

from providers.errors import ErrorKind, ProviderError, RequestError
from providers.provider import RelayRequest
from providers.transport.base import UpstreamResponse
from proxy.exchange.body import ClientGoneError
from proxy.exchange.model import ServedModel

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
CREDENTIALS = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"x-amz-security-token",
        b"x-amz-date",
        b"x-amz-content-sha256",
        b"cookie",
    }
)
"""The client's, for the gateway; the provider never sees them."""

_NOT_UPSTREAM = (
    HOP_BY_HOP
    | CREDENTIALS
    | {b"host", b"content-length", b"accept-encoding", b"expect", b"forwarded", b"via", b"x-request-id"}
)
_NOT_DOWNSTREAM = HOP_BY_HOP | {b"set-cookie", b"date", b"server", b"alt-svc", b"strict-transport-security"}


def upstream_headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The client's headers that may go to a provider."""
    named = {name.strip().lower() for name in headers.get(b"connection", b"").split(b",")}
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers.items()
        if name not in _NOT_UPSTREAM and name not in named and not name.startswith((b"x-forwarded-", b"x-triway-"))
    }


async def body_as_it_comes(exchange: Exchange) -> AsyncIterator[bytes]:
    """The request's body, counted, piece by piece.

    Each piece has the body's time limit, the whole has the request's. Raises `ClientGoneError`, and `RequestError`
    (408) for a client that falls silent.
    """
    exchange.body_goes_on()
    patience = exchange.gateway.body_timeout
    while True:
        message: Mapping[str, Any] | None = None
        with trio.move_on_after(patience):
            message = await exchange.receive()
        if message is None:
            raise RequestError(f"nothing of the request's body came for {round(patience * 1000)} ms", status=408)
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece = message.get("body", b"")
        exchange.outcome.bytes_in += len(piece)
        if piece:
            yield piece
        if not message.get("more_body", False):
            exchange.body_is_read()
            return


async def relay(exchange: Exchange, served: ServedModel, request: RelayRequest) -> None:
    """Have `served`'s provider pass `request` on, and answer with what comes back, whatever its status.

    Raises as `pass_on` does.
    """
    await pass_on(exchange, await served.provider.relay(request))


async def pass_on(exchange: Exchange, response: UpstreamResponse) -> None:
    """Answer with a provider's response, and close it.

    Cut off, not ended, if the provider's answer breaks off. Raises `ProviderError` before the answer has begun.
    """
    exchange.speaks_api = False
    try:
        if response.status == 401:
            # Its body speaks of the gateway's own key, perhaps with a piece of it: not for the client.
            raise ProviderError(
                "the provider refused the gateway's credentials for this model",
                kind=ErrorKind.AUTHENTICATION,
                status=401,
                upstream_status=401,
            )
        kept = [header for header in response.headers if header[0] not in _NOT_DOWNSTREAM]
        own = exchange.answer_headers()
        names = {name for name, _ in own}
        await exchange.start(response.status, [*(header for header in kept if header[0] not in names), *own])
        while data := await response.receive():
            await exchange.write(data)
        await exchange.end()
    finally:
        response.close()
