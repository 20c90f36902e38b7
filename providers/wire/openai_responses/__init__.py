"""OpenAI Responses, both directions (https://platform.openai.com/docs/api-reference/responses).

The client's side: `request_decoder`, `response_encoder`, `stream_encoder`. The provider's side: `relay` (the lossless
lane), `request_encoder`, `response_decoder`, `stream_decoder`. `errors` serves both. The wire itself is read from
`request_structs` and `response_structs`. Imports the model, the error tree and `providers.wire`; does no I/O.
"""

from __future__ import annotations

from providers.wire.base import Wire
from providers.wire.openai_responses.api import API
from providers.wire.openai_responses.errors import decode_error, encode_error, encode_stream_error
from providers.wire.openai_responses.relay import relay_request
from providers.wire.openai_responses.request_decoder import decode_request
from providers.wire.openai_responses.request_encoder import encode_request
from providers.wire.openai_responses.response_decoder import decode_response
from providers.wire.openai_responses.response_encoder import encode_response
from providers.wire.openai_responses.stream_decoder import ResponsesStreamDecoder
from providers.wire.openai_responses.stream_encoder import ResponsesStreamEncoder

WIRE = Wire(
    api=API,
    decode_request=decode_request,
    encode_response=encode_response,
    stream_encoder=ResponsesStreamEncoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    encode_request=encode_request,
    relay_request=relay_request,
    decode_response=decode_response,
    stream_decoder=ResponsesStreamDecoder,
    decode_error=decode_error,
)

__all__ = ["API", "WIRE", "ResponsesStreamDecoder", "ResponsesStreamEncoder"]
