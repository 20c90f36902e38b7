"""OpenAI's legacy Completions for clients (https://platform.openai.com/docs/api-reference/completions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.errors import RequestError
from providers.extension import extension
from providers.wire.openai_completions import WIRE
from proxy.apis.base import ModelCard, Operation
from proxy.apis.wire_api import WireClientAPI


@extension(name="openai-completions", version="1.0.0", description="OpenAI Completions (legacy)")
class OpenAICompletionsAPI(WireClientAPI):
    wire = WIRE
    base_paths = ("/v1", "/openai/v1", "/openai")
    operations: Mapping[str, Operation] = {"/completions": "complete"}
    forwarded_headers = (b"openai-beta", b"idempotency-key")
    lists_models = False

    def transform_models(self, models: Sequence[ModelCard]) -> bytes:
        raise RequestError("this API has no list of models of its own", status=404)

    def transform_model(self, model: ModelCard) -> bytes:
        raise RequestError("this API has no list of models of its own", status=404)
