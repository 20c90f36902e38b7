"""Ollama by its own API (https://docs.ollama.com/api/chat)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from providers.extension import Config, extension
from providers.http import WireProvider, http_schema
from providers.model import LLMRequest
from providers.wire.base import EncodedRequest
from providers.wire.json_text import FIELDS
from providers.wire.ollama_chat import EMBEDDINGS, WIRE


@extension(
    name="ollama",
    version="1.0.0",
    description="Ollama, by its own API",
    configuration_schema=http_schema(
        apiKey={"description": "For a server behind a proxy that asks for one, or Ollama's cloud."},
        baseUrl={"default": "http://localhost:11434"},
        model={"description": "The model to ask for. Default: what the client calls it."},
        keepAlive={
            "type": ["string", "number"],
            "description": "How long the model stays in memory after a request: a duration such as 10m, or seconds; "
            "-1: for ever. Default: the server's.",
        },
        options={
            "type": "object",
            "default": {},
            "description": "The model's options for every request (num_ctx ...), under those that the client gives.",
        },
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters of another client API that this one cannot honour, instead of a 400.",
        },
    ),
)
class OllamaProvider(WireProvider):
    wire = WIRE
    path = "/api/chat"
    embeddings = EMBEDDINGS

    async def configure(self, config: Config) -> None:
        self._options: Mapping[str, object] = config.get("options", {})
        self._keep_alive: str | float | None = config.get("keepAlive")
        await super().configure(config)

    def encode(self, request: LLMRequest, model: str) -> EncodedRequest:
        encoded = super().encode(request, model)
        if not self._options and self._keep_alive is None:
            return encoded
        body: dict[str, object] = dict(FIELDS.decode(encoded.body))
        if self._options:
            given = body.get("options")
            body["options"] = {**self._options, **(FIELDS.decode(given) if isinstance(given, msgspec.Raw) else {})}
        if self._keep_alive is not None:
            body["keep_alive"] = self._keep_alive
        return msgspec.structs.replace(encoded, body=msgspec.json.encode(body))
