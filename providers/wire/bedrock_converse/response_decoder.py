"""Whole answers in: a Converse body, or a token count, to an `LLMResponse`. Imports the model and the errors."""

from __future__ import annotations

import msgspec

from providers.errors import BadResponseError
from providers.model import AssistantMessage, Choice, LLMResponse, RawBody, Usage
from providers.wire.bedrock_converse.answer import model_of, stop_sequence_of, tier_of, trace_part
from providers.wire.bedrock_converse.blocks import decode_block
from providers.wire.bedrock_converse.errors import decode_error
from providers.wire.bedrock_converse.finish import finish_reason_of
from providers.wire.bedrock_converse.structs import ANSWER, API
from providers.wire.bedrock_converse.usage import decode_usage
from providers.wire.json_text import UNREADABLE


class _TokenCount(msgspec.Struct, rename="camel"):
    input_tokens: int


_TOKEN_COUNT = msgspec.json.Decoder(_TokenCount)


def decode_response(body: bytes) -> LLMResponse:
    """A whole answer, with `raw` set.

    Raises `BadResponseError` for a body that is not an answer of Converse, and the `ProviderError` of an error's body
    with a good status.
    """
    try:
        wire = ANSWER.decode(body)
        message = wire.output.message if wire.output is not None else None
        if message is None:
            if wire.message is not None:
                raise decode_error(500, body)
            raise BadResponseError("the provider's answer is JSON, but not a message")
        content = [decode_block(block, index) for index, block in enumerate(message.content)]
        usage = decode_usage(wire.usage)
    except UNREADABLE as error:
        raise BadResponseError("the provider's answer is not a message in JSON") from error
    if (trace := trace_part(wire, len(content))) is not None:
        content.append(trace)
    choice = Choice(
        message=AssistantMessage(content=content),
        finish_reason=finish_reason_of(wire.stop_reason) if wire.stop_reason is not None else None,
        native_finish_reason=wire.stop_reason,
        stop_sequence=stop_sequence_of(wire),
    )
    return LLMResponse(
        object="chat.completion",
        model=model_of(wire),
        choices=[choice],
        usage=usage,
        service_tier=tier_of(wire),
        raw=RawBody(API, body),
    )


def decode_token_count(body: bytes) -> LLMResponse:
    """The answer of CountTokens, as `usage.prompt_tokens`. Raises `BadResponseError`."""
    try:
        count = _TOKEN_COUNT.decode(body)
    except UNREADABLE as error:
        raise BadResponseError("the provider's answer is not a token count in JSON") from error
    return LLMResponse(object="token_count", usage=Usage(prompt_tokens=count.input_tokens), raw=RawBody(API, body))
