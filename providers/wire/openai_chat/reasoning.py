"""Reasoning on this wire: plain text in `reasoning_content`, signed or redacted blocks whole in `reasoning_details`.

Used in both directions: assistant messages of a request hold the same fields as answers. Imports the model.
"""

from __future__ import annotations

from typing import Any

from providers.model import ReasoningPart
from providers.wire.openai_chat.response_structs import ReasoningDetail


def detail_text(detail: ReasoningDetail) -> str:
    """What the detail says in the clear: the reasoning itself or its summary."""
    return detail.text or detail.summary or ""


def detail_part(detail: ReasoningDetail, index: int) -> ReasoningPart | None:
    """The part that a detail is (or extends); None if the detail says nothing."""
    text = detail_text(detail)
    if not text and not detail.signature and not detail.data:
        return None
    return ReasoningPart(
        index=index,
        text=text,
        signature=detail.signature or "",
        redacted=detail.data or "",
        id=detail.id or None,
        format=detail.format or None,
    )


def part_detail(part: ReasoningPart, index: int) -> dict[str, Any]:
    """A signed or redacted block as an entry of `reasoning_details`. `index` is its place among them."""
    detail: dict[str, Any]
    if part.redacted:
        detail = {"type": "reasoning.encrypted", "data": part.redacted}
    else:
        detail = {"type": "reasoning.text", "text": part.text}
        if part.signature:
            detail["signature"] = part.signature
    if part.id is not None:
        detail["id"] = part.id
    if part.format is not None:
        detail["format"] = part.format
    detail["index"] = index
    return detail


def needs_detail(part: ReasoningPart) -> bool:
    """Whether the block must come back whole in the next request: it is signed, or part of one that has a name."""
    return bool(part.signature or part.redacted or part.id)


def message_reasoning(
    plain: str | None, details: list[ReasoningDetail] | None, first_index: int = 0
) -> list[ReasoningPart]:
    """The reasoning of a whole message.

    Both fields usually say the same, so the details win. Details without any text (only encrypted ones) do not: then
    the plain text is all that a reader can see, and stands before them.
    """
    parts: list[ReasoningPart] = []
    if plain and not any(detail_text(detail) for detail in details or ()):
        parts.append(ReasoningPart(index=first_index, text=plain))
    for detail in details or ():
        part = detail_part(detail, first_index + len(parts))
        if part is not None:
            parts.append(part)
    return parts
