"""Anthropic Messages, both directions. Imports only the model, the errors and the SSE decoder; does no I/O."""

from __future__ import annotations

from providers.wire.anthropic_messages.count_tokens import (
    decode_count_request,
    encode_count_request,
    relay_count_request,
)
from providers.wire.anthropic_messages.errors import decode_error, encode_error, encode_stream_error
from providers.wire.anthropic_messages.relay import relay_request
from providers.wire.anthropic_messages.request_decoder import decode_request
from providers.wire.anthropic_messages.request_encoder import encode_request
from providers.wire.anthropic_messages.response_decoder import decode_response, decode_token_count
from providers.wire.anthropic_messages.response_encoder import encode_response, encode_token_count
from providers.wire.anthropic_messages.stream_decoder import AnthropicStreamDecoder
from providers.wire.anthropic_messages.stream_encoder import AnthropicStreamEncoder
from providers.wire.anthropic_messages.structs import API
from providers.wire.base import Wire

WIRE = Wire(
    api=API,
    decode_request=decode_request,
    encode_response=encode_response,
    stream_encoder=AnthropicStreamEncoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    encode_request=encode_request,
    relay_request=relay_request,
    decode_response=decode_response,
    stream_decoder=AnthropicStreamDecoder,
    decode_error=decode_error,
)

__all__ = [
    "API",
    "WIRE",
    "AnthropicStreamDecoder",
    "AnthropicStreamEncoder",
    "decode_count_request",
    "decode_token_count",
    "encode_count_request",
    "encode_token_count",
    "relay_count_request",
]
