"""Signed or encrypted reasoning on wires that give it one string and no room to say whose it is.

Anthropic's `signature` and `data`, OpenAI Responses' `encrypted_content`: a client keeps that string and sends it back.
If another provider made it, the string must say so, or the wire's own service would be sent what it cannot verify, and
the maker could not be given back its own. So a foreign string travels *sealed*: with the format, and the id if its
block has one, in front (`google-gemini-v1:STRING`, `openai-responses-v1#rs_1:STRING`, both percent-encoded). A wire's
own strings travel as they are: they are base64, which has no colon.

Does no I/O; imports the model.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import msgspec

from providers.model import ReasoningPart

_SEALED = re.compile(r"(?P<format>[\w.~%-]+)(?:#(?P<id>[\w.~%-]*))?:(?P<string>.*)", re.DOTALL | re.ASCII)


def seal(part: ReasoningPart, own_formats: tuple[str, ...]) -> str:
    """The string of a block for a wire whose own blocks have one of these formats; a part without format is its own.

    A foreign block that has an id but no string gets a seal around nothing, so that its id comes back.
    """
    string = part.redacted or part.signature
    if not part.format or part.format in own_formats or not (string or part.id):
        return string
    block = f"#{quote(part.id, safe='')}" if part.id else ""
    return f"{quote(part.format, safe='')}{block}:{string}"


def unseal(part: ReasoningPart) -> ReasoningPart:
    """The part as its maker knows it, if its signature or redacted data is sealed; else the part as it is."""
    found = _SEALED.fullmatch(part.redacted or part.signature)
    if found is None:
        return part
    field = "redacted" if part.redacted else "signature"
    changes = {field: found["string"], "format": unquote(found["format"]), "id": unquote(found["id"] or "") or None}
    return msgspec.structs.replace(part, **changes)
