"""Gemini's generateContent for clients (https://ai.google.dev/api/generate-content), by AI Studio's and Vertex's paths.

The path names the model and says whether to stream. With `alt=sse` a stream is server-sent events; without it Google
streams a JSON array, and so does this: see `GeminiArrayAPI`. What proves who the client is (`x-goog-api-key`, `key=`)
goes to no provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from providers.errors import GatewayError, RequestError
from providers.extension import extension
from providers.model import EventKind, LLMRequest, LLMResponse, RequestMetadata
from providers.wire.base import StreamEncoder
from providers.wire.gemini_generate import API, WIRE, decode_count_request, encode_token_count
from providers.wire.sse import SSEDecoder
from proxy.apis.base import ClientAPI, ClientCall, ModelCard, Operation
from proxy.apis.wire_api import WireClientAPI

_METHODS: Mapping[str, Operation] = {
    "generateContent": "complete",
    "streamGenerateContent": "complete",
    "countTokens": "count_tokens",
}
_MODELS = (
    "/models/{model*}",
    "/publishers/{publisher}/models/{model*}",
    "/projects/{project}/locations/{location}/publishers/{publisher}/models/{model*}",
)
"""Where models are: AI Studio's, and Vertex's with a key or with a project, which is the gateway's to know."""

_OURS = frozenset({"key", "access_token", "alt", "$alt"})
"""Parameters of the query that stay here: the client's credentials, and how it wants the answer framed."""


@extension(name="gemini-generate", version="1.0.0", description="Google Gemini, generateContent")
class GeminiGenerateAPI(WireClientAPI):
    wire = WIRE
    base_paths = ("/v1beta", "/v1", "/v1alpha", "/v1beta1", "/gemini/v1beta", "/gemini/v1", "/gemini")
    operations: Mapping[str, Operation] = {
        f"{models}:{method}": operation for models in _MODELS for method, operation in _METHODS.items()
    }
    forwarded_headers = (b"x-vertex-ai-llm-request-type", b"x-vertex-ai-llm-shared-request-type")
    telling_header = b"x-goog-api-key"

    def decode(self, call: ClientCall) -> LLMRequest:
        counts = call.operation == "count_tokens"
        request = decode_count_request(call.body) if counts else WIRE.decode_request(call.body)
        request.model = call.params["model"]
        request.stream = call.path.endswith(":streamGenerateContent")
        return request

    def fill_metadata(self, metadata: RequestMetadata, call: ClientCall) -> None:
        super().fill_metadata(metadata, call)
        pairs = parse_qsl(call.query, keep_blank_values=True)
        asked = {name: value for name, value in pairs if name in _OURS}
        metadata.query = urlencode([pair for pair in pairs if pair[0] not in _OURS])
        framing = asked.get("alt") or asked.get("$alt") or "json"
        if framing not in ("json", "sse"):
            raise RequestError(f"'alt': expected 'sse' or 'json', got {framing[:40]!r}", param="alt")
        metadata.framing = framing

    def for_request(self, request: LLMRequest) -> ClientAPI:
        if request.stream and request.metadata.framing == "json":
            return GeminiArrayAPI(request)
        return self

    def transform_token_count(self, response: LLMResponse) -> bytes:
        return encode_token_count(response)

    def transform_models(self, models: Sequence[ModelCard]) -> bytes:
        return msgspec.json.encode({"models": [_card(model) for model in models]})

    def transform_model(self, model: ModelCard) -> bytes:
        return msgspec.json.encode(_card(model))


class GeminiArrayAPI(GeminiGenerateAPI):
    """The same for one streamed answer as a JSON array, each event an element of it.

    Its name differs, so that no event is relayed with its framing; what an event holds is relayed all the same.
    """

    def __init__(self, request: LLMRequest) -> None:
        super().__init__()
        self.api = f"{API}-array"
        self._encoder = _ArrayEncoder(request)

    def stream_content_type(self, request: LLMRequest) -> bytes:
        return b"application/json; charset=UTF-8"

    def stream_encoder(self, request: LLMRequest) -> StreamEncoder:
        return self._encoder

    def transform_stream_error(self, error: GatewayError) -> bytes:
        return self._encoder.close(WIRE.encode_stream_error(error))


class _ArrayEncoder:
    """Puts events into an array."""

    def __init__(self, request: LLMRequest) -> None:
        self._events = WIRE.stream_encoder(request)
        self._begun = False
        self._closed = False
        self._made = False
        """Whether any element was made here: then the last one must be too."""

    @property
    def dropped_blocks(self) -> int:
        return self._events.dropped_blocks

    @dropped_blocks.setter
    def dropped_blocks(self, count: int) -> None:
        self._events.dropped_blocks = count

    def encode(self, chunk: LLMResponse) -> bytes:
        if chunk.kind is EventKind.KEEP_ALIVE:
            return b"\r\n"
        self._made = self._made or chunk.raw is None or chunk.raw.api != API
        return self._elements(self._events.encode(chunk))

    def finish(self, response: LLMResponse) -> bytes:
        return self.close(self._events.finish(response) if self._made or not self._begun else b"")

    def close(self, last: bytes) -> bytes:
        """The last events, and the array's end; nothing if it has ended."""
        if self._closed:
            return b""
        elements = self._elements(last)
        self._closed = True
        return elements + (b"\r\n]" if self._begun else b"[]")

    def _elements(self, events: bytes) -> bytes:
        pieces: list[bytes] = []
        decoder = SSEDecoder()
        for event in (*decoder.feed(events), decoder.eof()):
            if event is not None and event.data:
                pieces += (b",\r\n" if self._begun else b"[", event.data)
                self._begun = True
        return b"".join(pieces)


def _card(model: ModelCard) -> dict[str, Any]:
    card: dict[str, Any] = {
        "name": f"models/{model.id}",
        "displayName": model.description or model.id,
        "supportedGenerationMethods": list(_METHODS),
    }
    if model.description:
        card["description"] = model.description
    return card
