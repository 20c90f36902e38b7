"""Whole answers in: a chat body to an `LLMResponse`. Imports the model and the errors.

The plan that the model makes before it calls tools (`tool_plan`) is reasoning: the API's reference calls it a chain of
thought, it is no part of the answer, and clients of other APIs would show it to their users, or parse it, as text.
"""

from __future__ import annotations

from msgspec import Raw

from providers.errors import BadResponseError, error_of_event
from providers.model import (
    AssistantMessage,
    Choice,
    LLMResponse,
    OpaquePart,
    Part,
    RawBody,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from providers.wire.cohere_chat.answer_parts import arguments_of, citations_of, is_of_text, logprobs_of
from providers.wire.cohere_chat.errors import failure_info
from providers.wire.cohere_chat.finish import FAILURES, finish_reason_of
from providers.wire.cohere_chat.structs import ANSWER, API, CONTENT, Answer, WireMessage
from providers.wire.cohere_chat.usage import decode_usage
from providers.wire.json_text import UNREADABLE


def decode_response(body: bytes) -> LLMResponse:
    """A whole answer, with `raw` set.

    Raises `BadResponseError` for a body that is no answer, and the `ProviderError` of one that says that it failed.
    """
    try:
        wire = ANSWER.decode(body)
        if wire.finish_reason in FAILURES:
            raise error_of_event(failure_info(wire.finish_reason, wire.error), RawBody(API, body))
        if wire.message is None:
            raise BadResponseError("the provider's answer is JSON, but not a message")
        content = _content(wire.message)
        usage = decode_usage(wire.usage)
    except UNREADABLE as error:
        raise BadResponseError("the provider's answer is not a message in JSON") from error
    return LLMResponse(
        object="chat.completion",
        id=wire.id or "",
        choices=[_choice(wire, content)],
        usage=usage,
        raw=RawBody(API, body),
    )


def _choice(wire: Answer, content: list[Part]) -> Choice:
    return Choice(
        message=AssistantMessage(content=content),
        finish_reason=finish_reason_of(wire.finish_reason) if wire.finish_reason is not None else None,
        native_finish_reason=wire.finish_reason,
        logprobs=logprobs_of(wire.logprobs or ()),
    )


def _content(message: WireMessage) -> list[Part]:
    parts: list[Part] = []
    if message.tool_plan:
        parts.append(ReasoningPart(text=message.tool_plan))
    places: list[Part] = []
    """The content items as parts, by their number on the wire."""
    for raw in message.content or ():
        places.append(_item(raw))
    parts += places
    for citation in message.citations or ():
        number = citation.get("content_index")
        part = places[number] if isinstance(number, int) and 0 <= number < len(places) else None
        if not isinstance(part, TextPart):
            part = next((one for one in places if isinstance(one, TextPart)), None)
        if part is not None and is_of_text(citation):
            part.citations = part.citations + citations_of(citation)
    for call in message.tool_calls or ():
        name = (call.function.name if call.function is not None else None) or ""
        parts.append(ToolCallPart(id=call.id or "", name=name, arguments=arguments_of(call.function) or "{}"))
    for index, part in enumerate(parts):
        part.index = index
    return parts


def _item(raw: Raw) -> Part:
    item = CONTENT.decode(raw)
    if item.type == "thinking" or (item.type is None and item.thinking is not None):
        return ReasoningPart(text=item.thinking or "")
    if item.type in (None, "text"):
        return TextPart(text=item.text or "")
    return OpaquePart(kind=item.type, api=API, raw=raw)
