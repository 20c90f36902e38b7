"""A kept answer as a stream. Pure; imports the model."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from providers.model import (
    Choice,
    Delta,
    LLMResponse,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    chunk_of_whole,
)

PIECE_CHARS = 200
"""Of a text, in one chunk."""

_replace = msgspec.structs.replace


def chunks_of(response: LLMResponse) -> list[LLMResponse]:
    """The answer in chunks: each part by itself, long texts in pieces, then how each choice ended, then the usage."""
    whole = chunk_of_whole(response)
    head = _replace(whole, choices=[], usage=None)
    chunks: list[LLMResponse] = []
    for choice in whole.choices:
        parts = choice.delta.content if choice.delta is not None else []
        for part in parts:
            for piece in _pieces_of(part):
                delta = Delta(role="assistant" if not chunks else None, content=[piece])
                chunks.append(_replace(head, choices=[Choice(index=choice.index, delta=delta)]))
    for choice in whole.choices:
        chunks.append(_replace(head, choices=[_replace(choice, delta=Delta())]))
    if chunks:
        chunks[-1].usage = whole.usage
    return chunks


def _pieces_of(part: Part) -> Iterator[Part]:
    """The part in pieces. What it has beside its text comes at the place where providers have it: names first,
    citations and signatures last."""
    match part:
        case TextPart():
            texts = _cut(part.text)
            for text in texts[:-1]:
                yield TextPart(index=part.index, text=text)
            yield _replace(part, text=texts[-1])
        case ReasoningPart():
            texts = _cut(part.text)
            for text in texts[:-1]:
                yield ReasoningPart(index=part.index, text=text, id=part.id, format=part.format)
            yield _replace(part, text=texts[-1])
        case RefusalPart():
            for text in _cut(part.text):
                yield RefusalPart(index=part.index, text=text)
        case ToolCallPart():
            texts = _cut(part.arguments)
            yield _replace(part, arguments=texts[0])
            for text in texts[1:]:
                yield ToolCallPart(index=part.index, arguments=text, kind=part.kind)
        case _:
            yield part


def _cut(text: str) -> list[str]:
    return [text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS)] or [""]
