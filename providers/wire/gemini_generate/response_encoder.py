"""Whole answers out: an `LLMResponse` to a generateContent body, or to a token count. Imports the model."""

from __future__ import annotations

import msgspec

from providers.model import AssistantMessage, Choice, LLMRequest, LLMResponse, TextPart
from providers.wire.gemini_generate.answer_parts import WireObject, answer_head, citation_metadata, encode_part
from providers.wire.gemini_generate.finish import reason_of
from providers.wire.gemini_generate.logprobs import encode_logprobs
from providers.wire.gemini_generate.structs import API
from providers.wire.gemini_generate.usage import encode_usage


def encode_response(response: LLMResponse, request: LLMRequest) -> bytes:
    """A whole answer as a body: the provider's own bytes while `raw` holds them, else made from the fields.

    Parts that the API cannot say (another API's opaque parts, calls that are not complete) are left out.
    """
    if response.raw is not None and response.raw.api == API:
        return response.raw.body
    body: WireObject = {
        "candidates": [_candidate(choice) for choice in response.choices],
        "usageMetadata": encode_usage(response.usage),
        **answer_head(response, request),
    }
    return msgspec.json.encode(body)


def _candidate(choice: Choice) -> WireObject:
    message = choice.message or AssistantMessage(content=choice.delta.content if choice.delta else [])
    parts = [wire for part in message.content if (wire := encode_part(part)) is not None]
    candidate: WireObject = {
        "content": {"parts": parts, "role": "model"},
        "finishReason": reason_of(choice.finish_reason, choice.native_finish_reason),
        "index": choice.index,
    }
    cited = [citation for part in message.content if isinstance(part, TextPart) for citation in part.citations]
    metadata, _ = citation_metadata(cited)
    if metadata is not None:
        candidate["citationMetadata"] = metadata
    if (logprobs := encode_logprobs(choice.logprobs)) is not None:
        candidate["logprobsResult"] = logprobs
    return candidate


def encode_token_count(response: LLMResponse) -> bytes:
    """The answer of countTokens."""
    if response.raw is not None and response.raw.api == API:
        return response.raw.body
    return msgspec.json.encode({"totalTokens": (response.usage and response.usage.prompt_tokens) or 0})
