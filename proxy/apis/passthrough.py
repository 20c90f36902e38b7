"""`/passthrough/MODEL/...`: a provider's own API, for what the gateway does not translate (files, batches, images ...).

Nothing is read and nothing is written here but errors, which have OpenAI's shape: the gateway does not know the API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.errors import GatewayError, RequestError
from providers.extension import extension
from providers.model import LLMRequest, LLMResponse
from providers.wire.base import StreamEncoder
from providers.wire.openai_chat import WIRE
from proxy.apis.allowed_paths import METHODS
from proxy.apis.base import ClientAPI, ClientCall, ModelCard, Operation


@extension(name="passthrough", version="1.0.0", description="A provider's own API, with the model's credentials")
class PassthroughAPI(ClientAPI):
    api = "passthrough"
    base_paths = ("/passthrough",)
    operations: Mapping[str, Operation] = {f"{method} /{{model}}/{{path*}}": "passthrough" for method in METHODS}
    lists_models = False

    def transform_error(self, error: GatewayError, request_id: str) -> bytes:
        return WIRE.encode_error(error)

    def transform_stream_error(self, error: GatewayError) -> bytes:
        return WIRE.encode_stream_error(error)

    # The rest is never asked for: its only operation does not look into bodies.

    def transform_input(self, call: ClientCall) -> LLMRequest:
        raise _NO_MODEL

    def transform_output(self, response: LLMResponse, request: LLMRequest) -> bytes:
        raise _NO_MODEL

    def transform_token_count(self, response: LLMResponse) -> bytes:
        raise _NO_MODEL

    def stream_encoder(self, request: LLMRequest) -> StreamEncoder:
        raise _NO_MODEL

    def transform_models(self, models: Sequence[ModelCard]) -> bytes:
        raise _NO_MODEL

    def transform_model(self, model: ModelCard) -> bytes:
        raise _NO_MODEL


_NO_MODEL = RequestError("requests that are passed through are not read", status=404)
