"""Google's Gemini API, of AI Studio (https://ai.google.dev/api/generate-content)."""

from __future__ import annotations

from providers.extension import Config, extension
from providers.http import HTTPSettings, OutgoingRequest, WireProvider, http_schema
from providers.model import LLMRequest, LLMResponse
from providers.wire.embedding import EmbeddingWire
from providers.wire.gemini_generate import (
    WIRE,
    completion_target,
    decode_token_count,
    encode_count_request,
    method_target,
    model_path,
    relay_count_request,
)
from providers.wire.gemini_generate.embeddings import GEMINI

API_VERSION = "v1beta"


@extension(
    name="gemini",
    version="1.0.0",
    description="Google Gemini, by AI Studio's API",
    configuration_schema=http_schema(
        baseUrl={"default": "https://generativelanguage.googleapis.com"},
        model={"default": "gemini-2.5-flash"},
        apiVersion={
            "type": "string",
            "pattern": "^v[0-9a-z]+$",
            "default": API_VERSION,
            "description": "The first segment of the path.",
        },
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters of another client API that this one cannot honour, instead of a 400.",
        },
    ),
)
class GeminiProvider(WireProvider):
    wire = WIRE
    embeddings = GEMINI

    async def configure(self, config: Config) -> None:
        self.path = f"/{config.get('apiVersion', API_VERSION)}"
        await super().configure(config)

    def auth_headers(self, settings: HTTPSettings) -> dict[str, str]:
        return {"x-goog-api-key": settings.api_key} if settings.api_key else {}

    def completion_target(self, request: LLMRequest, model: str) -> str:
        return completion_target(f"{self.path}/{model_path(model)}", stream=request.stream)

    def embedding_target(self, wire: EmbeddingWire, model: str) -> str:
        return method_target(f"{self.path}/{model_path(model)}", "batchEmbedContents")

    async def count_tokens(self, request: LLMRequest) -> LLMResponse:
        model = self.model_for(request)
        target = method_target(f"{self.path}/{model_path(model)}", "countTokens")
        if self.is_lossless(request):
            body = relay_count_request(request, model, on_vertex=False)
            outgoing = OutgoingRequest(target=target, body=body, headers=request.metadata.headers)
        else:
            encoded = encode_count_request(request, model, self.count_translation(request), on_vertex=False)
            outgoing = OutgoingRequest(target=target, body=encoded.body, dropped=encoded.dropped)
        return await self.call(outgoing, request, decode_token_count)
