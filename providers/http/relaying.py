"""A request in the provider's own API, passed on as it is: the upstream half of passthrough.

Nothing of it is understood, so nothing is tried again; what holds are the provider's credentials and deadlines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from providers.errors import ProviderTimeoutError
from providers.http.outgoing import OutgoingRequest
from providers.http.settings import HTTPSettings
from providers.provider import RelayRequest
from providers.transport.base import Headers, Upstream, UpstreamResponse


class RelayedResponse:
    """An `UpstreamResponse` whose `receive` waits for `idle` seconds at most."""

    __slots__ = ("_idle", "_response", "headers", "status")

    def __init__(self, response: UpstreamResponse, idle: float) -> None:
        self._response = response
        self._idle = idle
        self.status = response.status
        self.headers: Headers = response.headers

    async def receive(self) -> bytes:
        """See `UpstreamResponse.receive`. Raises `ProviderTimeoutError("idle")` too."""
        with trio.move_on_after(self._idle):
            return await self._response.receive()
        raise ProviderTimeoutError("idle", self._idle)

    def close(self) -> None:
        """See `UpstreamResponse.close`."""
        self._response.close()


async def relay(
    upstream: Upstream,
    outgoing: OutgoingRequest,
    own_headers: Sequence[tuple[bytes, bytes]],
    request: RelayRequest,
    settings: HTTPSettings,
) -> UpstreamResponse:
    """Send `outgoing`, whose body is `request`'s, and wait for the head of the response.

    Raises `ProviderTimeoutError` when there is none in time: `firstTokenTimeout`, or for a body in pieces, which takes
    as long as its sender does, `timeout` over all.
    """
    in_pieces = not isinstance(request.body, bytes)
    patience = (settings.timeout if in_pieces else settings.first_token_timeout) / 1000
    with trio.move_on_after(patience):
        response = await upstream.request(
            outgoing.method.encode("ascii"),
            outgoing.target.encode("ascii"),
            _merged(outgoing.headers, own_headers, request),
            request.body if in_pieces else outgoing.body,
            length=request.length,
        )
        return RelayedResponse(response, settings.idle_timeout / 1000)
    raise ProviderTimeoutError("total" if in_pieces else "first_token", patience)


def _merged(
    given: Mapping[str, str], own: Sequence[tuple[bytes, bytes]], request: RelayRequest
) -> list[tuple[bytes, bytes]]:
    """The client's headers under the provider's own, which win, but for the content type."""
    merged = {name.encode("ascii"): value.encode("latin-1") for name, value in given.items()}
    content_type = merged.get(b"content-type")
    merged.update(own)
    if content_type is not None:
        merged[b"content-type"] = content_type
    elif request.body == b"":
        merged.pop(b"content-type", None)
    if request.request_id:
        merged[b"x-request-id"] = request.request_id.encode("latin-1")
    return list(merged.items())
