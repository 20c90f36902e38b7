"""JSON that is carried as text: checked, never made again. Does no I/O."""

from __future__ import annotations

import msgspec
from msgspec import Raw

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What msgspec raises for input that is not JSON, not of the expected type, not UTF-8, or nested without end."""

FIELDS = msgspec.json.Decoder(dict[str, Raw])
"""An object's fields, each as it came."""


def text_of(raw: Raw) -> str:
    """The JSON text of a raw value."""
    return bytes(raw).decode()


def is_object(raw: Raw) -> bool:
    """Whether a raw value is a JSON object. Raw values are valid JSON without white space around them."""
    return bytes(memoryview(raw)[:1]) == b"{"


def json_object(text: str) -> Raw | None:
    """The text, verbatim, if it is one JSON object; else None."""
    try:
        raw = msgspec.json.decode(text.strip(), type=Raw)
    except UNREADABLE:
        return None
    return raw if is_object(raw) else None
