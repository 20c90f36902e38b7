"""Whole answers out: an `LLMResponse` to a generateContent body, or to a token count. Imports the model."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import (
    AssistantMessage,
    Choice,
    LLMRequest,
    LLMResponse,
    ReasoningPart,
    RefusalPart,
    TextPart,
    part_kind,
)
from providers.wire.gemini_generate.answer_parts import WireObject, answer_head, citation_metadata, encode_part
from providers.wire.gemini_generate.finish import reason_of
from providers.wire.gemini_generate.logprobs import encode_logprobs
from providers.wire.gemini_generate.structs import API
from providers.wire.gemini_generate.usage import encode_usage


def encode_response(response: LLMResponse, request: LLMRequest) -> bytes:
    """A whole answer as a body: the provider's own bytes while `raw` holds them, else made from the fields.

    What the API cannot say (another API's opaque parts, calls that are not complete) goes into `notes.unsaid`.
    """
    if response.raw is not None and response.raw.api == API:
        return response.raw.body
    body: WireObject = {
        "candidates": [_candidate(choice, request.notes.unsaid) for choice in response.choices],
        "usageMetadata": encode_usage(response.usage),
        **answer_head(response, request),
    }
    return msgspec.json.encode(body)


def _candidate(choice: Choice, unsaid: list[str]) -> WireObject:
    message = choice.message or AssistantMessage(content=choice.delta.content if choice.delta else [])
    parts: list[WireObject | Raw] = []
    for part in message.content:
        wire = encode_part(part)
        if wire is not None:
            parts.append(wire)
        elif not isinstance(part, TextPart | RefusalPart | ReasoningPart):  # of these an empty one says nothing
            unsaid.append(part_kind(part))
    candidate: WireObject = {
        "content": {"parts": parts, "role": "model"},
        "finishReason": reason_of(choice.finish_reason, choice.native_finish_reason),
        "index": choice.index,
    }
    cited = [citation for part in message.content if isinstance(part, TextPart) for citation in part.citations]
    metadata, uncited = citation_metadata(cited)
    unsaid += ["citation"] * uncited
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
