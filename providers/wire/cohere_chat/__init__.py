"""Cohere's chat, API version 2, the provider's side (https://docs.cohere.com/reference/chat).

Imports the model, the errors and `providers.wire`; does no I/O.
"""

from __future__ import annotations

from providers.wire.base import ProviderWire
from providers.wire.cohere_chat.embeddings import EMBEDDINGS
from providers.wire.cohere_chat.errors import decode_error
from providers.wire.cohere_chat.request_encoder import encode_request
from providers.wire.cohere_chat.response_decoder import decode_response
from providers.wire.cohere_chat.stream_decoder import CohereStreamDecoder
from providers.wire.cohere_chat.structs import API

WIRE = ProviderWire(
    api=API,
    encode_request=encode_request,
    decode_response=decode_response,
    stream_decoder=CohereStreamDecoder,
    decode_error=decode_error,
)

__all__ = ["API", "EMBEDDINGS", "WIRE"]
