"""What a function returned, as a `functionResponse` holds it: always an object. Imports the JSON helpers.

Google names two keys: `output` for what was returned and `error` for what went wrong; an object with neither is the
output whole. So plain text stands under a key, and an object that is the text stands as it is, unless it would then be
read as something else.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.wire.json_text import FIELDS, json_object, text_of

_STRING = msgspec.json.Decoder(str)


def read_response(response: Raw) -> tuple[str, bool]:
    """What an object says, and whether that is an error: the text under its only key, else its JSON text."""
    fields = FIELDS.decode(response)
    if len(fields) == 1:
        [(name, value)] = fields.items()
        if name in ("output", "error") and text_of(value).startswith('"'):
            return _STRING.decode(value), name == "error"
    return text_of(response), "error" in fields and "output" not in fields


def write_response(text: str, *, is_error: bool) -> dict[str, object] | Raw:
    """The object that says a text."""
    whole = json_object(text)
    if whole is not None and read_response(whole) == (text_of(whole), is_error):
        return whole
    return {"error" if is_error else "output": text}
