"""Anthropic Messages for clients (https://docs.anthropic.com/en/api/messages)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from providers.errors import GatewayError
from providers.extension import extension
from providers.model import LLMRequest, LLMResponse
from providers.wire.anthropic_messages import WIRE, decode_count_request, encode_token_count
from proxy.apis.base import ClientCall, ModelCard, Operation
from proxy.apis.wire_api import WireClientAPI


@extension(name="anthropic-messages", version="1.0.0", description="Anthropic Messages")
class AnthropicMessagesAPI(WireClientAPI):
    wire = WIRE
    base_paths = ("/v1", "/anthropic/v1", "/anthropic")
    operations: Mapping[str, Operation] = {"/messages": "complete", "/messages/count_tokens": "count_tokens"}
    telling_header = b"anthropic-version"
    forwarded_headers = (b"anthropic-version", b"anthropic-beta", b"idempotency-key")

    def decode(self, call: ClientCall) -> LLMRequest:
        return decode_count_request(call.body) if call.operation == "count_tokens" else WIRE.decode_request(call.body)

    def transform_token_count(self, response: LLMResponse) -> bytes:
        return encode_token_count(response)

    def transform_error(self, error: GatewayError, request_id: str) -> bytes:
        body = msgspec.json.decode(WIRE.encode_error(error), type=dict[str, msgspec.Raw])
        body["request_id"] = msgspec.Raw(msgspec.json.encode(request_id))
        return msgspec.json.encode(body)

    def transform_models(self, models: Sequence[ModelCard]) -> bytes:
        cards = [_card(model) for model in models]
        first, last = (cards[0]["id"], cards[-1]["id"]) if cards else (None, None)
        return msgspec.json.encode({"data": cards, "has_more": False, "first_id": first, "last_id": last})

    def transform_model(self, model: ModelCard) -> bytes:
        return msgspec.json.encode(_card(model))

    def response_headers(self, request_id: str) -> list[tuple[bytes, bytes]]:
        return [(b"request-id", request_id.encode("latin-1"))]


def _card(model: ModelCard) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.description or model.id,
        "created_at": datetime.fromtimestamp(model.created, UTC).isoformat().replace("+00:00", "Z"),
    }
