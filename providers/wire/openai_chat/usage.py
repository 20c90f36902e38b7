"""Token counts, both ways. Imports the model and this wire's Structs."""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import TokenDetails, Usage
from providers.wire.lenient import decode_leniently
from providers.wire.openai_chat.response_structs import USAGE, ChatUsage, CompletionTokensDetails, PromptTokensDetails

_KNOWN = frozenset(ChatUsage.__struct_fields__)
_COUNTERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = msgspec.Raw(b"null")
_NO_PROMPT_DETAILS = PromptTokensDetails()
_NO_COMPLETION_DETAILS = CompletionTokensDetails()
_NO_DETAILS = TokenDetails()


def decode_usage(raw: msgspec.Raw) -> Usage | None:
    """The usage object as it stands on the wire; None for null, for nothing, and for what is no usage object."""
    data = bytes(raw)
    if not data.startswith(b"{"):
        return None
    wire: ChatUsage | None
    try:
        wire = USAGE.decode(data)
    except ValueError:
        wire = decode_leniently(data, USAGE)
    if wire is None:
        return None
    usage = Usage(
        prompt_tokens=wire.prompt_tokens,
        completion_tokens=wire.completion_tokens,
        total_tokens=wire.total_tokens,
        details=_details(wire),
    )
    prompt, completion, total = wire.prompt_tokens, wire.completion_tokens, wire.total_tokens
    if total is not None and prompt is not None and completion is not None and total != prompt + completion:
        # xAI's chat counts reasoning beside `completion_tokens`, everyone else within.
        reasoning = usage.details.reasoning_tokens if usage.details is not None else None
        if reasoning and total == prompt + completion + reasoning:
            usage.completion_tokens = completion + reasoning
    for name, value in _COUNTERS.decode(data).items():
        if name not in _KNOWN and value != _NULL:
            usage.extra[name] = value
    return usage


def _details(wire: ChatUsage) -> TokenDetails | None:
    prompt = wire.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = wire.completion_tokens_details or _NO_COMPLETION_DETAILS
    details = TokenDetails(
        cached_tokens=_first(prompt.cached_tokens, wire.prompt_cache_hit_tokens, wire.cached_tokens),
        cache_creation_tokens=_first(prompt.cache_write_tokens, prompt.cache_creation_tokens),
        reasoning_tokens=_first(completion.reasoning_tokens, wire.reasoning_tokens),
        prompt_audio_tokens=prompt.audio_tokens,
        completion_audio_tokens=completion.audio_tokens,
        accepted_prediction_tokens=completion.accepted_prediction_tokens,
        rejected_prediction_tokens=completion.rejected_prediction_tokens,
    )
    return None if details == _NO_DETAILS else details


def _first(*values: int | None) -> int | None:
    for value in values:
        if value is not None:
            return value
    return None


def encode_usage(usage: Usage) -> dict[str, Any]:
    """The usage object of an answer. The three totals are always there: OpenAI's SDKs demand them."""
    prompt = usage.prompt_tokens or 0
    completion = usage.completion_tokens or 0
    total = usage.total_tokens if usage.total_tokens is not None else prompt + completion
    wire: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    if usage.details is not None:
        _encode_details(usage.details, wire)
    for name, value in usage.extra.items():
        wire.setdefault(name, value)
    return wire


def _encode_details(details: TokenDetails, wire: dict[str, Any]) -> None:
    prompt = {
        "cached_tokens": details.cached_tokens,
        # OpenAI's name, and the one that gateways before it used.
        "cache_write_tokens": details.cache_creation_tokens,
        "cache_creation_tokens": details.cache_creation_tokens,
        "audio_tokens": details.prompt_audio_tokens,
    }
    completion = {
        "reasoning_tokens": details.reasoning_tokens,
        "audio_tokens": details.completion_audio_tokens,
        "accepted_prediction_tokens": details.accepted_prediction_tokens,
        "rejected_prediction_tokens": details.rejected_prediction_tokens,
    }
    for name, counts in (("prompt_tokens_details", prompt), ("completion_tokens_details", completion)):
        known = {key: value for key, value in counts.items() if value is not None}
        if known:
            wire[name] = known
