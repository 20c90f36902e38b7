"""Cohere's embeddings (v2, https://docs.cohere.com/reference/embed). Does no I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from providers.errors import BadResponseError
from providers.model import EmbeddingRequest, EmbeddingResponse, RawBody, Usage
from providers.wire.base import EncodedRequest, Translation
from providers.wire.cohere_chat.structs import API
from providers.wire.embedding import EmbeddingWire, refuse_unknown, texts_of, vectors_of

DEFAULT_INPUT_TYPE = "search_document"
"""The API demands one; a client of another API rarely says what its texts are for."""

MAX_BATCH = 96


class _Embeddings(msgspec.Struct):
    float_: list[list[float]] = msgspec.field(name="float")


class _Billed(msgspec.Struct):
    input_tokens: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None


class _Answer(msgspec.Struct):
    embeddings: _Embeddings
    meta: _Meta | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def encode(request: EmbeddingRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body. Raises `RequestError` for tokens in place of texts."""
    body = {"model": model, **embedding_fields(request, translation)}
    return EncodedRequest(body=msgspec.json.encode(body), dropped=translation.dropped)


def embedding_fields(request: EmbeddingRequest, translation: Translation) -> dict[str, Any]:
    """The body less its model, which other clouds that serve these models have elsewhere."""
    body: dict[str, Any] = {
        "texts": texts_of(request, translation.target),
        "input_type": request.input_type or DEFAULT_INPUT_TYPE,
        "embedding_types": ["float"],
    }
    if request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    refuse_unknown(request, translation)
    return body


def decode(body: bytes, request: EmbeddingRequest) -> EmbeddingResponse:
    """The vectors. Raises `BadResponseError`."""
    try:
        wire = _ANSWER.decode(body)
    except ValueError as error:
        raise BadResponseError("the provider's answer holds no embeddings") from error
    billed = wire.meta.billed_units if wire.meta is not None else None
    tokens = None if billed is None or billed.input_tokens is None else int(billed.input_tokens)
    return EmbeddingResponse(
        embeddings=vectors_of(wire.embeddings.float_, request),
        usage=None if tokens is None else Usage(prompt_tokens=tokens, total_tokens=tokens),
        raw=RawBody(API, body),
    )


EMBEDDINGS = EmbeddingWire(api=API, target=lambda model: "/v2/embed", encode=encode, decode=decode, max_batch=MAX_BATCH)
