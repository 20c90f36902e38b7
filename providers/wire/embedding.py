"""What a wire's embedding codecs look like to the rest. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from providers.errors import BadResponseError, RequestError
from providers.model import Embedding, EmbeddingRequest, EmbeddingResponse
from providers.wire.base import EncodedRequest, Translation

EmbeddingEncoder = Callable[[EmbeddingRequest, str, Translation], EncodedRequest]


class EmbeddingWire(msgspec.Struct, frozen=True, kw_only=True):
    """How a service is asked for embeddings. All are pure functions."""

    api: str
    """The wire format, by the name that `raw` carries."""
    target: Callable[[str], str]
    """The path for a model, below the base URL."""
    encode: EmbeddingEncoder
    """A request's body for the model named. Raises `RequestError` for what the service cannot do."""
    decode: Callable[[bytes, EmbeddingRequest], EmbeddingResponse]
    """The answer, one vector for each input. Raises `BadResponseError`."""
    relay: EmbeddingEncoder | None = None
    """The lossless lane, for a client of the same API: `request.raw` with only what routing must change."""
    max_batch: int | None = None
    """How many inputs one call takes; None: as many as a client sends. More are spread over several calls."""


def texts_of(request: EmbeddingRequest, target: str) -> list[str]:
    """The inputs, for a service that takes no tokens. Raises `RequestError`."""
    if request.tokens:
        raise RequestError(
            f"'input': this model's provider API ({target}) takes texts, not tokens",
            param="input",
            code="unsupported_parameter",
        )
    return request.texts


def refuse_unknown(request: EmbeddingRequest, translation: Translation) -> None:
    """What only the client's own API knows."""
    for name in request.extra:
        translation.refuse(name)
    if request.metadata.user_id is not None:
        translation.drop("user")


_PURPOSES: dict[str, str] = {
    "search_query": "query",
    "retrieval_query": "query",
    "query": "query",
    "search_document": "document",
    "retrieval_document": "document",
    "document": "document",
    "passage": "document",
    "classification": "classification",
    "clustering": "clustering",
}


def purpose_of(input_type: str) -> str | None:
    """What a vendor's word for the use of a text means: `query`, `document`, `classification`, `clustering`.

    None: a word that only its own vendor knows.
    """
    return _PURPOSES.get(input_type.lower())


def vectors_of(vectors: Sequence[list[float]], request: EmbeddingRequest) -> list[Embedding]:
    """One for each input, in order. Raises `BadResponseError` if there are more or fewer."""
    if len(vectors) != request.size:
        raise BadResponseError(f"the provider gave {len(vectors)} embeddings for {request.size} inputs")
    return [Embedding(index=index, vector=vector) for index, vector in enumerate(vectors)]
