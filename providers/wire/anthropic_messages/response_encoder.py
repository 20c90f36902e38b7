"""Whole answers out: an `LLMResponse` to a Messages body, or to a token count. Imports the model."""

from __future__ import annotations

import secrets

import msgspec
from msgspec import Raw

from providers.model import (
    LLMRequest,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    part_kind,
    with_signature_blocks,
)
from providers.wire.anthropic_messages.finish import stop_reason_of
from providers.wire.anthropic_messages.structs import API, SIGNATURE_FORMAT
from providers.wire.anthropic_messages.usage import encode_usage
from providers.wire.json_text import FIELDS, json_object
from providers.wire.seals import seal

Block = dict[str, object] | Raw


def encode_response(response: LLMResponse, request: LLMRequest) -> bytes:
    """A whole answer as a Messages body: the provider's own bytes while `raw` holds them, else made from the fields.

    Only the first choice is told, since a Messages answer has one. Tool arguments that are not a JSON object, as in an
    answer cut by its token limit, become `{}`: the wire has no place for a piece of JSON. What is lost by it goes into
    `notes.unsaid`, as does what the API cannot say (audio, images, another API's opaque parts and citations).
    """
    if response.raw is not None and response.raw.api == API:
        return response.raw.body
    choice = next((choice for choice in response.choices if choice.index == 0), None)
    message = choice.message if choice is not None else None
    parts = message.content if message is not None else []
    blocks = [block for part in with_signature_blocks(parts) if (block := encode_part(part)) is not None]
    unsaid = request.notes.unsaid
    unsaid += ["choice" for other in response.choices if other.index != 0]
    for part in parts:
        unsaid += _unsaid(part)
    sequence = choice.stop_sequence if choice is not None else None
    return msgspec.json.encode(
        {
            "id": response.id or new_message_id(),
            "type": "message",
            "role": "assistant",
            "model": response.model or request.model,
            "content": blocks,
            "stop_reason": stop_reason_of(
                choice.finish_reason if choice is not None else None,
                choice.native_finish_reason if choice is not None else None,
                sequence,
                has_tool_call=any(isinstance(part, ToolCallPart) for part in parts),
            ),
            "stop_sequence": sequence,
            "usage": encode_usage(response.usage),
        }
    )


def encode_token_count(response: LLMResponse) -> bytes:
    """The answer of `/v1/messages/count_tokens`."""
    if response.raw is not None and response.raw.api == API:
        return response.raw.body
    return msgspec.json.encode({"input_tokens": (response.usage and response.usage.prompt_tokens) or 0})


def new_message_id() -> str:
    """An id for an answer whose provider gave none."""
    return "msg_" + secrets.token_hex(12)


def encode_part(part: Part) -> Block | None:
    """A part of an answer as a block; None for one that an Anthropic client has no block for, or an empty text.

    Reasoning that nobody signed gets the empty signature, since the SDKs' type demands one; what another provider
    signed is sealed. Neither is sent on to Anthropic when the client gives it back.
    """
    match part:
        case TextPart():
            block: dict[str, object] = {"type": "text", "text": part.text}
            if part.citations:
                own = [citation.raw for citation in part.citations if citation.api == API and citation.raw is not None]
                block["citations"] = own or None
            return block if part.text else None
        case RefusalPart():
            return {"type": "text", "text": part.text} if part.text else None
        case ReasoningPart():
            sealed = seal(part, (SIGNATURE_FORMAT,))
            if part.redacted:
                return {"type": "redacted_thinking", "data": sealed}
            return {"type": "thinking", "thinking": part.text, "signature": sealed}
        case ToolCallPart():
            arguments = json_object(part.arguments)
            if part.kind == "custom":
                arguments = Raw(msgspec.json.encode({"input": part.arguments}))
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments or Raw(b"{}")}
        case OpaquePart():
            return encode_opaque(part)
        case _:
            return None


def _unsaid(part: Part) -> list[str]:
    """What of a part `encode_part` leaves out."""
    match part:
        case TextPart():
            return ["citation" for citation in part.citations if citation.api != API or citation.raw is None]
        case ToolCallPart(kind="function") if part.arguments.strip() and json_object(part.arguments) is None:
            return ["arguments"]
        case RefusalPart() | ReasoningPart() | ToolCallPart():
            return []
        case _:
            return [part_kind(part)] if encode_part(part) is None else []


def encode_opaque(part: OpaquePart) -> Raw | None:
    """An opaque block of this API as it came, with the `input` that was streamed after its start put in."""
    if part.api != API or not bytes(part.raw):
        return None
    if (streamed := json_object(part.input)) is None:
        return part.raw
    return Raw(msgspec.json.encode({**FIELDS.decode(part.raw), "input": streamed}))
