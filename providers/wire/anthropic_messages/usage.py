"""Token counts: Anthropic's fields to the model's and back. Imports only the model and the wire's Structs.

The one difference that matters: Anthropic's `input_tokens` leaves out what was read from or written to the cache, the
model's `prompt_tokens` counts every input token.
"""

from __future__ import annotations

from msgspec import Raw

from providers.model import TokenDetails, Usage
from providers.wire.anthropic_messages.structs import WIRE_USAGE, WireUsage
from providers.wire.json_text import FIELDS

_KNOWN = frozenset(WireUsage.__struct_fields__)

_OWN_EXTRAS = frozenset({"server_tool_use", "service_tier", "iterations", "inference_geo", "speed"})
"""Counters that an Anthropic client understands; those of other vendors stay out of its usage."""


class UsageMeter:
    """Keeps the wire's counters of one message, each as last reported, so that sums over several are consistent.

    `prompt_tokens` is the sum of three counters that different events may report.
    """

    __slots__ = ("_counters",)

    def __init__(self) -> None:
        self._counters = WireUsage()

    def update(self, raw: Raw) -> Usage | None:
        """Take in a `usage` object and return all that is known now. Raises what msgspec raises."""
        if not bytes(raw) or bytes(raw) == b"null":
            return None
        now = WIRE_USAGE.decode(raw)
        counters = self._counters
        for name in WireUsage.__struct_fields__:
            if (value := getattr(now, name)) is not None:
                setattr(counters, name, value)
        extra = {name: value for name, value in FIELDS.decode(raw).items() if name not in _KNOWN}
        return _to_usage(counters, extra)


def _to_usage(counters: WireUsage, extra: dict[str, Raw]) -> Usage:
    inputs = (counters.input_tokens, counters.cache_read_input_tokens, counters.cache_creation_input_tokens)
    prompt = None if inputs == (None, None, None) else sum(value or 0 for value in inputs)
    output = counters.output_tokens
    details = TokenDetails(
        cached_tokens=counters.cache_read_input_tokens, cache_creation_tokens=counters.cache_creation_input_tokens
    )
    if (split := counters.cache_creation) is not None:
        details.cache_creation_5m_tokens = split.ephemeral_5m_input_tokens
        details.cache_creation_1h_tokens = split.ephemeral_1h_input_tokens
    if (more := counters.output_tokens_details) is not None:
        details.reasoning_tokens = more.thinking_tokens
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=output,
        total_tokens=None if prompt is None or output is None else prompt + output,
        details=details if details != TokenDetails() else None,
        extra=extra,
    )


def encode_usage(usage: Usage | None) -> dict[str, object]:
    """A `usage` object for an Anthropic client. Counters that nobody reported are 0, as the client's types demand."""
    usage = usage or Usage()
    details = usage.details or TokenDetails()
    cached = details.cached_tokens or 0
    written = details.cache_creation_tokens or 0
    wire: dict[str, object] = {
        "input_tokens": max(0, (usage.prompt_tokens or 0) - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.completion_tokens or 0,
    }
    if details.cache_creation_5m_tokens is not None or details.cache_creation_1h_tokens is not None:
        wire["cache_creation"] = {
            "ephemeral_5m_input_tokens": details.cache_creation_5m_tokens or 0,
            "ephemeral_1h_input_tokens": details.cache_creation_1h_tokens or 0,
        }
    if details.reasoning_tokens is not None:
        wire["output_tokens_details"] = {"thinking_tokens": details.reasoning_tokens}
    wire.update({name: value for name, value in usage.extra.items() if name in _OWN_EXTRAS})
    return wire
