"""OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings), both sides. Does no I/O.

Whatever is sent upstream asks for what the client asked for: vectors in base64 are relayed as such, so that nobody
prints and parses a million numbers on the way.
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from typing import Any, Literal

import msgspec

from providers.errors import BadResponseError, RequestError
from providers.model import Embedding, EmbeddingRequest, EmbeddingResponse, RawBody, RequestMetadata
from providers.wire.base import EncodedRequest, Translation
from providers.wire.embedding import EmbeddingWire
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.dialect import OPENAI, Dialect
from providers.wire.openai_chat.dialect_request import adapt_parameters
from providers.wire.openai_chat.errors import error_in_answer
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value, not_json, required
from providers.wire.openai_chat.response_structs import NO_RAW
from providers.wire.openai_chat.usage import decode_usage, encode_usage

_Decoder = msgspec.json.Decoder

_TOP = _Decoder(dict[str, msgspec.Raw])
_STRING = _Decoder(str)
_INTEGER = _Decoder(int)
_INPUT = _Decoder(str | list[str | int | list[int]])
_ENCODER = msgspec.json.Encoder()
_NULL = msgspec.Raw(b"null")

_SWAP = sys.byteorder == "big"


class _WireEmbedding(msgspec.Struct, gc=False):
    embedding: msgspec.Raw
    index: int | None = None


class _WireAnswer(msgspec.Struct, gc=False):
    data: list[_WireEmbedding]
    model: str | None = None
    usage: msgspec.Raw = NO_RAW


_ANSWER = _Decoder(_WireAnswer)
_VECTOR = _Decoder(list[float] | str)

# -- the client's side ------------------------------------------------------------------------------------------------


def decode_embedding_request(body: bytes) -> EmbeddingRequest:
    """The request, with `raw` set. Raises `RequestError` that names the field that is wrong."""
    try:
        top = _TOP.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError("the request body must be a JSON object", code="invalid_json") from error
    except (ValueError, RecursionError) as error:
        raise not_json(error) from error
    given = {name: raw for name, raw in top.items() if raw != _NULL}
    model = decode_parameter(_STRING, "model", given["model"]) if "model" in given else ""
    if not model:
        raise required("model")
    request = EmbeddingRequest(model=model, metadata=RequestMetadata(api=API), raw=RawBody(API, body))
    if "input" not in given:
        raise required("input")
    _read_input(request, given["input"])
    if "dimensions" in given:
        request.dimensions = decode_parameter(_INTEGER, "dimensions", given["dimensions"])
        if request.dimensions < 1:
            raise invalid_value("dimensions", "a positive integer", str(request.dimensions))
    if "encoding_format" in given:
        request.encoding_format = _format(given["encoding_format"])
    if "input_type" in given:
        request.input_type = decode_parameter(_STRING, "input_type", given["input_type"])
    if "user" in given:
        request.metadata.user_id = decode_parameter(_STRING, "user", given["user"])
    request.extra = {name: raw for name, raw in given.items() if name not in _FIELDS}
    return request


_FIELDS = frozenset({"model", "input", "dimensions", "encoding_format", "input_type", "user"})


def _read_input(request: EmbeddingRequest, raw: msgspec.Raw) -> None:
    given = decode_parameter(_INPUT, "input", raw)
    if isinstance(given, str):
        request.texts = [given]
        return
    if not given:
        raise invalid_value("input", "at least one text", "an empty array")
    kinds = {type(item) for item in given}
    if kinds == {str}:
        request.texts = [item for item in given if isinstance(item, str)]
    elif kinds == {int}:
        request.tokens = [[item for item in given if isinstance(item, int)]]
    elif kinds == {list}:
        request.tokens = [item for item in given if isinstance(item, list)]
        empty = next((index for index, item in enumerate(request.tokens) if not item), None)
        if empty is not None:
            raise invalid_value(f"input[{empty}]", "at least one token", "an empty array")
    else:
        raise invalid_value("input", "texts or tokens, not both", "a mixture")


def _format(raw: msgspec.Raw) -> Literal["float", "base64"]:
    given = decode_parameter(_STRING, "encoding_format", raw)
    if given == "float":
        return "float"
    if given == "base64":
        return "base64"
    raise invalid_value("encoding_format", "'float' or 'base64'", repr(given))


def encode_embedding_response(response: EmbeddingResponse, request: EmbeddingRequest) -> bytes:
    """The client's body. Without usage from the provider it says zero tokens: SDKs demand the field."""
    as_base64 = request.encoding_format == "base64"
    usage = encode_usage(response.usage) if response.usage is not None else {}
    usage.pop("completion_tokens", None)
    return _ENCODER.encode(
        {
            "object": "list",
            "data": [
                {
                    "object": "embedding",
                    "index": embedding.index,
                    "embedding": pack(embedding.vector) if as_base64 else embedding.vector,
                }
                for embedding in response.embeddings
            ],
            "model": response.model or request.model,
            "usage": {"prompt_tokens": 0, "total_tokens": 0, **usage},
        }
    )


# -- the provider's side ----------------------------------------------------------------------------------------------


def encode_embedding_request(
    request: EmbeddingRequest, model: str, translation: Translation, dialect: Dialect = OPENAI
) -> EncodedRequest:
    """The body for `model`, from the model in the middle."""
    body: dict[str, Any] = {"model": model, "input": request.texts or request.tokens}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.encoding_format != "float":
        body["encoding_format"] = request.encoding_format
    if request.input_type is not None:
        body["input_type"] = request.input_type
    if request.metadata.user_id is not None:
        body["user"] = request.metadata.user_id
    body |= request.extra
    adapt_parameters(body, translation, dialect, own=request.metadata.api in ("", API))
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))


def relay_embedding_request(
    request: EmbeddingRequest, model: str, translation: Translation, dialect: Dialect = OPENAI
) -> EncodedRequest:
    """The client's own body, for `model`: with no other change than that where the dialect needs none."""
    assert request.raw is not None
    came = _TOP.decode(request.raw.body)
    body: dict[str, Any] = {**came, "model": msgspec.Raw(_ENCODER.encode(model))}
    adapt_parameters(body, translation, dialect, own=True)
    same = list(body.items()) == list(came.items())
    encoded = request.raw.body if same else _ENCODER.encode(body)
    return EncodedRequest(body=encoded, dropped=list(translation.dropped))


def decode_embedding_response(body: bytes, request: EmbeddingRequest) -> EmbeddingResponse:
    """The answer, with `raw` set. Raises `BadResponseError` if it is not one vector for each input.

    For a client that gets the body as it came the vectors stay unread: there may be millions of numbers.
    """
    try:
        wire = _ANSWER.decode(body)
    except (ValueError, RecursionError) as error:
        said = error_in_answer(body)
        if said is not None:
            raise said from error
        raise BadResponseError("the provider's answer holds no embeddings") from error
    if len(wire.data) != request.size:
        raise BadResponseError(f"the provider gave {len(wire.data)} embeddings for {request.size} inputs")
    response = EmbeddingResponse(model=wire.model or "", usage=decode_usage(wire.usage), raw=RawBody(API, body))
    if request.raw is None or request.raw.api != API:
        response.embeddings = [
            Embedding(index=position if one.index is None else one.index, vector=_vector(one.embedding))
            for position, one in enumerate(wire.data)
        ]
    return response


def _vector(raw: msgspec.Raw) -> list[float]:
    try:
        wire = _VECTOR.decode(raw)
        return unpack(wire) if isinstance(wire, str) else wire
    except ValueError as error:
        raise BadResponseError("an embedding of the provider is no vector") from error


def pack(vector: list[float]) -> str:
    """A vector as base64 of little-endian 32-bit floats, OpenAI's other form."""
    floats = array("f", vector)
    if _SWAP:
        floats.byteswap()
    return b64encode(floats.tobytes()).decode("ascii")


def unpack(text: str) -> list[float]:
    """The reverse of `pack`. Raises ValueError."""
    floats = array("f")
    floats.frombytes(b64decode(text, validate=True))
    if _SWAP:
        floats.byteswap()
    return floats.tolist()


def embedding_wire(dialect: Dialect = OPENAI) -> EmbeddingWire:
    """OpenAI's embeddings, as a vendor of that dialect takes them."""
    return EmbeddingWire(
        api=API,
        target=lambda model: "/embeddings",
        encode=lambda request, model, translation: encode_embedding_request(request, model, translation, dialect),
        relay=lambda request, model, translation: relay_embedding_request(request, model, translation, dialect),
        decode=decode_embedding_response,
    )


EMBEDDINGS = embedding_wire()
