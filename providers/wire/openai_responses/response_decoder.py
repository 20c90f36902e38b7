"""A whole answer (`response`) of a provider, as a response of the model. Does no I/O."""

from __future__ import annotations

from typing import Any

from providers.errors import BadResponseError
from providers.model import Accumulator, AssistantMessage, Choice, Delta, LLMResponse, Part, RawBody
from providers.wire.lenient import decode_leniently
from providers.wire.openai_chat.errors import error_in_answer
from providers.wire.openai_responses.answer_reader import AnswerReader, read_item
from providers.wire.openai_responses.api import API
from providers.wire.openai_responses.errors import failure_of
from providers.wire.openai_responses.finish import finish_reason_of
from providers.wire.openai_responses.response_structs import RESPONSE, WireResponse, is_given
from providers.wire.openai_responses.usage import decode_usage


def decode_response(body: bytes) -> LLMResponse:
    """The answer, with `raw` set.

    One that is still in the works (`background`) has its choice, without a finish reason. One that failed has `error`
    in place of choices: it can be relayed to clients of the same API, to others it is an error. Raises
    `BadResponseError` for what is no JSON object, and `ProviderError` for an error object sent with a good status.
    """
    wire = read_response(body)
    if wire.output is None and is_given(wire.error) and wire.status is None:
        error = error_in_answer(body)
        if error is not None:
            error.raw = RawBody(API, body) if error.raw is not None else None
            raise error
    response = head_of(wire)
    response.object = "chat.completion"
    response.raw = RawBody(API, body)
    response.usage = decode_usage(wire.usage)
    if wire.status == "failed":
        response.error = failure_of(wire.error)
    elif wire.output is not None:
        response.choices = [_choice(wire)]
    return response


def read_response(body: bytes) -> WireResponse:
    """The response object. Raises `BadResponseError`."""
    try:
        return RESPONSE.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        wire = decode_leniently(body, RESPONSE)
    except ValueError as error:
        raise BadResponseError("the provider's answer is not JSON") from error
    if wire is None:
        raise BadResponseError("the provider's answer is not a JSON object")
    return wire


def head_of(wire: WireResponse) -> LLMResponse:
    """What a response object says of itself, as a chunk without choices."""
    return LLMResponse(
        id=wire.id or "",
        created=int(wire.created_at or 0),
        model=wire.model or "",
        service_tier=wire.service_tier,
    )


def _choice(wire: WireResponse) -> Choice:
    reader = AnswerReader()
    parts = reader.read_output(wire.output or [])
    reason = wire.incomplete_details.reason if wire.incomplete_details is not None else None
    return Choice(
        message=AssistantMessage(content=_merged(parts)),
        finish_reason=finish_reason_of(wire.status or "completed", reason, has_calls=reader.has_calls),
        native_finish_reason=reason or wire.status,
        logprobs=_logprobs(wire),
    )


def _merged(parts: list[Part]) -> list[Part]:
    """The parts, pieces of one index joined (a text and its annotations, a summary and its signature)."""
    accumulator = Accumulator()
    accumulator.add(LLMResponse(choices=[Choice(delta=Delta(content=parts))]))
    message = accumulator.response().choices[0].message
    return message.content if message is not None else []


def _logprobs(wire: WireResponse) -> dict[str, Any] | None:
    """Those of all texts, in their order."""
    found: list[Any] = []
    for raw in wire.output or ():
        if b'"logprobs"' in bytes(raw):
            for content in read_item(raw).content or ():
                found += content.logprobs or ()
    return {"content": found} if found else None
