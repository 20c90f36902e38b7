"""A whole answer (`chat.completion`) of a provider, as a response of the model. Does no I/O."""

from __future__ import annotations

from providers.errors import BadResponseError
from providers.model import AssistantMessage, Choice, LLMResponse, RawBody
from providers.wire.lenient import decode_leniently
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.choice_reader import ChoiceReader
from providers.wire.openai_chat.errors import error_in_answer
from providers.wire.openai_chat.finish import matched_stop, normal_finish_reason
from providers.wire.openai_chat.reasoning import message_reasoning
from providers.wire.openai_chat.response_structs import EVENT, NO_RAW, ChatChoice, ChatEvent
from providers.wire.openai_chat.usage import decode_usage


def decode_response(body: bytes) -> LLMResponse:
    """The answer, with `raw` set.

    A JSON object without choices has none here either: it can be relayed to clients of the same API, not translated.
    Raises `BadResponseError` for what is no JSON object, and `ProviderError` for an error sent with a good status.
    """
    wire = _decode(body)
    if wire.error != NO_RAW or wire.object == "error":
        error = error_in_answer(body)
        if error is not None:
            raise error
    usage = decode_usage(wire.usage)
    if usage is None and wire.x_groq is not None:
        usage = decode_usage(wire.x_groq.usage)
    return LLMResponse(
        id=wire.id or "",
        object=wire.object or "chat.completion",
        created=int(wire.created or 0),
        model=wire.model or "",
        choices=[_choice(choice, position, wire.citations) for position, choice in enumerate(wire.choices or ())],
        usage=usage,
        system_fingerprint=wire.system_fingerprint,
        service_tier=wire.service_tier,
        raw=RawBody(API, body),
    )


def _decode(body: bytes) -> ChatEvent:
    try:
        return EVENT.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        wire = decode_leniently(body, EVENT)
    except ValueError as error:
        raise BadResponseError("the provider's answer is not JSON") from error
    if wire is None:
        raise BadResponseError("the provider's answer is not a JSON object")
    return wire


def _choice(wire: ChatChoice, position: int, sources: list[str] | None) -> Choice:
    reader = ChoiceReader()
    message = AssistantMessage()
    wire_message = wire.message or wire.delta
    if wire_message is not None:
        # Each call of a whole message is one of its own, whatever its `index` says.
        for place, call in enumerate(wire_message.tool_calls or ()):
            call.index = place
        plain = wire_message.reasoning_content or wire_message.reasoning
        reasoning = message_reasoning(plain, wire_message.reasoning_details)
        wire_message.reasoning_content = wire_message.reasoning = wire_message.reasoning_details = None
        message.content = [*reasoning, *reader.read(wire_message)]
    elif wire.text:
        message.content = reader.read_text(wire.text)
    if sources:
        reader.read_sources(sources, message.content)
    for index, part in enumerate(message.content):
        part.index = index
    choice = Choice(
        index=position if wire.index is None else wire.index,
        message=message,
        logprobs=wire.logprobs,
        native_finish_reason=wire.finish_reason,
    )
    if wire.finish_reason is not None:
        choice.finish_reason = normal_finish_reason(wire.finish_reason)
        # Snowflake leaves it empty.
        if not wire.finish_reason and message.tool_calls:
            choice.finish_reason = "tool_calls"
        choice.stop_sequence = matched_stop(choice.finish_reason, wire.stop_reason, wire.matched_stop)
    return choice
