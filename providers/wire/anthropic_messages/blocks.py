"""Blocks of an answer as parts of the model. Imports only the model and the wire's Structs."""

from __future__ import annotations

from msgspec import Raw

from providers.model import Citation, JSONObject, OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart
from providers.wire.anthropic_messages.structs import (
    API,
    REDACTED_BLOCK,
    SIGNATURE_FORMAT,
    TEXT_BLOCK,
    THINKING_BLOCK,
    TOOL_USE_BLOCK,
    TYPED,
)
from providers.wire.json_text import text_of


def decode_block(raw: Raw, index: int) -> Part:
    """One block of an answer. What is not text, reasoning or a tool call for the client is opaque.

    Raises what msgspec raises for a block without `type`, or of a known type but without its fields.
    """
    match TYPED.decode(raw).type:
        case "text":
            text = TEXT_BLOCK.decode(raw)
            citations = [decode_citation(citation) for citation in text.citations or ()]
            return TextPart(index=index, text=text.text, citations=citations)
        case "thinking":
            thinking = THINKING_BLOCK.decode(raw)
            return ReasoningPart(
                index=index, text=thinking.thinking, signature=thinking.signature or "", format=SIGNATURE_FORMAT
            )
        case "redacted_thinking":
            return ReasoningPart(index=index, redacted=REDACTED_BLOCK.decode(raw).data, format=SIGNATURE_FORMAT)
        case "tool_use":
            call = TOOL_USE_BLOCK.decode(raw)
            return ToolCallPart(index=index, id=call.id, name=call.name, arguments=text_of(call.input))
        case kind:
            return OpaquePart(index=index, kind=kind, api=API, raw=raw)


def decode_citation(citation: JSONObject) -> Citation:
    """A citation of any kind. Its character positions count in the source, not in the answer: they stay in `raw`."""
    title = citation.get("title")
    return Citation(
        kind=_string(citation, "type") or "",
        url=_string(citation, "url"),
        title=title if isinstance(title, str) else _string(citation, "document_title"),
        cited_text=_string(citation, "cited_text"),
        api=API,
        raw=citation,
    )


def _string(value: JSONObject, name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) else None
