"""Token counts: Gemini's fields to the model's and back. Imports only the model and the wire's Structs.

| model in the middle | Gemini |
|---|---|
| prompt_tokens | promptTokenCount + toolUsePromptTokenCount (what the provider's own tools gave the model to read) |
| completion_tokens | candidatesTokenCount + thoughtsTokenCount |
| cached_tokens | cachedContentTokenCount, part of promptTokenCount |
| reasoning_tokens | thoughtsTokenCount |
"""

from __future__ import annotations

from msgspec import Raw

from providers.model import TokenDetails, Usage
from providers.wire.gemini_generate.structs import USAGE, ModalityCount, UsageMetadata, given
from providers.wire.json_text import FIELDS
from providers.wire.lenient import decode_leniently

_KNOWN = frozenset(USAGE.type.__struct_encode_fields__)


class UsageMeter:
    """Keeps the wire's counters of one answer, each as last reported: sums need counters of several events."""

    __slots__ = ("_counters",)

    def __init__(self) -> None:
        self._counters = UsageMetadata()

    def update(self, raw: Raw) -> Usage | None:
        """Take in a `usageMetadata` and return all that is known now; None: no counter yet. Raises ValueError."""
        if not given(raw):
            return None
        counters = self._counters
        now = _decode(raw)
        for name in UsageMetadata.__struct_fields__:
            if (value := getattr(now, name)) is not None:
                setattr(counters, name, value)
        if counters == UsageMetadata():
            return None
        usage = _to_usage(counters)
        usage.extra = {name: value for name, value in FIELDS.decode(raw).items() if name not in _KNOWN}
        return usage


def _decode(raw: Raw) -> UsageMetadata:
    try:
        return USAGE.decode(raw)
    except ValueError:
        return decode_leniently(bytes(raw), USAGE) or UsageMetadata()


def _to_usage(counters: UsageMetadata) -> Usage:
    details = TokenDetails(
        cached_tokens=counters.cached_content_token_count,
        reasoning_tokens=counters.thoughts_token_count,
        prompt_audio_tokens=_audio(counters.prompt_tokens_details),
        completion_audio_tokens=_audio(counters.candidates_tokens_details),
    )
    return Usage(
        prompt_tokens=_sum(counters.prompt_token_count, counters.tool_use_prompt_token_count),
        completion_tokens=_sum(counters.candidates_token_count, counters.thoughts_token_count),
        total_tokens=counters.total_token_count,
        details=details if details != TokenDetails() else None,
    )


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _audio(details: list[ModalityCount] | None) -> int | None:
    return _sum(*(detail.token_count for detail in details or () if detail.modality == "AUDIO"))


def encode_usage(usage: Usage | None) -> dict[str, object]:
    """A `usageMetadata` for a Gemini client. Counters that nobody reported are left out, but for the totals."""
    usage = usage or Usage()
    details = usage.details or TokenDetails()
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    thoughts = min(details.reasoning_tokens or 0, completion)
    wire: dict[str, object] = {"promptTokenCount": prompt, "candidatesTokenCount": completion - thoughts}
    if details.reasoning_tokens is not None:
        wire["thoughtsTokenCount"] = thoughts
    if details.cached_tokens is not None:
        wire["cachedContentTokenCount"] = details.cached_tokens
    wire["totalTokenCount"] = prompt + completion if usage.total_tokens is None else usage.total_tokens
    for name, whole, count in (
        ("promptTokensDetails", prompt, details.prompt_audio_tokens),
        ("candidatesTokensDetails", completion - thoughts, details.completion_audio_tokens),
    ):
        if count:
            audio = min(count, whole)
            wire[name] = [
                {"modality": "TEXT", "tokenCount": whole - audio},
                {"modality": "AUDIO", "tokenCount": audio},
            ]
    return wire
