"""OpenAI's legacy Completions, both sides (https://platform.openai.com/docs/api-reference/completions).

A prompt that is continued is no conversation, so such a request goes to providers of the same API only. The model in
the middle holds a prompt of one text as a user message, for plugins to see and change. Answers are Chat's with `text`
in the place of a message, so Chat's decoders read them. Does no I/O.
"""

from __future__ import annotations

from providers.wire.base import Wire
from providers.wire.openai_chat.errors import decode_error, encode_error, encode_stream_error
from providers.wire.openai_chat.relay import relay_request
from providers.wire.openai_completions.answers import (
    CompletionStreamDecoder,
    CompletionStreamEncoder,
    decode_response,
    encode_response,
)
from providers.wire.openai_completions.api import API
from providers.wire.openai_completions.requests import decode_request, encode_request

WIRE = Wire(
    api=API,
    decode_request=decode_request,
    encode_response=encode_response,
    stream_encoder=CompletionStreamEncoder,
    encode_error=encode_error,
    encode_stream_error=encode_stream_error,
    encode_request=encode_request,
    relay_request=relay_request,
    decode_response=decode_response,
    stream_decoder=CompletionStreamDecoder,
    decode_error=decode_error,
)

__all__ = ["WIRE"]
