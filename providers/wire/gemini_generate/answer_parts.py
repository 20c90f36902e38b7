"""What whole and streamed answers to Gemini clients have in common: the head, parts, tool calls. Imports the model."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import msgspec
from msgspec import Raw

from providers.model import (
    AudioPart,
    Citation,
    FilePart,
    ImagePart,
    LLMRequest,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from providers.wire.gemini_generate.citations import encode_citation
from providers.wire.gemini_generate.media import audio_type, file_data, inline_data
from providers.wire.gemini_generate.signatures import encode_signature
from providers.wire.gemini_generate.structs import API
from providers.wire.json_text import json_object
from providers.wire.media_types import media_type_of_name

WireObject = dict[str, Any]


def answer_head(response: LLMResponse, request: LLMRequest) -> WireObject:
    """The fields that come after the candidates. What the provider did not say is made up."""
    return {
        "modelVersion": response.model or request.model,
        "responseId": response.id or secrets.token_urlsafe(16),
    }


def encode_part(part: Part) -> WireObject | Raw | None:
    """A whole part of an answer; None for one that a Gemini client has no place for, or an empty text.

    Tool arguments that are not a JSON object, as in an answer cut by its token limit, have no place here: such a call
    is left out, since with other arguments it would be another call.
    """
    match part:
        case TextPart() | RefusalPart():
            return text_part(part)
        case ReasoningPart():
            return reasoning_part(part.text, part)
        case ToolCallPart():
            return call_part(part, part.arguments)
        case ImagePart():
            return _signed(_media(part.data, part.url or part.file_id, part.media_type or "image/png"), part.signature)
        case AudioPart():
            return _media(part.data or None, None, audio_type(part))
        case FilePart():
            data = base64.b64encode(part.text.encode()).decode() if part.text is not None else part.data
            default = "text/plain" if part.text is not None else media_type_of_name(part.filename, "application/pdf")
            return _media(data, part.url or part.file_id, part.media_type or default)
        case OpaquePart() if part.api == API and bytes(part.raw):
            return part.raw
        case _:
            return None


def text_part(part: TextPart | RefusalPart) -> WireObject | None:
    """A text, or a piece of one."""
    signature = part.signature if isinstance(part, TextPart) else ""
    return _signed({"text": part.text}, signature) if part.text or signature else None


def reasoning_part(text: str, block: ReasoningPart) -> WireObject | None:
    """A thought, or a piece of one. `block` has what is signed."""
    signature = encode_signature(block)
    return _signed({"text": text, "thought": True}, signature) if text or signature else None


def call_part(head: ToolCallPart, arguments: str) -> WireObject | None:
    """A function call with these arguments; None if they are not complete."""
    args = json_object(arguments or "{}")
    if head.kind == "custom":
        args = Raw(msgspec.json.encode({"input": arguments}))
    if args is None:
        return None
    call: WireObject = {"name": head.name, "args": args}
    if head.id:
        call["id"] = head.id
    return _signed({"functionCall": call}, head.signature)


def citation_metadata(citations: list[Citation]) -> tuple[WireObject | None, int]:
    """The citations that this API can say, and how many it cannot."""
    said = [wire for citation in citations if (wire := encode_citation(citation)) is not None]
    return ({"citations": said} if said else None), len(citations) - len(said)


def _signed(part: WireObject | None, signature: str) -> WireObject | None:
    return {**part, "thoughtSignature": signature} if part is not None and signature else part


def _media(data: str | None, uri: str | None, media_type: str) -> WireObject | None:
    if data is not None:
        return inline_data(data, media_type)
    return file_data(uri, media_type) if uri is not None else None
