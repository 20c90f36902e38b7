"""Gemini's generateContent, both directions (https://ai.google.dev/api/generate-content), of AI Studio and of Vertex.

The client's side: `request_decoder`, `response_encoder`, `stream_encoder`. The provider's side: `relay` (the lossless
lane), `request_encoder`, `response_decoder`, `stream_decoder`. `errors`, `media`, `signatures` and `usage` serve both.
Answers are read from `structs`. The body of a request names no model: the path does. Does no I/O.
"""

from __future__ import annotations

import msgspec

from providers.wire.base import Wire
from providers.wire.gemini_generate.count_tokens import encode_count_request, relay_count_request
from providers.wire.gemini_generate.errors import decode_error, encode_error, encode_stream_error
from providers.wire.gemini_generate.paths import completion_target, method_target, model_path
from providers.wire.gemini_generate.relay import relay_request
from providers.wire.gemini_generate.request_decoder import decode_count_request, decode_request
from providers.wire.gemini_generate.request_encoder import encode_request, encode_vertex_request
from providers.wire.gemini_generate.response_decoder import decode_response, decode_token_count
from providers.wire.gemini_generate.response_encoder import encode_response, encode_token_count
from providers.wire.gemini_generate.stream_decoder import GeminiStreamDecoder
from providers.wire.gemini_generate.stream_encoder import GeminiStreamEncoder
from providers.wire.gemini_generate.structs import API

WIRE = Wire(
    api=API,
    decode_request=decode_request,
    encode_response=encode_response,
    stream_encoder=GeminiStreamEncoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    encode_request=encode_request,
    relay_request=relay_request,
    decode_response=decode_response,
    stream_decoder=GeminiStreamDecoder,
    decode_error=decode_error,
)

VERTEX_WIRE = msgspec.structs.replace(WIRE, encode_request=encode_vertex_request)
"""The same API at Vertex AI, which takes more of a request."""

__all__ = [
    "API",
    "VERTEX_WIRE",
    "WIRE",
    "completion_target",
    "decode_count_request",
    "decode_token_count",
    "encode_count_request",
    "encode_token_count",
    "method_target",
    "model_path",
    "relay_count_request",
]
