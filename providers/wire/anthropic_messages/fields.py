"""Reads the fields of a request and names the one that is wrong, in Anthropic's spelling (`messages.0.content.1.type`).

Imports the errors and the wire's Structs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn, TypeVar

import msgspec
from msgspec import Raw

from providers.errors import RequestError
from providers.wire.anthropic_messages.structs import TYPED
from providers.wire.extra_fields import Extra, OpenReader
from providers.wire.json_text import UNREADABLE

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_WANTED = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")


def refuse(param: str, what: str) -> NoReturn:
    """Raise the `RequestError` that says what is wrong with a field."""
    raise RequestError(f"{param}: {what}", param=param)


def read(decoder: msgspec.json.Decoder[T], raw: Raw, param: str) -> T:
    """The value, or the `RequestError` that names the field inside it which is wrong."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        _explain(error, param)
    except UNREADABLE:
        refuse(param, "not valid JSON in UTF-8")


def read_open(reader: OpenReader[S], raw: Raw, param: str) -> tuple[S, Extra | None]:
    """The value and its unknown fields, or the `RequestError` that names the field inside it which is wrong."""
    try:
        return reader.read(raw)
    except msgspec.ValidationError as error:
        _explain(error, param)
    except UNREADABLE:
        refuse(param, "not valid JSON in UTF-8")


def type_of(raw: Raw, param: str) -> str:
    """The `type` of an object."""
    return read(TYPED, raw, param).type


def one_of(value: str, known: Iterable[str], param: str) -> str:
    """The value, if it is one of those that are known."""
    known = tuple(known)
    if value not in known:
        refuse(param, f"expected one of {', '.join(map(repr, known))}, got {value!r}")
    return value


def _explain(error: msgspec.ValidationError, param: str) -> NoReturn:
    found = _PLACE.fullmatch(str(error))
    assert found is not None
    what, path = found["what"], found["path"] or ""
    place = ".".join(step for step in (param, *re.findall(r"[^.\[\]$]+", path)) if step)
    if missing := _MISSING.match(what):
        refuse(".".join(step for step in (place, missing["name"]) if step), "field required")
    if wanted := _WANTED.match(what):
        refuse(place, f"expected {wanted['wanted'].replace(' | ', ' or ')}, got {wanted['got']}")
    refuse(place, what[:1].lower() + what[1:])
