"""Ollama's own chat API, the provider's side (https://docs.ollama.com/api/chat).

Imports the model, the errors and `providers.wire`; does no I/O.
"""

from __future__ import annotations

from providers.wire.base import ProviderWire
from providers.wire.ollama_chat.embeddings import EMBEDDINGS
from providers.wire.ollama_chat.errors import decode_error
from providers.wire.ollama_chat.request_encoder import encode_request
from providers.wire.ollama_chat.response_decoder import decode_response
from providers.wire.ollama_chat.stream_decoder import OllamaStreamDecoder
from providers.wire.ollama_chat.structs import API

WIRE = ProviderWire(
    api=API,
    encode_request=encode_request,
    decode_response=decode_response,
    stream_decoder=OllamaStreamDecoder,
    decode_error=decode_error,
)

__all__ = ["API", "EMBEDDINGS", "WIRE"]
