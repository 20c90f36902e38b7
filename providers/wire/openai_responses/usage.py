"""Token counts, both ways. Imports the model and this wire's Structs."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from providers.model import TokenDetails, Usage
from providers.wire.json_text import FIELDS, UNREADABLE, is_object
from providers.wire.lenient import decode_leniently
from providers.wire.openai_responses.response_structs import (
    USAGE,
    InputTokensDetails,
    OutputTokensDetails,
    WireUsage,
    is_given,
)

_KNOWN = frozenset(WireUsage.__struct_fields__)


def decode_usage(raw: Raw) -> Usage | None:
    """The usage object as it stands on the wire; None for null, for nothing, and for what is no usage object."""
    if not is_object(raw):
        return None
    wire: WireUsage | None
    try:
        wire = USAGE.decode(raw)
    except UNREADABLE:
        wire = decode_leniently(bytes(raw), USAGE)
    if wire is None:
        return None
    inputs = wire.input_tokens_details or InputTokensDetails()
    outputs = wire.output_tokens_details or OutputTokensDetails()
    details = TokenDetails(
        cached_tokens=inputs.cached_tokens,
        cache_creation_tokens=inputs.cache_write_tokens,
        reasoning_tokens=outputs.reasoning_tokens,
    )
    return Usage(
        prompt_tokens=wire.input_tokens,
        completion_tokens=wire.output_tokens,
        total_tokens=wire.total_tokens,
        details=None if details == TokenDetails() else details,
        extra={name: value for name, value in FIELDS.decode(raw).items() if name not in _KNOWN and is_given(value)},
    )


def encode_usage(usage: Usage) -> dict[str, Any]:
    """The usage object of an answer. Counters that nobody reported are 0, as the SDKs' types demand."""
    details = usage.details or TokenDetails()
    prompt = usage.prompt_tokens or 0
    completion = usage.completion_tokens or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": details.cached_tokens or 0,
            "cache_write_tokens": details.cache_creation_tokens or 0,
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": details.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens if usage.total_tokens is not None else prompt + completion,
    }
