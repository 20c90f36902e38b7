"""Amazon Bedrock's Converse and ConverseStream, the provider's side
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).

A stream is binary frames, read by botocore's parser: it is the extra `bedrock`, imported with the first stream.
Imports the model, the errors and `providers.wire`; does no I/O.
"""

from __future__ import annotations

from providers.wire.base import ProviderWire, StreamDecoder
from providers.wire.bedrock_converse.errors import decode_error, with_type
from providers.wire.bedrock_converse.request_encoder import encode_count_request, encode_request
from providers.wire.bedrock_converse.response_decoder import decode_response, decode_token_count
from providers.wire.bedrock_converse.structs import API


def _stream_decoder() -> StreamDecoder:
    from providers.wire.bedrock_converse.stream_decoder import ConverseStreamDecoder

    return ConverseStreamDecoder()


WIRE = ProviderWire(
    api=API,
    encode_request=encode_request,
    decode_response=decode_response,
    stream_decoder=_stream_decoder,
    decode_error=decode_error,
)

__all__ = ["API", "WIRE", "decode_token_count", "encode_count_request", "with_type"]
