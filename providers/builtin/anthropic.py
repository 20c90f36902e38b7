"""Anthropic's Messages API (https://docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

from providers.extension import Config, extension
from providers.http import HTTPSettings, OutgoingRequest, WireProvider, http_schema
from providers.model import LLMRequest, LLMResponse
from providers.wire.anthropic_messages import (
    WIRE,
    decode_token_count,
    encode_count_request,
    relay_count_request,
)

API_VERSION = "2023-06-01"


@extension(
    name="anthropic",
    version="1.0.0",
    description="Anthropic Messages",
    configuration_schema=http_schema(
        baseUrl={"default": "https://api.anthropic.com"},
        model={"default": "claude-sonnet-4-5"},
        anthropicVersion={
            "type": "string",
            "default": API_VERSION,
            "description": "The anthropic-version header, where the client sends none.",
        },
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters of another client API that this one cannot honour, instead of a 400.",
        },
    ),
)
class AnthropicProvider(WireProvider):
    wire = WIRE
    path = "/v1/messages"

    async def configure(self, config: Config) -> None:
        self._version = str(config.get("anthropicVersion", API_VERSION))
        await super().configure(config)

    def auth_headers(self, settings: HTTPSettings) -> dict[str, str]:
        return {"x-api-key": settings.api_key} if settings.api_key else {}

    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        return self._versioned(super().request_out(request))

    def _versioned(self, outgoing: OutgoingRequest) -> OutgoingRequest:
        outgoing.headers = {"anthropic-version": self._version, **outgoing.headers}
        return outgoing

    async def count_tokens(self, request: LLMRequest) -> LLMResponse:
        model = self.model_for(request)
        target = f"{self.path}/count_tokens"
        if self.is_lossless(request):
            query = f"?{request.metadata.query}" if request.metadata.query else ""
            body = relay_count_request(request, model)
            outgoing = OutgoingRequest(target=target + query, body=body, headers=request.metadata.headers)
        else:
            encoded = encode_count_request(request, model, self.count_translation(request))
            outgoing = OutgoingRequest(
                target=target, body=encoded.body, headers=encoded.headers, dropped=encoded.dropped
            )
        return await self.call(self._versioned(outgoing), request, decode_token_count)
