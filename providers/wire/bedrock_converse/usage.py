"""Token counts of Converse as the model's. Imports the model and the wire's Structs.

`inputTokens` leaves out what was read from or written to the cache; the model's `prompt_tokens` counts every input
token. (`totalTokens` does too, as recorded answers show.)
"""

from __future__ import annotations

from msgspec import Raw

from providers.model import TokenDetails, Usage
from providers.wire.bedrock_converse.structs import WIRE_USAGE, WireUsage
from providers.wire.json_text import FIELDS, is_object

_KNOWN = frozenset(WireUsage.__struct_encode_fields__) | {
    # The same counts again, under the names that they had first.
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
}


def decode_usage(raw: Raw) -> Usage | None:
    """The usage object; None if there is none. Raises what msgspec raises for one of another shape."""
    if not bytes(raw) or not is_object(raw):
        return None
    wire = WIRE_USAGE.decode(raw)
    inputs = (wire.input_tokens, wire.cache_read_input_tokens, wire.cache_write_input_tokens)
    details = TokenDetails(
        cached_tokens=wire.cache_read_input_tokens, cache_creation_tokens=wire.cache_write_input_tokens
    )
    for detail in wire.cache_details or ():
        if detail.ttl == "1h":
            details.cache_creation_1h_tokens = detail.input_tokens
        elif detail.ttl == "5m":
            details.cache_creation_5m_tokens = detail.input_tokens
    return Usage(
        prompt_tokens=None if inputs == (None, None, None) else sum(value or 0 for value in inputs),
        completion_tokens=wire.output_tokens,
        total_tokens=wire.total_tokens,
        details=details if details != TokenDetails() else None,
        extra={name: value for name, value in FIELDS.decode(raw).items() if name not in _KNOWN},
    )
