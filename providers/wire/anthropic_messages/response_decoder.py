"""Whole answers in: a Messages body, or a token count, to an `LLMResponse`. Imports the model and the errors."""

from __future__ import annotations

import msgspec

from providers.errors import BadResponseError
from providers.model import AssistantMessage, Choice, LLMResponse, RawBody, Usage
from providers.wire.anthropic_messages.blocks import decode_block
from providers.wire.anthropic_messages.errors import decode_error
from providers.wire.anthropic_messages.finish import finish_reason_of
from providers.wire.anthropic_messages.structs import API, WIRE_MESSAGE
from providers.wire.anthropic_messages.usage import UsageMeter
from providers.wire.json_text import UNREADABLE


class _TokenCount(msgspec.Struct):
    input_tokens: int


_TOKEN_COUNT = msgspec.json.Decoder(_TokenCount)


def decode_response(body: bytes) -> LLMResponse:
    """A whole answer, with `raw` set.

    Raises `BadResponseError` for a body that is not a message, and the `ProviderError` of an error object, which some
    services send under status 200.
    """
    try:
        message = WIRE_MESSAGE.decode(body)
        if message.content is None and bytes(message.error):
            raise decode_error(200, body)
        if message.content is None:
            raise BadResponseError("the provider's answer is JSON, but not a message")
        content = [decode_block(block, index) for index, block in enumerate(message.content)]
        usage = UsageMeter().update(message.usage)
    except UNREADABLE as error:
        raise BadResponseError("the provider's answer is not a message in JSON") from error
    stop = message.stop_reason
    choice = Choice(
        message=AssistantMessage(content=content),
        finish_reason=finish_reason_of(stop) if stop is not None else None,
        native_finish_reason=stop,
        stop_sequence=message.stop_sequence,
    )
    return LLMResponse(
        object="chat.completion",
        id=message.id,
        model=message.model,
        choices=[choice],
        usage=usage,
        raw=RawBody(API, body),
    )


def decode_token_count(body: bytes) -> LLMResponse:
    """The answer of `/v1/messages/count_tokens`, as `usage.prompt_tokens`. Raises `BadResponseError`."""
    try:
        count = _TOKEN_COUNT.decode(body)
    except UNREADABLE as error:
        raise BadResponseError("the provider's answer is not a token count in JSON") from error
    return LLMResponse(object="token_count", usage=Usage(prompt_tokens=count.input_tokens), raw=RawBody(API, body))
