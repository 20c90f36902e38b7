"""Token counts of Cohere as the model's. Imports the model and the wire's Structs.

`tokens` counts what the model read and wrote, `billed_units` what is paid for (without Cohere's own prompt). The model
in the middle counts tokens, so the former count; the latter stay beside them, and stand in where they are alone.
"""

from __future__ import annotations

from msgspec import Raw

from providers.model import TokenDetails, Usage
from providers.wire.cohere_chat.structs import WIRE_USAGE, Tokens
from providers.wire.json_text import FIELDS, is_object

_KNOWN = ("tokens", "cached_tokens")


def decode_usage(raw: Raw) -> Usage | None:
    """The usage object; None if there is none. Raises what msgspec raises for one of another shape."""
    if not bytes(raw) or not is_object(raw):
        return None
    wire = WIRE_USAGE.decode(raw)
    counted = wire.tokens or wire.billed_units or Tokens()
    prompt, completion = _count(counted.input_tokens), _count(counted.output_tokens)
    cached = _count(wire.cached_tokens)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=None if prompt is None or completion is None else prompt + completion,
        details=None if cached is None else TokenDetails(cached_tokens=cached),
        extra={name: value for name, value in FIELDS.decode(raw).items() if name not in _KNOWN},
    )


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)
