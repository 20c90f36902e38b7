"""OpenAI: Chat Completions and Responses (https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

from providers.builtin.openai_services import OpenAIServices
from providers.extension import extension
from providers.http import HTTPSettings, OutgoingRequest, http_schema
from providers.model import LLMRequest, LLMResponse
from providers.wire import openai_chat, openai_responses
from providers.wire.base import Translation
from providers.wire.openai_responses.count_tokens import (
    TARGET,
    decode_token_count,
    encode_count_request,
    relay_count_request,
)


@extension(
    name="openai",
    version="1.0.0",
    description="OpenAI Chat Completions or Responses, and any service that speaks them at another baseUrl",
    configuration_schema=http_schema(
        api={
            "enum": ["chat", "responses"],
            "default": "chat",
            "description": "Which of OpenAI's APIs the model is asked through: Chat Completions or Responses.",
        },
        baseUrl={"default": "https://api.openai.com/v1"},
        model={"default": "gpt-4.1-mini"},
        organization={"type": "string", "description": "OpenAI organization to bill (OpenAI-Organization)."},
        project={"type": "string", "description": "OpenAI project to bill (OpenAI-Project)."},
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters of another client API that this one cannot honour, instead of a 400.",
        },
    ),
)
class OpenAIProvider(OpenAIServices):
    wire = openai_chat.WIRE
    path = "/chat/completions"
    wires = {"chat": (wire, path), "responses": (openai_responses.WIRE, "/responses")}

    async def configure(self, config: dict[str, object]) -> None:
        self._billing = {
            header: str(config[key])
            for key, header in (("organization", "openai-organization"), ("project", "openai-project"))
            if key in config
        }
        await super().configure(config)

    async def count_tokens(self, request: LLMRequest) -> LLMResponse:
        """As the Responses API counts, also for a model that is asked through Chat Completions."""
        model = self.model_for(request)
        if request.raw is not None and request.raw.api == openai_responses.WIRE.api:
            query = f"?{request.metadata.query}" if request.metadata.query else ""
            body = relay_count_request(request, model)
            outgoing = OutgoingRequest(target=TARGET + query, body=body, headers=request.metadata.headers)
            return await self.call(outgoing, request, decode_token_count)
        translation = Translation(
            openai_responses.WIRE.api, drop_unsupported=self.drop_unsupported, client=request.metadata.api
        )
        translation.counts = True
        if request.metadata.api != openai_responses.WIRE.api:
            translation.refuse_bound(request)
        encoded = encode_count_request(request, model, translation)
        outgoing = OutgoingRequest(target=TARGET, body=encoded.body, headers=encoded.headers, dropped=encoded.dropped)
        return await self.call(outgoing, request, decode_token_count)

    def auth_headers(self, settings: HTTPSettings) -> dict[str, str]:
        return {**super().auth_headers(settings), **self._billing}
