"""How many tokens a request's input has (https://platform.openai.com/docs/api-reference/responses/input-tokens).

Takes the parameters of a response that make its input, and nothing else. Both directions. Does no I/O.
"""

from __future__ import annotations

import msgspec

from providers.errors import BadResponseError
from providers.model import LLMRequest, LLMResponse, RawBody, Usage
from providers.wire.base import EncodedRequest, Translation
from providers.wire.json_text import FIELDS
from providers.wire.openai_responses.api import API
from providers.wire.openai_responses.relay import relay_request
from providers.wire.openai_responses.request_decoder import read_request
from providers.wire.openai_responses.request_encoder import encode_request

TARGET = "/responses/input_tokens"

_COUNTED = frozenset(
    {
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "text",
        "truncation",
        "conversation",
        "previous_response_id",
    }
)


_NOT_COUNTED = frozenset(
    {
        "background",
        "context_management",
        "include",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "top_logprobs",
        "top_p",
        "user",
    }
)
"""Parameters of a response that the endpoint does not take."""


class _Answer(msgspec.Struct, gc=False):
    input_tokens: int


_ANSWER = msgspec.json.Decoder(_Answer)


def decode_count_request(body: bytes) -> LLMRequest:
    """As `decode_request`, but there need not be any input."""
    return read_request(body, needs_input=False)


def encode_count_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body for `model`. Raises `RequestError` for what the API cannot honour."""
    encoded = encode_request(request, model, translation)
    body = {name: raw for name, raw in FIELDS.decode(encoded.body).items() if name in _COUNTED}
    return msgspec.structs.replace(encoded, body=msgspec.json.encode(body))


def relay_count_request(request: LLMRequest, model: str) -> bytes:
    """The lossless lane, also for the body of a `/responses` request, whose other parameters are left out."""
    fields = FIELDS.decode(relay_request(request, model))
    return msgspec.json.encode({name: raw for name, raw in fields.items() if name not in _NOT_COUNTED})


def decode_token_count(body: bytes) -> LLMResponse:
    """The count, in `usage.prompt_tokens`, with `raw` set. Raises `BadResponseError`."""
    try:
        found = _ANSWER.decode(body)
    except ValueError as error:
        raise BadResponseError("the provider's answer holds no token count") from error
    return LLMResponse(object="token_count", usage=Usage(prompt_tokens=found.input_tokens), raw=RawBody(API, body))


def encode_token_count(response: LLMResponse) -> bytes:
    """The client's answer."""
    if response.raw is not None and response.raw.api == API:
        return response.raw.body
    count = (response.usage and response.usage.prompt_tokens) or 0
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": count})
