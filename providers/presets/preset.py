"""`Preset`: what is to be known of one vendor. Imports the wire's `Dialect`."""

from __future__ import annotations

from typing import Literal

import msgspec

from providers.wire.openai_chat.dialect import OPENAI, Dialect

Endpoint = Literal["embeddings", "completions", "responses"]
"""What a vendor may offer beside `/chat/completions`, under the same base URL and in OpenAI's format."""

ReasoningAt = Literal["reasoning_content", "reasoning", "reasoning_details"]
UsageAt = Literal["usage", "x_groq.usage", "choices[].usage"]


class TokenCount(msgspec.Struct, frozen=True):
    """How a vendor counts the tokens of a conversation: a body with `model` and `messages` is posted to `path`."""

    path: str
    """Below the base URL."""
    answer: tuple[str, ...]
    """The keys that lead to the number in the answer."""


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor. `type: NAME` in `gateway.yaml` is the compatible provider with this row."""

    name: str
    title: str
    docs: str
    """Where the vendor says what stands here."""
    base_url: str | None
    """None: each account has its own, so the configuration must say it; `base_url_form` shows how it looks."""
    base_url_form: str = ""
    key_variable: str | None
    """The environment variable that the vendor's own examples take the key from. None: there are no keys."""
    key_required: bool = True
    endpoints: frozenset[Endpoint] = frozenset()
    dialect: Dialect = OPENAI
    token_count: TokenCount | None = None
    reasoning_at: ReasoningAt | None = None
    """The field of a message or delta in which reasoning comes. None: it does not say."""
    usage_at: tuple[UsageAt, ...] = ("usage",)
    """Where a stream reports usage."""
