"""`WireProvider`: an HTTP provider that speaks one of the wire formats in `providers.wire`.

The codec does the work: same API on both sides, the client's bytes are relayed; else the request is encoded from the
model in the middle. A subclass names its wire, its path and its credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from providers.errors import ProviderError
from providers.extension import Config
from providers.http.embedding import embed_in_batches
from providers.http.outgoing import OutgoingRequest
from providers.http.provider import HTTPProvider
from providers.model import EmbeddingRequest, EmbeddingResponse, LLMRequest, LLMResponse
from providers.provider import Capability
from providers.wire.base import EncodedRequest, ProviderWire, StreamDecoder, Translation, Wire
from providers.wire.embedding import EmbeddingWire


class WireProvider(HTTPProvider):
    wire: ProviderWire
    path: str
    """The path of a completion, below the base URL."""

    wires: ClassVar[Mapping[str, tuple[ProviderWire, str]]] = {}
    """For a service of several APIs: the values of the configuration's `api`, each with its wire and path. `wire` and
    `path` are the ones for a configuration that says nothing."""

    embeddings: EmbeddingWire | None = None
    """How the service is asked for embeddings; None: it has none."""

    drop_unsupported = False

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "wire"):
            cls.api = cls.wire.api
        if cls.wires:
            cls.variants = {wire.api: {"api": name} for name, (wire, _) in cls.wires.items() if wire is not cls.wire}

    async def configure(self, config: Config) -> None:
        if self.wires and "api" in config:
            self.wire, self.path = self.wires[config["api"]]
            self.api = self.wire.api
        self.drop_unsupported = bool(config.get("dropUnsupported", False))
        await super().configure(config)

    def is_lossless(self, request: LLMRequest) -> bool:
        """Whether the client's own bytes can be sent."""
        return request.raw is not None and request.raw.api == self.api

    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        model = self.model_for(request)
        if isinstance(self.wire, Wire) and self.is_lossless(request):
            target = _with_query(self.completion_target(request, model), request.metadata.query)
            relayed = self.relayed(request, model)
            return OutgoingRequest(
                target=target, body=relayed.body, headers=request.metadata.headers, dropped=relayed.dropped
            )
        encoded = self.encode(request, model)
        return OutgoingRequest(
            target=self.completion_target(request, model),
            body=encoded.body,
            headers=encoded.headers,
            dropped=encoded.dropped,
        )

    def completion_target(self, request: LLMRequest, model: str) -> str:
        """Path and query of a completion, below the base URL."""
        return self.path

    def stored_target(self, response_id: str, action: str, query: str) -> str:
        """Path and query of a response that the service keeps, below the base URL.

        `action`: what follows the id, with its slash (`/cancel`), or nothing; `query`: as it is to be sent.
        """
        return _with_query(f"{self.path}/{response_id}{action}", query)

    def encode(self, request: LLMRequest, model: str) -> EncodedRequest:
        """The request's body from the model in the middle. Raises `RequestError` for what this API cannot honour."""
        return self.wire.encode_request(request, model, self.translation(request))

    def translation(self, request: LLMRequest) -> Translation:
        """For one request that is to be encoded. Raises `RequestError` if it is bound to another API."""
        translation = Translation(self.api, drop_unsupported=self.drop_unsupported, client=request.metadata.api)
        if request.metadata.api != self.api:
            translation.refuse_bound(request)
        return translation

    def count_translation(self, request: LLMRequest) -> Translation:
        """The same, for a request whose input is to be counted."""
        translation = self.translation(request)
        translation.counts = True
        return translation

    def relayed(self, request: LLMRequest, model: str) -> EncodedRequest:
        """The client's own body, with what routing must change. Needs `is_lossless(request)`."""
        assert isinstance(self.wire, Wire)
        return EncodedRequest(body=self.wire.relay_request(request, model))

    @classmethod
    def capabilities(cls) -> frozenset[Capability]:
        found = super().capabilities()
        return found if cls.embeddings is not None else found - {"embeddings"}

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        model = self.model_for(request)
        wire = self.embedding_wire(model)
        if wire is None:
            return await super().embed(request)
        target = self.embedding_target(wire, model)

        async def ask(batch: EmbeddingRequest) -> EmbeddingResponse:
            translation = Translation(self.metadata.name, drop_unsupported=self.drop_unsupported)
            is_own = wire.relay is not None and batch.raw is not None and batch.raw.api == wire.api
            encode = wire.relay if is_own and wire.relay is not None else wire.encode
            encoded = encode(batch, model, translation)
            outgoing = OutgoingRequest(
                target=_with_query(target, batch.metadata.query) if is_own else target,
                body=encoded.body,
                headers={**(batch.metadata.headers if is_own else {}), **encoded.headers},
                dropped=[name for name in encoded.dropped if name not in batch.notes.dropped],
            )
            return await self.call(outgoing, batch, lambda body: wire.decode(body, batch))

        return await embed_in_batches(request, wire.max_batch, ask)

    def embedding_wire(self, model: str) -> EmbeddingWire | None:
        """How the service is asked for embeddings of `model`; None: it has none. Raises `RequestError`."""
        return self.embeddings

    def embedding_target(self, wire: EmbeddingWire, model: str) -> str:
        """Path and query of a call for embeddings, below the base URL."""
        return wire.target(model)

    def response_in(self, body: bytes, request: LLMRequest) -> LLMResponse:
        return self.wire.decode_response(body)

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        return self.wire.stream_decoder()

    def error_in(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return self.wire.decode_error(status, body)


def _with_query(target: str, query: str) -> str:
    """`target` with the client's query, which belongs to its API as its body does."""
    if not query:
        return target
    return f"{target}{'&' if '?' in target else '?'}{query}"
