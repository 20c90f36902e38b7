"""Whole answers in: a generateContent body, or a token count, to an `LLMResponse`. Imports the model and the errors."""

from __future__ import annotations

import msgspec

from providers.errors import BadResponseError
from providers.model import Accumulator, LLMResponse, RawBody, TokenDetails, Usage
from providers.wire.gemini_generate.answer_reader import AnswerReader, decode_body
from providers.wire.gemini_generate.errors import decode_error
from providers.wire.gemini_generate.structs import API, given


class _TokenCount(msgspec.Struct, rename="camel"):
    total_tokens: int
    cached_content_token_count: int | None = None


_TOKEN_COUNT = msgspec.json.Decoder(_TokenCount, strict=False)


def decode_response(body: bytes) -> LLMResponse:
    """A whole answer, with `raw` set.

    A JSON object that is no answer has no choices: it can be relayed to clients of the same API, not translated. Raises
    `BadResponseError` for what is no JSON object, and the `ProviderError` of an error sent with a good status.
    """
    try:
        wire, _ = decode_body(body)
    except ValueError as error:
        raise BadResponseError("the provider's answer is not JSON") from error
    if wire is None:
        raise BadResponseError("the provider's answer is not a JSON object")
    if given(wire.error):
        raise decode_error(200, body)
    try:
        chunk = AnswerReader().read(wire, body)
    except ValueError as error:
        raise BadResponseError("the provider's answer is not a message in JSON") from error
    whole = Accumulator()
    whole.add(chunk)
    response = whole.response()
    response.raw = RawBody(API, body)
    return response


def decode_token_count(body: bytes) -> LLMResponse:
    """The answer of countTokens, as `usage.prompt_tokens`. Raises `BadResponseError`."""
    try:
        count = _TOKEN_COUNT.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadResponseError("the provider's answer is not a token count in JSON") from error
    cached = count.cached_content_token_count
    details = None if cached is None else TokenDetails(cached_tokens=cached)
    usage = Usage(prompt_tokens=count.total_tokens, details=details)
    return LLMResponse(object="token_count", usage=usage, raw=RawBody(API, body))
