"""Whole answers in: a body of /api/chat to an `LLMResponse`. Imports the model and the errors."""

from __future__ import annotations

from providers.errors import BadResponseError, error_of_event
from providers.model import AssistantMessage, Choice, LLMResponse, RawBody
from providers.wire.json_text import UNREADABLE
from providers.wire.ollama_chat.answer_reader import AnswerReader, created_of, usage_of
from providers.wire.ollama_chat.errors import error_info
from providers.wire.ollama_chat.structs import ANSWER, API


def decode_response(body: bytes) -> LLMResponse:
    """A whole answer, with `raw` set.

    Raises `BadResponseError` for a body that is no answer, and the `ProviderError` of an error under a good status.
    """
    try:
        wire = ANSWER.decode(body)
    except UNREADABLE as error:
        raise BadResponseError("the provider's answer is not a message in JSON") from error
    if wire.error is not None:
        raise error_of_event(error_info(wire.error), RawBody(API, body))
    if wire.message is None:
        raise BadResponseError("the provider's answer is JSON, but not a message")
    reader = AnswerReader()
    message = AssistantMessage(content=reader.read(wire))
    choice = Choice(message=message, native_finish_reason=wire.done_reason)
    choice.finish_reason = reader.finish_reason(wire)
    choice.logprobs = {"content": wire.logprobs} if wire.logprobs else None
    return LLMResponse(
        object="chat.completion",
        created=created_of(wire),
        model=wire.model or "",
        choices=[choice],
        usage=usage_of(wire),
        raw=RawBody(API, body),
    )
