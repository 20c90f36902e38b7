"""What messages hold that only the client's API knows, on the way to another one: said in other words, refused or
dropped by name, the same way on every wire. Imports the model.

| what | becomes |
|---|---|
| a search result, or a document made of blocks (Anthropic) | a text of its title, source and texts; its images follow |
| any other block in a message of the client's (user, system, the result of a tool) | refused: the model would answer \
without it |
| any other block in a message of the model's | dropped: the texts that came of it stay |
| a field of a message or a part that the model in the middle has no field for (`extra`) | dropped |
| a field of another type than the client's API defines (`unread`) | an error |
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from providers.errors import RequestError
from providers.model import ImagePart, JSONObject, LLMRequest, Message, OpaquePart, Part, TextPart, ToolResultPart
from providers.wire.base import Translation
from providers.wire.extra_fields import Extra, says_something
from providers.wire.json_text import UNREADABLE

_ANTHROPIC = "anthropic-messages"

_UNTOLD: dict[str, frozenset[str]] = {
    "openai-responses": frozenset({"id", "status", "item.id", "item.status"}),
}
"""Fields that mean something to the client's API alone and ask nothing of another."""

_MOST_NAMES, _LONGEST_NAME = 30, 64
"""A client may make up any number of fields, and they are told in a header."""


def messages_for(api: str, request: LLMRequest, translation: Translation) -> list[Message]:
    """The request's messages, in which only blocks of `api` are opaque. Changes none of those that the request has.

    `api`: the target's; an empty one for a wire that has no opaque blocks in requests. Raises
    `UnsupportedParameterError` through `translation`, and `RequestError` for a field that could not be read.
    """
    if request.metadata.api not in ("", api):
        for param, wrong in request.unread.items():
            raise RequestError(wrong.message, param=param, code=wrong.code)
        _tell_extra(request, translation)
    found: list[Message] = []
    for message in request.messages:
        content = _sayable(message.content, message.role, api, translation)
        found.append(message if content is message.content else msgspec.structs.replace(message, content=content))
    return found


def _tell_extra(request: LLMRequest, translation: Translation) -> None:
    """Name the fields that go no further."""
    untold = _UNTOLD.get(request.metadata.api, frozenset())
    names: dict[str, None] = {}
    for message in request.messages:
        _add_names(message.extra, "messages[]", untold, names)
        for part in _all_parts(message.content):
            if part.extra is not None:
                kind = part.kind if isinstance(part, OpaquePart) else part.__struct_config__.tag
                _add_names(part.extra, f"messages[].content[{kind}]", untold, names)
    for name in list(names)[:_MOST_NAMES]:
        translation.drop(name)
    if len(names) > _MOST_NAMES:
        translation.drop("messages[].*")


def _add_names(extra: Extra | None, place: str, untold: frozenset[str], names: dict[str, None]) -> None:
    for name, value in (extra or {}).items():
        if name not in untold and says_something(value):
            names[f"{place}.{name[:_LONGEST_NAME]}"] = None


def _all_parts(parts: list[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        if isinstance(part, ToolResultPart):
            yield from part.content


def _sayable(parts: list[Part], role: str, api: str, translation: Translation) -> list[Part]:
    """The same list if nothing in it has to change."""
    said: list[Part] = []
    changed = False
    for part in parts:
        if isinstance(part, OpaquePart) and (part.api != api or not api):
            said += _instead(part, role, translation)
            changed = True
            continue
        if isinstance(part, ToolResultPart):
            content = _sayable(part.content, "tool", api, translation)
            if content is not part.content:
                part = msgspec.structs.replace(part, content=content)
                changed = True
        said.append(part)
    return said if changed else parts


def _instead(part: OpaquePart, role: str, translation: Translation) -> list[Part]:
    name = f"messages[].content[{part.kind}]"
    told = _in_words(part, name, translation)
    if told is not None:
        return told
    if role == "assistant":
        translation.drop(name)
    else:
        translation.refuse(part.place or name, f"it has nothing like '{part.kind}'", dropped_as=name)
    return []


# --- Anthropic's search results and documents of blocks ---------------------------------------------------------------


class _Source(msgspec.Struct):
    type: str = ""
    content: str | list[Raw] = ""
    data: str = ""
    url: str = ""
    media_type: str = ""


class _Inner(msgspec.Struct):
    type: str
    text: str = ""
    source: _Source | None = None


class _Citations(msgspec.Struct):
    enabled: bool | None = None


class _Block(msgspec.Struct):
    """A `search_result` (whose source is a text, often a URL) or a `document`."""

    type: str
    source: str | _Source
    content: list[Raw] = []
    title: str | None = None
    context: str | None = None
    citations: _Citations | None = None
    cache_control: JSONObject | None = None


_BLOCK = msgspec.json.Decoder(_Block)
_INNER = msgspec.json.Decoder(_Inner)


def _in_words(part: OpaquePart, name: str, translation: Translation) -> list[Part] | None:
    """The block as parts that every API has. None: there are no words for it."""
    if part.api != _ANTHROPIC or part.kind not in ("search_result", "document"):
        return None
    try:
        block = _BLOCK.decode(part.raw)
        source = block.source
        content = block.content if isinstance(source, str) else source.content
        inner = [_inner(raw) for raw in content] if isinstance(content, list) else [TextPart(text=content)]
    except UNREADABLE:
        return None
    texts = [found.text for found in inner if isinstance(found, TextPart)]
    images = [found for found in inner if isinstance(found, ImagePart)]
    if len(texts) + len(images) < len(inner):
        return None
    if block.citations is not None and block.citations.enabled:
        translation.drop(f"{name}.citations")
    head = [block.title, source if isinstance(source, str) else None, block.context]
    text = "\n\n".join(["\n".join(line for line in head if line), *texts]).strip()
    said: list[Part] = [TextPart(text=text), *images] if text else [*images]
    if said:
        said[-1].cache_control = block.cache_control
    return said


def _inner(raw: Raw) -> TextPart | ImagePart | None:
    inner = _INNER.decode(raw)
    if inner.type == "text":
        return TextPart(text=inner.text)
    source = inner.source
    if inner.type != "image" or source is None or source.type not in ("base64", "url"):
        return None
    if source.type == "url":
        return ImagePart(url=source.url)
    return ImagePart(data=source.data, media_type=source.media_type or None)
