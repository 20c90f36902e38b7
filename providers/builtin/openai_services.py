"""What services in OpenAI's format offer beside the API they are called through: embeddings, legacy completions."""

from __future__ import annotations

from providers.http import OutgoingRequest, WireProvider
from providers.model import LLMRequest, LLMResponse
from providers.provider import Capability
from providers.wire import openai_completions
from providers.wire.base import StreamDecoder, Translation
from providers.wire.openai_chat.embeddings import EMBEDDINGS


class OpenAIServices(WireProvider):
    """A client of the legacy Completions API is served by it, where the service has it; nobody else is."""

    embeddings = EMBEDDINGS
    has_completions: bool = True

    @classmethod
    def capabilities(cls) -> frozenset[Capability]:
        found = super().capabilities()
        return found | {"completions"} if cls.has_completions else found

    def completions_target(self, model: str) -> str:
        """Path and query of the legacy API, below the base URL."""
        return "/completions"

    def _is_completion(self, request: LLMRequest) -> bool:
        return self.has_completions and request.metadata.api == openai_completions.WIRE.api

    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        if not self._is_completion(request):
            return super().request_out(request)
        model = self.model_for(request)
        wire, target = openai_completions.WIRE, self.completions_target(model)
        if request.raw is not None:
            body = wire.relay_request(request, model)
            return OutgoingRequest(target=target, body=body, headers=request.metadata.headers)
        translation = Translation(wire.api, drop_unsupported=self.drop_unsupported, client=request.metadata.api)
        encoded = wire.encode_request(request, model, translation)
        return OutgoingRequest(target=target, body=encoded.body, dropped=encoded.dropped)

    def response_in(self, body: bytes, request: LLMRequest) -> LLMResponse:
        if self._is_completion(request):
            return openai_completions.WIRE.decode_response(body)
        return super().response_in(body, request)

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        if self._is_completion(request):
            return openai_completions.WIRE.stream_decoder()
        return super().stream_decoder(request)
