"""`WireClientAPI`: a client API over one of the wire formats in `providers.wire`."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from providers.errors import GatewayError, RequestError
from providers.model import LLMRequest, LLMResponse, RequestMetadata
from providers.model.text_run import TextRun
from providers.wire.base import StreamEncoder, Wire
from proxy.apis.base import ClientAPI, ClientCall


class WireClientAPI(ClientAPI):
    wire: ClassVar[Wire]

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "wire"):
            cls.api = cls.wire.api

    def decode(self, call: ClientCall) -> LLMRequest:
        """The body's request. Raises `RequestError`."""
        return self.wire.decode_request(call.body)

    def transform_input(self, call: ClientCall) -> LLMRequest:
        request = self.decode(call)
        self.fill_metadata(request.metadata, call)
        return request

    def fill_metadata(self, metadata: RequestMetadata, call: ClientCall) -> None:
        """What the call says beside its body."""
        metadata.api = self.api
        metadata.request_id = call.request_id
        metadata.query = call.query
        headers = call.headers
        for name in self.forwarded_headers:
            if name in headers:
                metadata.headers[name.decode("latin-1")] = headers[name].decode("latin-1")

    def transform_output(self, response: LLMResponse, request: LLMRequest) -> bytes:
        return self.wire.encode_response(response, request)

    def transform_token_count(self, response: LLMResponse) -> bytes:
        raise RequestError("this API has no token count", status=404)

    def stream_encoder(self, request: LLMRequest) -> StreamEncoder:
        return self.wire.stream_encoder(request)

    def transform_output_run(self, run: TextRun, encoder: StreamEncoder) -> bytes:
        encode_run: Callable[[TextRun], bytes] | None = getattr(encoder, "encode_run", None)
        return encode_run(run) if encode_run is not None else super().transform_output_run(run, encoder)

    def transform_error(self, error: GatewayError, request_id: str) -> bytes:
        return self.wire.encode_error(error)

    def transform_stream_error(self, error: GatewayError) -> bytes:
        return self.wire.encode_stream_error(error)
