"""Wire formats: codecs with no I/O, one folder for each API, both directions in it.

Providers use a wire's request encoder and response decoders (`ProviderWire`); client APIs use its request decoder and
response encoders, if it has them (`Wire`). Imports only the model and the errors.
"""

from __future__ import annotations

import importlib

from providers.wire.base import ProviderWire

WIRE_MODULES = {
    "anthropic-messages": "providers.wire.anthropic_messages",
    "bedrock-converse": "providers.wire.bedrock_converse",
    "cohere-chat": "providers.wire.cohere_chat",
    "gemini-generate": "providers.wire.gemini_generate",
    "ollama-chat": "providers.wire.ollama_chat",
    "openai-chat": "providers.wire.openai_chat",
    "openai-responses": "providers.wire.openai_responses",
}
"""API name to the module that holds its `WIRE`."""


def load_wire(api: str) -> ProviderWire:
    """The codecs of an API; imported when first asked for. Raises KeyError for an API that has none."""
    wire: ProviderWire = importlib.import_module(WIRE_MODULES[api]).WIRE
    return wire
