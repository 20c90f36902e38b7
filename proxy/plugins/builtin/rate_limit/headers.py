"""How much is left, in the headers of the client's API. Pure.

OpenAI: https://platform.openai.com/docs/guides/rate-limits (durations such as `6m0s`).
Anthropic: https://docs.anthropic.com/en/api/rate-limits (times as in RFC 3339).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

Unit = Literal["requests", "tokens"]


class Left(msgspec.Struct, frozen=True):
    """Of the narrowest limit of one unit."""

    limit: int
    remaining: int
    full_in: float
    """Seconds until all of it is there again."""


def headers_of(adapter: str, left: Mapping[Unit, Left], now: float) -> dict[str, str]:
    """The headers for a client of this API; none for an API that has none. `now` in Unix seconds."""
    made: dict[str, str] = {}
    for unit, level in left.items():
        if adapter.startswith("openai-"):
            made[f"x-ratelimit-limit-{unit}"] = str(level.limit)
            made[f"x-ratelimit-remaining-{unit}"] = str(level.remaining)
            made[f"x-ratelimit-reset-{unit}"] = _duration(level.full_in)
        elif adapter.startswith("anthropic-"):
            at = datetime.fromtimestamp(math.ceil(now + level.full_in), UTC)
            made[f"anthropic-ratelimit-{unit}-limit"] = str(level.limit)
            made[f"anthropic-ratelimit-{unit}-remaining"] = str(level.remaining)
            made[f"anthropic-ratelimit-{unit}-reset"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return made


def _duration(seconds: float) -> str:
    """`350ms`, `6s`, `2m5s`, `1h0m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    whole = math.ceil(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}h{minutes}m{whole % 60}s"
    return f"{minutes}m{whole % 60}s" if minutes else f"{whole}s"
