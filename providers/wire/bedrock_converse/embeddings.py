"""Embeddings on Bedrock: `InvokeModel`, whose body is the model's own. Does no I/O.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and
.../model-parameters-embed.html (Cohere).
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.errors import BadResponseError, RequestError
from providers.model import EmbeddingRequest, EmbeddingResponse, Usage
from providers.wire.base import EncodedRequest, Translation
from providers.wire.cohere_chat.embeddings import MAX_BATCH, embedding_fields
from providers.wire.cohere_chat.embeddings import decode as decode_cohere
from providers.wire.embedding import EmbeddingWire, refuse_unknown, texts_of, vectors_of

_ENCODER = msgspec.json.Encoder()


class _TitanAnswer(msgspec.Struct, gc=False, rename="camel"):
    embedding: list[float]
    input_text_token_count: int | None = None


_TITAN_ANSWER = msgspec.json.Decoder(_TitanAnswer)


def _encode_titan(request: EmbeddingRequest, model: str, translation: Translation) -> EncodedRequest:
    [text] = texts_of(request, translation.target)
    refuse_unknown(request, translation)
    if request.input_type is not None:
        translation.drop("input_type")
    body: dict[str, Any] = {"inputText": text}
    if request.dimensions is not None:
        if "text-v1" in model:
            translation.refuse("dimensions", "this model's vectors have one length")
        else:
            body["dimensions"] = request.dimensions
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))


def _decode_titan(body: bytes, request: EmbeddingRequest) -> EmbeddingResponse:
    try:
        wire = _TITAN_ANSWER.decode(body)
    except ValueError as error:
        raise BadResponseError("the provider's answer holds no embedding") from error
    count = wire.input_text_token_count
    usage = Usage(prompt_tokens=count, total_tokens=count) if count is not None else None
    return EmbeddingResponse(embeddings=vectors_of([wire.embedding], request), usage=usage)


TITAN = EmbeddingWire(
    api="bedrock-titan-embeddings",
    target=lambda model: f"/model/{model}/invoke",
    encode=_encode_titan,
    decode=_decode_titan,
    max_batch=1,
)
"""Amazon Titan Text Embeddings: one text a call."""


def _encode_cohere(request: EmbeddingRequest, model: str, translation: Translation) -> EncodedRequest:
    body = embedding_fields(request, translation)
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))


COHERE = EmbeddingWire(
    api="bedrock-cohere-embeddings",
    target=lambda model: f"/model/{model}/invoke",
    encode=_encode_cohere,
    decode=decode_cohere,
    max_batch=MAX_BATCH,
)
"""Cohere Embed: as in Cohere's own API, less the model, and without usage."""


def bedrock_embeddings(model: str) -> EmbeddingWire:
    """The body of a model, by its id. Raises `RequestError` for one whose body is not known here."""
    if "titan-embed-text" in model:
        return TITAN
    if "cohere.embed" in model:
        return COHERE
    raise RequestError(
        f"'{model[:200]}' is not known to make embeddings on Bedrock; Titan's and Cohere's text models are",
        param="model",
        status=404,
    )
