"""What an answer of OpenAI Chat Completions holds on the wire, whole or streamed, vendors' additions included.

Source: https://platform.openai.com/docs/api-reference/chat and recorded traffic of the vendors that speak this format.
Only what the model in the middle has a place for is named here; msgspec skips the rest. Every field may be missing or
null, because with some vendor it is. Imports nothing but msgspec.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import JSONObject

NO_RAW = msgspec.Raw(b"")


class ReasoningDetail(msgspec.Struct, gc=False):
    """An entry of `reasoning_details` (OpenRouter, Snowflake): `reasoning.text`, `.summary` or `.encrypted`."""

    type: str | None = None
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    id: str | None = None
    format: str | None = None
    index: int | None = None


class FunctionCall(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    """JSON text. Some vendors put the object itself here."""


class CustomCall(msgspec.Struct, gc=False):
    name: str | None = None
    input: str | None = None


class GoogleContent(msgspec.Struct, gc=False):
    thought_signature: str | None = None


class ExtraContent(msgspec.Struct, gc=False):
    """What Google's OpenAI endpoint adds to a tool call or a message."""

    google: GoogleContent | None = None

    @property
    def signature(self) -> str:
        return (self.google.thought_signature or "") if self.google is not None else ""


class ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None
    custom: CustomCall | None = None
    extra_content: ExtraContent | None = None


class Audio(msgspec.Struct, gc=False):
    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class ChatMessage(msgspec.Struct, gc=False):
    """`choices[].message`, and partial as `choices[].delta`."""

    content: str | list[JSONObject] | None = None
    """Text, or Mistral's list of `text`, `thinking` and `reference` items."""
    role: str | None = None
    reasoning_content: str | None = None
    """DeepSeek's name, taken over by most."""
    reasoning: str | None = None
    """The same thing as groq, cerebras, vLLM and OpenRouter spell it."""
    reasoning_details: list[ReasoningDetail] | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    """What `tool_calls` was before 2023-11."""
    refusal: str | None = None
    annotations: list[JSONObject] | None = None
    audio: Audio | None = None
    images: list[JSONObject] | None = None
    """What the model drew, as OpenRouter gives it: `{"type": "image_url", "image_url": {"url": ...}}`."""
    extra_content: ExtraContent | None = None


class ChatChoice(msgspec.Struct, gc=False):
    delta: ChatMessage | None = None
    index: int | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None
    message: ChatMessage | None = None
    text: str | None = None
    """Legacy completions."""
    usage: msgspec.Raw = NO_RAW
    """Moonshot's place for it."""
    stop_reason: int | str | None = None
    """vLLM: the stop sequence that matched (a token's number otherwise)."""
    matched_stop: int | str | None = None
    """The same from SGLang."""


class GroqExtension(msgspec.Struct, gc=False):
    usage: msgspec.Raw = NO_RAW


class ChatEvent(msgspec.Struct, gc=False):
    """A `chat.completion` or a `chat.completion.chunk`."""

    choices: list[ChatChoice] | None = None
    id: str | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    usage: msgspec.Raw = NO_RAW
    system_fingerprint: str | None = None
    service_tier: str | None = None
    error: msgspec.Raw = NO_RAW
    x_groq: GroqExtension | None = None
    citations: list[str] | None = None
    """Perplexity's sources, repeated in every chunk."""


class PromptTokensDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    audio_tokens: int | None = None


class CompletionTokensDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None


class ChatUsage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's name for cached tokens."""
    cached_tokens: int | None = None
    """Together's place for cached tokens."""
    reasoning_tokens: int | None = None
    """Azure's place for DeepSeek's reasoning tokens."""


EVENT = msgspec.json.Decoder(ChatEvent)
USAGE = msgspec.json.Decoder(ChatUsage)
