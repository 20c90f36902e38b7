"""Every text in a part of a message, through a function. Pure; imports the model.

What a part holds as JSON (a call's arguments, a block that only one API knows) is taken apart, so that a text in it is
seen as the model reads it and not as JSON writes it, and put together again only if something in it was changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from providers.model import (
    AudioPart,
    Citation,
    FilePart,
    LLMRequest,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

Rewrite = Callable[[str], str]
Extra = dict[str, Raw]

_replace = msgspec.structs.replace


def rewrite_part(part: Part, rewrite: Rewrite) -> Part:
    """The part with every text rewritten; the same object if none was changed."""
    made = _rewrite_known(part, rewrite)
    extra = rewrite_extra(part.extra, rewrite)
    return made if extra is part.extra else _replace(made, extra=extra)


def rewrite_extra(extra: Extra | None, rewrite: Rewrite) -> Extra | None:
    """Fields that only the client's API knows with every text rewritten; the same object if none was changed."""
    if extra is None:
        return None
    made = {rewrite(name): Raw(rewrite_json_text(bytes(raw).decode(), rewrite).encode()) for name, raw in extra.items()}
    return extra if made == extra else made


def _rewrite_known(part: Part, rewrite: Rewrite) -> Part:
    match part:
        case TextPart():
            text, citations = rewrite(part.text), rewrite_citations(part.citations, rewrite)
            if text == part.text and citations is part.citations:
                return part
            return _replace(part, text=text, citations=citations)
        case ReasoningPart() | RefusalPart():
            return _with(part, "text", rewrite(part.text))
        case ToolCallPart():
            inner = rewrite_json_text if part.kind == "function" else _plainly
            return _with(part, "arguments", inner(part.arguments, rewrite))
        case ToolResultPart():
            content = [rewrite_part(inner, rewrite) for inner in part.content]
            same = all(new is old for new, old in zip(content, part.content, strict=True))
            return part if same else _replace(part, content=content)
        case AudioPart():
            return _with(part, "transcript", rewrite(part.transcript))
        case FilePart():
            return _file(part, rewrite)
        case OpaquePart():
            made = rewrite_json_text(part.input, rewrite)
            return rewrite_opaque(part if made == part.input else _replace(part, input=made), rewrite)
    return part


def rewrite_citations(citations: list[Citation], rewrite: Rewrite) -> list[Citation]:
    """The citations with every text rewritten; the same list if none was changed."""
    made = [rewrite_value(msgspec.to_builtins(citation), rewrite) for citation in citations]
    if all(new == msgspec.to_builtins(old) for new, old in zip(made, citations, strict=True)):
        return citations
    return [msgspec.convert(citation, Citation) for citation in made]


def rewrite_opaque(part: OpaquePart, rewrite: Rewrite) -> OpaquePart:
    """The block with every text in its JSON rewritten."""
    raw = bytes(part.raw)
    if not raw:
        return part
    made = rewrite_json_text(raw.decode(), rewrite).encode()
    return part if made == raw else _replace(part, raw=Raw(made))


def rewrite_json_text(text: str, rewrite: Rewrite) -> str:
    """A JSON text with every string in it rewritten, names of members too. What is no JSON is rewritten as it is."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return rewrite(text)
    made = rewrite_value(value, rewrite)
    return text if made == value else msgspec.json.encode(made).decode()


def rewrite_value(value: Any, rewrite: Rewrite) -> Any:
    """A JSON value with every string in it rewritten."""
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, list):
        return [rewrite_value(inner, rewrite) for inner in value]
    if isinstance(value, dict):
        return {rewrite(name): rewrite_value(inner, rewrite) for name, inner in value.items()}
    return value


def rewrite_request(request: LLMRequest, rewrite: Rewrite) -> LLMRequest | None:
    """The request with every text of its messages rewritten; None: nothing was changed."""
    messages = []
    changed = False
    for message in request.messages:
        content = [rewrite_part(part, rewrite) for part in message.content]
        extra = rewrite_extra(message.extra, rewrite)
        if extra is not message.extra or any(new is not old for new, old in zip(content, message.content, strict=True)):
            message = _replace(message, content=content, extra=extra)
            changed = True
        messages.append(message)
    return _replace(request, messages=messages, raw=None) if changed else None


def rewrite_response(response: LLMResponse, rewrite: Rewrite) -> LLMResponse | None:
    """A whole answer with every text rewritten; None: nothing was changed."""
    choices = []
    changed = False
    for choice in response.choices:
        if choice.message is not None:
            content = [rewrite_part(part, rewrite) for part in choice.message.content]
            if any(new is not old for new, old in zip(content, choice.message.content, strict=True)):
                choice = _replace(choice, message=_replace(choice.message, content=content))
                changed = True
        if choice.logprobs is not None:
            choice = _replace(choice, logprobs=None)
            changed = True
        choices.append(choice)
    return _replace(response, choices=choices, raw=None) if changed else None


def _with(part: Part, field: str, text: str) -> Part:
    return part if getattr(part, field) == text else _replace(part, **{field: text})


def _plainly(text: str, rewrite: Rewrite) -> str:
    return rewrite(text)


def _file(part: FilePart, rewrite: Rewrite) -> FilePart:
    changes: dict[str, Any] = {}
    for field in ("text", "context", "filename"):
        old = getattr(part, field)
        if old is not None and (new := rewrite(old)) != old:
            changes[field] = new
    return _replace(part, **changes) if changes else part
