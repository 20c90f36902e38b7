"""Google takes every field in camelCase and in snake_case. Requests are read in one spelling. Does no I/O."""

from __future__ import annotations

import json
import re

_ANY_SNAKE = re.compile(rb'"[a-z]+(?:_[a-z0-9]+)+"\s*:')
_HUMP = re.compile(r"_([a-z0-9])")

_NOT_OURS = frozenset(
    {
        "args",
        "labels",
        "parameters",
        "parametersJsonSchema",
        "partMetadata",
        "response",
        "responseJsonSchema",
        "responseSchema",
    }
)
"""Fields whose own names are the client's. (Schemas are Google's in part: `schema` reads both spellings.)"""


def camel(name: str) -> str:
    """A field's name in camelCase."""
    return _HUMP.sub(lambda hump: hump[1].upper(), name) if "_" in name[1:] else name


def in_camel_case(body: bytes) -> bytes:
    """The body with its fields' names in camelCase; the body itself if they are already. Raises ValueError."""
    if _ANY_SNAKE.search(body) is None:
        return body
    try:
        return json.dumps(_respelled(json.loads(body)), ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _respelled(value: object) -> object:
    if isinstance(value, list):
        return [_respelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = {camel(name): inner for name, inner in value.items()}
    return {name: inner if name in _NOT_OURS else _respelled(inner) for name, inner in fields.items()}
