"""Ollama's embeddings (https://docs.ollama.com/api/embed). Does no I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from providers.errors import BadResponseError
from providers.model import EmbeddingRequest, EmbeddingResponse, RawBody, Usage
from providers.wire.base import EncodedRequest, Translation
from providers.wire.embedding import EmbeddingWire, refuse_unknown, texts_of, vectors_of
from providers.wire.ollama_chat.structs import API


class _Answer(msgspec.Struct):
    embeddings: list[list[float]]
    model: str | None = None
    prompt_eval_count: int | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def encode(request: EmbeddingRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body. Raises `RequestError` for tokens in place of texts."""
    body: dict[str, Any] = {"model": model, "input": texts_of(request, API)}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.input_type is not None:
        translation.drop("input_type")
    refuse_unknown(request, translation)
    return EncodedRequest(body=msgspec.json.encode(body), dropped=translation.dropped)


def decode(body: bytes, request: EmbeddingRequest) -> EmbeddingResponse:
    """The vectors. Raises `BadResponseError`."""
    try:
        wire = _ANSWER.decode(body)
    except ValueError as error:
        raise BadResponseError("the provider's answer holds no embeddings") from error
    tokens = wire.prompt_eval_count
    return EmbeddingResponse(
        model=wire.model or "",
        embeddings=vectors_of(wire.embeddings, request),
        usage=None if tokens is None else Usage(prompt_tokens=tokens, total_tokens=tokens),
        raw=RawBody(API, body),
    )


EMBEDDINGS = EmbeddingWire(api=API, target=lambda model: "/api/embed", encode=encode, decode=decode)
