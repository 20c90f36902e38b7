"""Google's embeddings: AI Studio's `batchEmbedContents` and Vertex AI's `predict`. Does no I/O.

Sources: https://ai.google.dev/api/embeddings,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api. Both have the same parameters
under different names; neither takes tokens.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.errors import BadResponseError
from providers.model import EmbeddingRequest, EmbeddingResponse, Usage
from providers.wire.base import EncodedRequest, Translation
from providers.wire.embedding import EmbeddingWire, purpose_of, refuse_unknown, texts_of, vectors_of
from providers.wire.gemini_generate.paths import method_target, model_path

_TASKS = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}

_ENCODER = msgspec.json.Encoder()


def _task(request: EmbeddingRequest) -> str | None:
    """The task type. A word that is not another vendor's is taken for Google's own."""
    if request.input_type is None:
        return None
    purpose = purpose_of(request.input_type)
    return _TASKS[purpose] if purpose is not None else request.input_type.upper()


# -- AI Studio --------------------------------------------------------------------------------------------------------


class _Values(msgspec.Struct, gc=False):
    values: list[float]


class _UsageMetadata(msgspec.Struct, gc=False, rename="camel"):
    prompt_token_count: int | None = None


class _BatchAnswer(msgspec.Struct, gc=False, rename="camel"):
    embeddings: list[_Values]
    usage_metadata: _UsageMetadata | None = None


_BATCH_ANSWER = msgspec.json.Decoder(_BatchAnswer)


def _encode_batch(request: EmbeddingRequest, model: str, translation: Translation) -> EncodedRequest:
    texts = texts_of(request, translation.target)
    refuse_unknown(request, translation)
    shared: dict[str, Any] = {"model": model_path(model)}
    task = _task(request)
    if task is not None:
        shared["taskType"] = task
    if request.dimensions is not None:
        shared["outputDimensionality"] = request.dimensions
    body = {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in texts]}
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))


def _decode_batch(body: bytes, request: EmbeddingRequest) -> EmbeddingResponse:
    try:
        wire = _BATCH_ANSWER.decode(body)
    except ValueError as error:
        raise BadResponseError("the provider's answer holds no embeddings") from error
    counted = wire.usage_metadata.prompt_token_count if wire.usage_metadata is not None else None
    return EmbeddingResponse(
        embeddings=vectors_of([one.values for one in wire.embeddings], request), usage=_usage(counted)
    )


GEMINI = EmbeddingWire(
    api="gemini-embeddings",
    target=lambda model: method_target(f"/{model_path(model)}", "batchEmbedContents"),
    encode=_encode_batch,
    decode=_decode_batch,
    max_batch=100,
)
"""Of AI Studio."""

# -- Vertex AI --------------------------------------------------------------------------------------------------------


class _Statistics(msgspec.Struct, gc=False):
    token_count: float | None = None


class _PredictedValues(msgspec.Struct, gc=False):
    values: list[float]
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct, gc=False):
    embeddings: _PredictedValues


class _PredictAnswer(msgspec.Struct, gc=False):
    predictions: list[_Prediction]


_PREDICT_ANSWER = msgspec.json.Decoder(_PredictAnswer)


def _encode_predict(request: EmbeddingRequest, model: str, translation: Translation) -> EncodedRequest:
    texts = texts_of(request, translation.target)
    refuse_unknown(request, translation)
    task = _task(request)
    shared = {"task_type": task} if task is not None else {}
    body: dict[str, Any] = {"instances": [{"content": text, **shared} for text in texts]}
    if request.dimensions is not None:
        body["parameters"] = {"outputDimensionality": request.dimensions}
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))


def _decode_predict(body: bytes, request: EmbeddingRequest) -> EmbeddingResponse:
    try:
        wire = _PREDICT_ANSWER.decode(body)
    except ValueError as error:
        raise BadResponseError("the provider's answer holds no embeddings") from error
    found = [one.embeddings for one in wire.predictions]
    counts = [one.statistics.token_count for one in found if one.statistics is not None]
    known = [int(count) for count in counts if count is not None]
    return EmbeddingResponse(
        embeddings=vectors_of([one.values for one in found], request), usage=_usage(sum(known) if known else None)
    )


def vertex_embeddings(model: str) -> EmbeddingWire:
    """Of Vertex AI. Its Gemini models take one text a call, the older ones many."""
    return _ONE if model.rpartition("/")[2].startswith("gemini-embedding") else VERTEX


VERTEX = EmbeddingWire(
    api="vertex-embeddings",
    target=lambda model: method_target(f"/{model}", "predict"),
    encode=_encode_predict,
    decode=_decode_predict,
    max_batch=250,
)
"""Of Vertex AI, for models that take many texts a call."""
_ONE = msgspec.structs.replace(VERTEX, max_batch=1)


def _usage(prompt_tokens: int | None) -> Usage | None:
    if prompt_tokens is None:
        return None
    return Usage(prompt_tokens=prompt_tokens, total_tokens=prompt_tokens)
