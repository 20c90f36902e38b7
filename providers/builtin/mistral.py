"""Mistral's Chat API (https://docs.mistral.ai/api/): OpenAI's format, with a dialect and messages of its own."""

from __future__ import annotations

from providers.builtin.openai_compatible import CompatibleProvider
from providers.extension import extension
from providers.http import http_schema
from providers.model import LLMRequest
from providers.wire.base import EncodedRequest
from providers.wire.openai_chat.dialect_request import encode_in_dialect, relay_in_dialect
from providers.wire.openai_chat.embeddings import embedding_wire
from providers.wire.openai_chat.mistral import DIALECT, EMBEDDING_DIALECT, patch_message


@extension(
    name="mistral",
    version="1.0.0",
    description="Mistral AI",
    configuration_schema=http_schema(
        required=("apiKey",),
        apiKey={"environment": "MISTRAL_API_KEY"},
        baseUrl={"default": "https://api.mistral.ai/v1"},
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters that Mistral cannot honour, instead of a 400.",
        },
    ),
)
class MistralProvider(CompatibleProvider):
    dialect = DIALECT
    wires = {}
    variants = {}
    has_completions = False
    embeddings = embedding_wire(EMBEDDING_DIALECT)

    def encode(self, request: LLMRequest, model: str) -> EncodedRequest:
        return encode_in_dialect(request, model, self.translation(request), self.dialect, patch_message)

    def relayed(self, request: LLMRequest, model: str) -> EncodedRequest:
        return relay_in_dialect(request, model, self.translation(request), self.dialect, patch_message)
