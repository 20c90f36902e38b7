"""OpenAI Chat Completions for clients, and what goes with it: embeddings, the list of models.

Source: https://platform.openai.com/docs/api-reference/chat and .../embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.extension import extension
from providers.model import EmbeddingRequest, EmbeddingResponse
from providers.wire.openai_chat import WIRE
from providers.wire.openai_chat.embeddings import decode_embedding_request, encode_embedding_response
from proxy.apis.base import ClientCall, ModelCard, Operation
from proxy.apis.openai_models import encode_model, encode_models
from proxy.apis.wire_api import WireClientAPI


@extension(name="openai-chat", version="1.0.0", description="OpenAI Chat Completions")
class OpenAIChatAPI(WireClientAPI):
    wire = WIRE
    base_paths = ("/v1", "/openai/v1", "/openai")
    operations: Mapping[str, Operation] = {"/chat/completions": "complete", "/embeddings": "embed"}
    forwarded_headers = (b"openai-beta", b"idempotency-key")

    def transform_embedding_input(self, call: ClientCall) -> EmbeddingRequest:
        request = decode_embedding_request(call.body)
        self.fill_metadata(request.metadata, call)
        return request

    def transform_embeddings(self, response: EmbeddingResponse, request: EmbeddingRequest) -> bytes:
        return encode_embedding_response(response, request)

    def transform_models(self, models: Sequence[ModelCard]) -> bytes:
        return encode_models(models)

    def transform_model(self, model: ModelCard) -> bytes:
        return encode_model(model)
