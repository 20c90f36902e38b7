"""What whole and streamed answers to OpenAI clients have in common: ids, annotations, tool calls. Imports the model.

Google's signature of a call stands where Google's own OpenAI endpoint puts it, since SDKs give back what they do not
know of a call: `tool_calls[].extra_content.google.thought_signature`
(https://ai.google.dev/gemini-api/docs/thought-signatures).
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec

from providers.model import Citation, ImagePart, LLMRequest, LLMResponse, Part, TextPart, ToolCallPart
from providers.wire.data_url import join_data_url
from providers.wire.openai_chat.api import API

ENCODER = msgspec.json.Encoder()

_SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
"""OpenAI's words. Typed SDKs know no others, so another provider's (`standard`, `on_demand`) are left out."""


def make_call_id() -> str:
    """An id for a tool call whose provider gave none: the client needs one to send the result back."""
    return f"call_{uuid.uuid4().hex[:24]}"


def answer_head(response: LLMResponse, request: LLMRequest, object_: str) -> dict[str, Any]:
    """The fields that come before `choices`. What the provider did not say is made up, but for the optional ones."""
    head: dict[str, Any] = {
        "id": response.id or f"chatcmpl-{uuid.uuid4().hex}",
        "object": object_,
        "created": response.created or int(time.time()),
        "model": response.model or request.model,
    }
    if response.system_fingerprint:
        head["system_fingerprint"] = response.system_fingerprint
    if response.service_tier in _SERVICE_TIERS:
        head["service_tier"] = response.service_tier
    return head


def annotation(citation: Citation, start: int, end: int) -> dict[str, Any] | None:
    """A citation in this API's form; None if it has none. `start` and `end`: the cited text's place in the answer."""
    if citation.api == API and citation.raw is not None and citation.kind != "reference":
        return citation.raw
    if citation.url is None:
        return None
    body = {
        "url": citation.url,
        "title": citation.title or "",
        "start_index": start if citation.start is None else citation.start,
        "end_index": end if citation.end is None else citation.end,
    }
    return {"type": "url_citation", "url_citation": body}


def message_annotations(parts: list[Part]) -> tuple[list[dict[str, Any]], int]:
    """The annotations of a whole message, whose text is all its text parts joined; and how many citations have none."""
    found: list[dict[str, Any]] = []
    start = without = 0
    for part in parts:
        if not isinstance(part, TextPart):
            continue
        end = start + len(part.text)
        for citation in part.citations:
            wire = annotation(citation, start, end)
            if wire is not None:
                found.append(wire)
            else:
                without += 1
        start = end
    return found, without


def answer_image(part: ImagePart) -> dict[str, Any] | None:
    """An entry of `images`; None for an image that is neither at hand nor at a URL.

    That is where OpenRouter puts what a model drew (https://openrouter.ai/docs/features/multimodal/image-generation),
    and other gateways after it. OpenAI itself has no place for it.
    """
    url = part.url if part.data is None else join_data_url(part.media_type or "image/png", part.data)
    return {"type": "image_url", "image_url": {"url": url}} if url is not None else None


def tool_call(part: ToolCallPart, call_id: str) -> dict[str, Any]:
    """A whole tool call, or in a stream its first piece."""
    if part.kind == "custom":
        return {"id": call_id, "type": "custom", "custom": {"name": part.name, "input": part.arguments}}
    call = {"id": call_id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}
    return {**call, **signed(part.signature)} if part.signature else call


def signed(signature: str) -> dict[str, Any]:
    """Google's signature of a tool call, as a field of it."""
    return {"extra_content": {"google": {"thought_signature": signature}}}


def default_finish_reason(has_calls: bool) -> str:
    """For a provider that gave none: OpenAI's clients demand one."""
    return "tool_calls" if has_calls else "stop"
