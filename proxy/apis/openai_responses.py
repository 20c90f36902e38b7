"""OpenAI Responses for clients (https://platform.openai.com/docs/api-reference/responses)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.extension import extension
from providers.model import LLMRequest, LLMResponse
from providers.wire.openai_responses import WIRE
from providers.wire.openai_responses.count_tokens import decode_count_request, encode_token_count
from proxy.apis.base import ClientCall, ModelCard, Operation
from proxy.apis.openai_models import encode_model, encode_models
from proxy.apis.wire_api import WireClientAPI


@extension(name="openai-responses", version="1.0.0", description="OpenAI Responses")
class OpenAIResponsesAPI(WireClientAPI):
    wire = WIRE
    base_paths = ("/v1", "/openai/v1", "/openai")
    operations: Mapping[str, Operation] = {
        "/responses": "complete",
        "/responses/input_tokens": "count_tokens",
        "/responses/compact": "compact",
        "GET /responses/{response_id}": "stored",
        "DELETE /responses/{response_id}": "stored",
        "/responses/{response_id}/cancel": "stored",
        "GET /responses/{response_id}/input_items": "stored",
    }
    forwarded_headers = (b"openai-beta", b"idempotency-key")

    def decode(self, call: ClientCall) -> LLMRequest:
        return decode_count_request(call.body) if call.operation == "count_tokens" else WIRE.decode_request(call.body)

    def transform_token_count(self, response: LLMResponse) -> bytes:
        return encode_token_count(response)

    def transform_models(self, models: Sequence[ModelCard]) -> bytes:
        return encode_models(models)

    def transform_model(self, model: ModelCard) -> bytes:
        return encode_model(model)
