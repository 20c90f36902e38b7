"""A request in a provider's own API, passed on with the model's credentials, if the model's configuration lets it.

`/passthrough/MODEL/PATH`: everything after the model goes below the provider's base URL, as the client wrote it. A
model whose name holds a slash is written with `%2F`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from providers.errors import RequestError
from providers.provider import RelayRequest
from proxy.apis.allowed_paths import allowed_target
from proxy.exchange.relaying import body_as_it_comes, relay, upstream_headers

if TYPE_CHECKING:
    from proxy.exchange.exchange import Exchange

_HERE = "/passthrough/"


async def passthrough(exchange: Exchange) -> None:
    """Find the model, check the path, pass on."""
    scope = exchange.scope
    raw = scope.get("raw_path") or scope["path"].encode()
    _, _, rest = raw.decode("latin-1").partition(_HERE)
    name, slash, path = rest.partition("/")
    served, _ = exchange.serve(await exchange.admit_model(unquote(name)))
    if not served.passthrough:
        raise RequestError(f"the model '{served.name}' passes nothing through", status=403)
    method = scope["method"]
    query = scope["query_string"].decode("latin-1")
    target = allowed_target(slash + path, query, method, served.passthrough)
    length = exchange.headers.get(b"content-length", b"")
    request = RelayRequest(
        method=method,
        target=target,
        headers=upstream_headers(exchange.headers),
        length=int(length) if length.isdigit() else None,
        request_id=exchange.request_id,
    )
    if not _has_body(exchange.headers):
        exchange.body_is_read()
    elif served.provider.relays_whole_bodies:
        request.body = (await exchange.read_call()).body
    else:
        request.body = body_as_it_comes(exchange)
    await relay(exchange, served, request)


def _has_body(headers: dict[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
