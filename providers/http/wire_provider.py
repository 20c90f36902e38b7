"""`WireProvider`: an HTTP provider that speaks one of the wire formats in `providers.wire`.

The codec does the work: same API on both sides, the client's bytes are relayed; else the request is encoded from the
model in the middle. A subclass names its wire, its path and its credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from providers.errors import ProviderError
from providers.extension import Config
from providers.http.outgoing import OutgoingRequest
from providers.http.provider import HTTPProvider
from providers.model import LLMRequest, LLMResponse
from providers.wire.base import EncodedRequest, ProviderWire, StreamDecoder, Translation, Wire


class WireProvider(HTTPProvider):
    wire: ClassVar[ProviderWire]
    path: ClassVar[str]
    """The path of a completion, below the base URL."""

    drop_unsupported = False

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "wire"):
            cls.api = cls.wire.api

    async def configure(self, config: Config) -> None:
        self.drop_unsupported = bool(config.get("dropUnsupported", False))
        await super().configure(config)

    def is_lossless(self, request: LLMRequest) -> bool:
        """Whether the client's own bytes can be sent."""
        return request.raw is not None and request.raw.api == self.api

    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        model = self.model_for(request)
        if isinstance(self.wire, Wire) and self.is_lossless(request):
            target = f"{self.path}?{request.metadata.query}" if request.metadata.query else self.path
            relayed = self.relayed(request, model)
            return OutgoingRequest(
                target=target, body=relayed.body, headers=request.metadata.headers, dropped=relayed.dropped
            )
        encoded = self.encode(request, model)
        return OutgoingRequest(target=self.path, body=encoded.body, headers=encoded.headers, dropped=encoded.dropped)

    def encode(self, request: LLMRequest, model: str) -> EncodedRequest:
        """The request's body from the model in the middle. Raises `RequestError` for what this API cannot honour."""
        return self.wire.encode_request(request, model, self.translation(request))

    def translation(self, request: LLMRequest) -> Translation:
        """For one request that is to be encoded. Raises `RequestError` if it is bound to another API."""
        translation = Translation(self.api, drop_unsupported=self.drop_unsupported)
        if request.metadata.api != self.api:
            translation.refuse_bound(request)
        return translation

    def relayed(self, request: LLMRequest, model: str) -> EncodedRequest:
        """The client's own body, with what routing must change. Needs `is_lossless(request)`."""
        assert isinstance(self.wire, Wire)
        return EncodedRequest(body=self.wire.relay_request(request, model))

    def response_in(self, body: bytes, request: LLMRequest) -> LLMResponse:
        return self.wire.decode_response(body)

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        return self.wire.stream_decoder()

    def error_in(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return self.wire.decode_error(status, body)
