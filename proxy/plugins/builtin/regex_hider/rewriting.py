"""Every text of requests and answers, through a function. Pure; imports the model.

What they hold as JSON (a call's arguments, a block that only one API knows, a tool's schema, parameters that have no
field) goes through a function for JSON. Names that others refer to stay: of models, tools and formats, and ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from providers.model import (
    AudioPart,
    Choice,
    Citation,
    FilePart,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)

T = TypeVar("T")
Extra = dict[str, msgspec.Raw]

_replace = msgspec.structs.replace


class Rewriting(Protocol):
    """What becomes of a text. What comes back equal was not changed."""

    def text(self, text: str) -> str: ...

    def json(self, text: str) -> str:
        """Of a text that is JSON, or should be."""


def rewrite_part(part: Part, rewriting: Rewriting) -> Part:
    """The part with every text rewritten; the same object if none was changed."""
    made = _rewrite_known(part, rewriting)
    extra = rewrite_extra(part.extra, rewriting)
    return made if extra is part.extra else _replace(made, extra=extra)


def rewrite_extra(extra: Extra | None, rewriting: Rewriting) -> Extra | None:
    """Fields that only the client's API knows with every text rewritten; the same object if none was changed."""
    if extra is None:
        return None
    made = {rewriting.text(name): _raw(raw, rewriting) for name, raw in extra.items()}
    return extra if made == extra else made


def _rewrite_known(part: Part, rewriting: Rewriting) -> Part:
    rewrite = rewriting.text
    match part:
        case TextPart():
            text, citations = rewrite(part.text), rewrite_citations(part.citations, rewrite)
            if text == part.text and citations is part.citations:
                return part
            return _replace(part, text=text, citations=citations)
        case ReasoningPart() | RefusalPart():
            return _with(part, rewrite, "text")
        case ToolCallPart():
            return _with(part, rewriting.json if part.kind == "function" else rewrite, "arguments")
        case ToolResultPart():
            content = _each(part.content, lambda inner: rewrite_part(inner, rewriting))
            return part if content is part.content else _replace(part, content=content)
        case AudioPart():
            return _with(part, rewrite, "transcript")
        case ImagePart():
            return _with(part, _address(rewrite), "url")
        case FilePart():
            return _with(_with(part, rewrite, "text", "context", "filename"), _address(rewrite), "url")
        case OpaquePart():
            return rewrite_opaque(_with(part, rewriting.json, "input"), rewriting)


def rewrite_citations(citations: list[Citation], rewrite: Callable[[str], str]) -> list[Citation]:
    """The citations with every text rewritten; the same list if none was changed."""
    made = [
        {name: value if name in ("kind", "api") else _strings(value, rewrite) for name, value in fields.items()}
        for fields in map(msgspec.to_builtins, citations)
    ]
    if all(new == msgspec.to_builtins(old) for new, old in zip(made, citations, strict=True)):
        return citations
    return [msgspec.convert(citation, Citation) for citation in made]


def rewrite_opaque(part: OpaquePart, rewriting: Rewriting) -> OpaquePart:
    """The block with every text in its JSON rewritten."""
    raw = _raw(part.raw, rewriting)
    return part if raw is part.raw else _replace(part, raw=raw)


def rewrite_request(request: LLMRequest, rewriting: Rewriting) -> LLMRequest | None:
    """The request with every text of it rewritten; None: nothing was changed."""
    metadata = request.metadata
    changes = {
        "messages": _each(request.messages, lambda message: _message(message, rewriting)),
        "tools": _each(request.tools, lambda tool: _tool(tool, rewriting)),
        "stop": _each(request.stop, rewriting.text),
        "response_format": _format(request.response_format, rewriting),
        "metadata": _with(metadata, rewriting.text, "user_id"),
        **{name: _parameters(getattr(request, name), rewriting) for name in ("extra", "hints", "kept")},
    }
    changes = {name: value for name, value in changes.items() if value is not getattr(request, name)}
    return _replace(request, **changes, raw=None) if changes else None


def rewrite_response(response: LLMResponse, rewriting: Rewriting) -> LLMResponse | None:
    """A whole answer with every text rewritten; None: nothing was changed."""
    choices = _each(response.choices, lambda choice: _choice(choice, rewriting))
    return None if choices is response.choices else _replace(response, choices=choices, raw=None)


def _choice(choice: Choice, rewriting: Rewriting) -> Choice:
    if choice.message is not None:
        content = _each(choice.message.content, lambda part: rewrite_part(part, rewriting))
        if content is not choice.message.content:
            choice = _replace(choice, message=_replace(choice.message, content=content))
    return choice if choice.logprobs is None else _replace(choice, logprobs=None)


def _message(message: Message, rewriting: Rewriting) -> Message:
    message = _with(message, rewriting.text, "name")
    content = _each(message.content, lambda part: rewrite_part(part, rewriting))
    extra = rewrite_extra(message.extra, rewriting)
    unchanged = content is message.content and extra is message.extra
    return message if unchanged else _replace(message, content=content, extra=extra)


def _tool(tool: Tool, rewriting: Rewriting) -> Tool:
    tool = _with(tool, rewriting.text, "description")
    parameters, raw = _object(tool.parameters, rewriting), _definition(tool, rewriting)
    if parameters is tool.parameters and raw is tool.raw:
        return tool
    return _replace(tool, parameters=parameters, raw=raw)


def _definition(tool: Tool, rewriting: Rewriting) -> dict[str, Any] | None:
    """The definition as its API spells it, but for its type and its name, which the model calls it by."""
    if tool.raw is None:
        return None
    names = {name: value for name, value in tool.raw.items() if name in ("type", "name")}
    rest = {name: value for name, value in tool.raw.items() if name not in names}
    made = _object(rest, rewriting)
    return tool.raw if made is rest else {**names, **(made or {})}


def _format(wanted: ResponseFormat | None, rewriting: Rewriting) -> ResponseFormat | None:
    if wanted is None:
        return None
    wanted = _with(wanted, rewriting.text, "description")
    schema = _object(wanted.schema, rewriting)
    return wanted if schema is wanted.schema else _replace(wanted, schema=schema)


def _parameters(given: Mapping[str, msgspec.Raw], rewriting: Rewriting) -> Mapping[str, msgspec.Raw]:
    made = {name: _raw(value, rewriting) for name, value in given.items()}
    return given if all(made[name] is value for name, value in given.items()) else made


def _object(value: dict[str, Any] | None, rewriting: Rewriting) -> dict[str, Any] | None:
    if value is None:
        return None
    text = msgspec.json.encode(value).decode()
    made = rewriting.json(text)
    return value if made == text else msgspec.json.decode(made, type=dict[str, Any])


def _raw(raw: msgspec.Raw, rewriting: Rewriting) -> msgspec.Raw:
    text = bytes(raw).decode()
    made = rewriting.json(text) if text else text
    return raw if made == text else msgspec.Raw(made.encode())


def _strings(value: Any, rewrite: Callable[[str], str]) -> Any:
    """A JSON value with every string in it rewritten. Its numbers are places in texts."""
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, list):
        return [_strings(inner, rewrite) for inner in value]
    if isinstance(value, dict):
        return {rewrite(name): _strings(inner, rewrite) for name, inner in value.items()}
    return value


def _with(struct: T, rewrite: Callable[[str], str], *fields: str) -> T:
    changes: dict[str, str] = {}
    for field in fields:
        old = getattr(struct, field)
        if old is not None and (new := rewrite(old)) != old:
            changes[field] = new
    return _replace(struct, **changes) if changes else struct  # type: ignore[type-var]


def _each(items: Sequence[T], rewrite: Callable[[T], T]) -> Sequence[T]:
    """The items rewritten; the same list if all of them are what they were."""
    made = [rewrite(item) for item in items]
    return items if all(new is old or new == old for new, old in zip(made, items, strict=True)) else made


def _address(rewrite: Callable[[str], str]) -> Callable[[str], str]:
    """For addresses; one that holds the picture itself stays."""
    return lambda url: url if url.startswith("data:") else rewrite(url)
