"""Requests of `/v1/messages/count_tokens`: those of `/v1/messages` less what concerns the answer.

Their answers are in `response_decoder` and `response_encoder`. Imports the model and its neighbours.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import LLMRequest
from providers.wire.anthropic_messages.parameters import NOT_COUNTED
from providers.wire.anthropic_messages.relay import raw_fields
from providers.wire.anthropic_messages.request_decoder import read_request
from providers.wire.anthropic_messages.request_encoder import request_fields
from providers.wire.base import EncodedRequest, Translation


def decode_count_request(body: bytes) -> LLMRequest:
    """As `decode_request`, but without `max_tokens`."""
    return read_request(body, required=("model", "messages"))


def encode_count_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """As `encode_request`, less the parameters that the endpoint refuses. Those are not named as dropped."""
    fields = request_fields(request, model, translation)
    body = {name: value for name, value in fields.items() if name not in NOT_COUNTED}
    return EncodedRequest(body=msgspec.json.encode(body), dropped=translation.dropped)


def relay_count_request(request: LLMRequest, model: str) -> bytes:
    """The lossless lane, also for the body of a `/v1/messages` request, whose other parameters are left out."""
    fields = {name: value for name, value in raw_fields(request).items() if name not in NOT_COUNTED}
    fields["model"] = Raw(msgspec.json.encode(model))
    return msgspec.json.encode(fields)
