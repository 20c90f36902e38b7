"""The response object around an answer's output, for clients of this API.

It repeats most of the request, and SDKs' types demand it. What is repeated is taken from the client's own body where
that is still at hand. Imports the model.
"""

from __future__ import annotations

import time
from typing import Any

from msgspec import Raw

from providers.model import LLMRequest, LLMResponse
from providers.wire.base import Translation
from providers.wire.json_text import FIELDS
from providers.wire.openai_responses.api import API
from providers.wire.openai_responses.request_encoder import encode_request
from providers.wire.openai_responses.response_structs import is_given

_SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
"""OpenAI's words. Typed SDKs know no others, so another provider's are left out."""

_REPEATED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""Parameters that an answer repeats, and what it says of one that was not given."""


def envelope(response: LLMResponse, request: LLMRequest, made_id: str) -> dict[str, Any]:
    """The response object with `status: in_progress` and no output. What the provider did not say is made up.

    `store` is false and `previous_response_id` null whatever the client asked: nobody keeps this answer.
    """
    given = _given(request)
    return {
        "id": response.id or made_id,
        "object": "response",
        "created_at": response.created or int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": response.model or request.model,
        "output": [],
        "previous_response_id": None,
        "service_tier": response.service_tier if response.service_tier in _SERVICE_TIERS else None,
        "store": False,
        "usage": None,
        **{name: given.get(name, default) for name, default in _REPEATED.items()},
    }


def _given(request: LLMRequest) -> dict[str, Raw]:
    """The parameters of the request, as this API spells them."""
    raw = request.raw
    if raw is not None and raw.api == API:
        body = raw.body
    else:
        body = encode_request(request, request.model, Translation(API, drop_unsupported=True)).body
    return {name: value for name, value in FIELDS.decode(body).items() if is_given(value)}
