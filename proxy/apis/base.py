"""`ClientAPI`: one of the APIs that clients speak to the gateway. Imports providers/ only.

A client API is an extension like a provider, with the same life cycle. It reads requests into the model in the middle
and writes answers from it; it does no I/O. The gateway mounts it under each of its `base_paths`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from providers.errors import GatewayError, RequestError
from providers.extension import Extension
from providers.model import EmbeddingRequest, EmbeddingResponse, LLMRequest, LLMResponse
from providers.model.text_run import TextRun
from providers.wire.base import StreamEncoder

Operation = str
"""What a client asks for: a name in `proxy.exchange.operations.OPERATIONS` (`complete`, `count_tokens` ...)."""


class ClientCall(msgspec.Struct, kw_only=True):
    """A client's HTTP request, its body read whole."""

    operation: Operation
    method: str = "POST"
    path: str = ""
    """As it was asked for, decoded, without the query."""
    params: Mapping[str, str] = {}
    """What the braces of the route's path stood for."""
    body: bytes
    headers: Mapping[bytes, bytes]
    """Names in lower case; of a repeated header the last value."""
    query: str
    """The query string, without the question mark."""
    request_id: str


class ModelCard(msgspec.Struct, kw_only=True, frozen=True):
    """What a client may know of a configured model."""

    id: str
    created: int
    """Unix time in seconds at which the configuration was loaded."""
    provider: str
    description: str | None = None
    metadata: dict[str, Any] = {}
    capabilities: tuple[str, ...] = ()
    """What the model can be asked for, sorted: see `providers.provider.Capability`."""


class ClientAPI(Extension, ABC):
    """Base of client APIs."""

    api: str
    """Its wire format; a provider of the same one is served in the lossless lane."""
    base_paths: tuple[str, ...]
    """Where it is mounted: `/v1`, `/openai/v1` ..."""
    operations: Mapping[str, Operation]
    """Routes below each base path: `[METHOD ]PATH`, POST if no method is given. In a path `{name}` stands for one
    segment, `{name*}` for any number of them; what they stood for is in `ClientCall.params`."""
    lists_models: ClassVar[bool] = True
    """Whether the list of models is under its base paths too."""
    forwarded_headers: tuple[bytes, ...] = ()
    """The client's headers that belong to the API and go to a provider of the same API."""

    telling_header: ClassVar[bytes | None] = None
    """A header that only clients of this API send: it decides on a path that several APIs share (`GET /v1/models`)."""

    @abstractmethod
    def transform_input(self, call: ClientCall) -> LLMRequest:
        """The request. Raises `RequestError` that names the field and what was expected."""

    @abstractmethod
    def transform_output(self, response: LLMResponse, request: LLMRequest) -> bytes:
        """The body of a whole answer."""

    @abstractmethod
    def transform_token_count(self, response: LLMResponse) -> bytes:
        """The body of the answer to `count_tokens`; the count is in `usage.prompt_tokens`."""

    def transform_embedding_input(self, call: ClientCall) -> EmbeddingRequest:
        """The request for embeddings. Raises `RequestError` that names the field and what was expected."""
        raise RequestError("this API has no embeddings", status=404)

    def transform_embeddings(self, response: EmbeddingResponse, request: EmbeddingRequest) -> bytes:
        """The body of the answer to `embed`."""
        raise RequestError("this API has no embeddings", status=404)

    @abstractmethod
    def stream_encoder(self, request: LLMRequest) -> StreamEncoder:
        """What `transform_output_chunk` keeps between the chunks of one stream."""

    def transform_output_chunk(self, chunk: LLMResponse, encoder: StreamEncoder) -> bytes:
        """The events that say `chunk`; b"": nothing to say."""
        return encoder.encode(chunk)

    def transform_output_run(self, run: TextRun, encoder: StreamEncoder) -> bytes:
        """The events that say the chunks of `run`: what `transform_output_chunk` gives for each, joined."""
        return b"".join([self.transform_output_chunk(chunk, encoder) for chunk in run.chunks()])

    def transform_output_end(self, response: LLMResponse, encoder: StreamEncoder) -> bytes:
        """The events that end a stream well, success terminator included."""
        return encoder.finish(response)

    @abstractmethod
    def transform_error(self, error: GatewayError, request_id: str) -> bytes:
        """The body of an error in this API's shape."""

    @abstractmethod
    def transform_stream_error(self, error: GatewayError) -> bytes:
        """The event that ends a stream with an error. Never a success terminator."""

    @abstractmethod
    def transform_models(self, models: Sequence[ModelCard]) -> bytes:
        """The list of models."""

    @abstractmethod
    def transform_model(self, model: ModelCard) -> bytes:
        """One model."""

    def for_request(self, request: LLMRequest) -> ClientAPI:
        """Who answers this request: the API itself, or a kin of it that frames a stream in another way."""
        return self

    def stream_content_type(self, request: LLMRequest) -> bytes:
        """The content type of a streamed answer."""
        return b"text/event-stream; charset=utf-8"

    def response_headers(self, request_id: str) -> list[tuple[bytes, bytes]]:
        """Headers that this API adds to every answer."""
        return []
