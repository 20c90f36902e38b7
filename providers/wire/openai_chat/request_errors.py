"""Turns a decoder's complaint into the error that a client can act on: which field, in the client's spelling, and what
was expected there. Imports the error tree
and the model.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from providers.errors import RequestError
from providers.model import Unread
from providers.wire.extra_fields import Extra, OpenReader

_T = TypeVar("_T")
_S = TypeVar("_S", bound=msgspec.Struct)

_PATH = re.compile(r"^(.*?)(?: - at `\$(.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.+)`$")
_WRONG_TYPE = re.compile(r"^Expected `([^`]+)`(?:, got `([^`]+)`)?$")
_WRONG_VALUE = re.compile(r"^Invalid value (.+)$", re.DOTALL)

_JSON_TYPES = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def not_json(error: Exception) -> RequestError:
    """The body is no JSON at all."""
    return RequestError(f"the request body is not valid JSON: {error}", code="invalid_json")


def required(param: str, why: str = "") -> RequestError:
    """A parameter is missing."""
    return RequestError(f"'{param}' is required{why}", param=param, code="missing_required_parameter")


def invalid_value(param: str, expected: str, got: str = "") -> RequestError:
    """A parameter has the right type and a value that means nothing."""
    detail = f", got {got}" if got else ""
    return RequestError(f"'{param}': expected {expected}{detail}", param=param, code="invalid_value")


def note(error: RequestError, unread: dict[str, Unread]) -> None:
    """Keep what is wrong with a field until it has to be translated. Raises an error that is of no field."""
    if error.param is None:
        raise error
    unread[error.param] = Unread(message=error.message, code=error.code)


def decode_parameter(decoder: msgspec.json.Decoder[_T], name: str, raw: msgspec.Raw) -> _T:
    """The parameter `name` as the decoder's type. Raises `RequestError` that names the field inside of it."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise _wrong_field(name, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise not_json(error) from error


def read_open(reader: OpenReader[_S], name: str, raw: msgspec.Raw) -> tuple[_S, Extra | None]:
    """The same, with the fields that the reader's type does not have."""
    try:
        return reader.read(raw)
    except msgspec.ValidationError as error:
        raise _wrong_field(name, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise not_json(error) from error


def _wrong_field(name: str, complaint: str) -> RequestError:
    found = _PATH.match(complaint)
    assert found is not None
    what, path = found[1], (found[2] or "").replace("[...]", "")
    param = name + path
    if missing := _MISSING.match(what):
        return required(f"{param}.{missing[1]}")
    if wrong := _WRONG_TYPE.match(what):
        got = f", got {_type_name(wrong[2])}" if wrong[2] else ""
        message = f"'{param}': expected {_type_name(wrong[1])}{got}"
        return RequestError(message, param=param, code="invalid_type")
    if wrong := _WRONG_VALUE.match(what):
        return invalid_value(param, "another value", wrong[1])
    return RequestError(f"'{param}': {what}", param=param, code="invalid_value")


def _type_name(types: str) -> str:
    return " or ".join(_JSON_TYPES.get(name, name) for name in types.split(" | "))
