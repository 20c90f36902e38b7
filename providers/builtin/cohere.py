"""Cohere's chat, API version 2 (https://docs.cohere.com/reference/chat)."""

from __future__ import annotations

from providers.extension import extension
from providers.http import WireProvider, http_schema
from providers.wire.cohere_chat import EMBEDDINGS, WIRE


@extension(
    name="cohere",
    version="1.0.0",
    description="Cohere",
    configuration_schema=http_schema(
        required=("apiKey",),
        apiKey={"environment": "CO_API_KEY"},
        baseUrl={"default": "https://api.cohere.com"},
        model={"default": "command-a-03-2025"},
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters of another client API that this one cannot honour, instead of a 400.",
        },
    ),
)
class CohereProvider(WireProvider):
    wire = WIRE
    path = "/v2/chat"
    embeddings = EMBEDDINGS
