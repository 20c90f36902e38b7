"""`EmbeddingRequest` and `EmbeddingResponse`: texts in, vectors out. Imports only its neighbours in the model."""

from __future__ import annotations

from typing import Literal

import msgspec

from providers.model.request import RawBody, RequestMetadata, RequestNotes
from providers.model.response import Usage


class EmbeddingRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request for embeddings. It has `texts` or `tokens`, never both, one entry for each vector that is asked for."""

    model: str
    texts: list[str] = []
    tokens: list[list[int]] = []
    """The inputs as tokens of the model's own tokenizer."""
    dimensions: int | None = None
    """The length of the vectors, for models that can give shorter ones."""
    encoding_format: Literal["float", "base64"] = "float"
    """How the client wants vectors: numbers, or base64 of little-endian 32-bit floats."""
    input_type: str | None = None
    """What the texts are for, in the provider's own words (`search_query`, `passage`, `RETRIEVAL_DOCUMENT` ...)."""
    extra: dict[str, msgspec.Raw] = {}
    """Parameters of the client's API that the model in the middle has no field for."""

    metadata: RequestMetadata = msgspec.field(default_factory=RequestMetadata)
    raw: RawBody | None = None
    notes: RequestNotes = msgspec.field(default_factory=RequestNotes)

    @property
    def size(self) -> int:
        """How many vectors are asked for."""
        return len(self.texts) or len(self.tokens)


class Embedding(msgspec.Struct, kw_only=True, gc=False):
    index: int
    """Which of the inputs it is of."""
    vector: list[float]


class EmbeddingResponse(msgspec.Struct, kw_only=True, omit_defaults=True):
    model: str = ""
    embeddings: list[Embedding] = []
    usage: Usage | None = None
    raw: RawBody | None = None
    """The provider's own body, and its API: a client of the same API gets it as it came, and then `embeddings` may be
    empty, because nobody needed the numbers."""
