"""Requests of countTokens. Their answers are in `response_decoder` and `response_encoder`. Imports its neighbours.

AI Studio takes a whole request in `generateContentRequest`, which names the model; Vertex takes its fields bare, and
of these only what makes up the prompt.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import LLMRequest
from providers.wire.base import EncodedRequest, Translation
from providers.wire.gemini_generate.paths import model_path
from providers.wire.gemini_generate.request_decoder import read_fields
from providers.wire.gemini_generate.request_encoder import SAMPLING, request_fields
from providers.wire.gemini_generate.structs import API, NULL

_COUNTED_BY_VERTEX = ("contents", "systemInstruction", "tools", "generationConfig")


def encode_count_request(
    request: LLMRequest, model: str, translation: Translation, *, on_vertex: bool
) -> EncodedRequest:
    """As `encode_request`, for countTokens; of another API's client less what says only how the answer is made."""
    fields = request_fields(request, model, translation, on_vertex=on_vertex)
    if request.metadata.api not in ("", API):
        config = {name: value for name, value in fields.pop("generationConfig", {}).items() if name not in SAMPLING}
        if config:
            fields["generationConfig"] = config
    body = msgspec.json.encode(_shaped(fields, model, on_vertex=on_vertex))
    return EncodedRequest(body=body, dropped=list(translation.dropped))


def relay_count_request(request: LLMRequest, model: str, *, on_vertex: bool) -> bytes:
    """The lossless lane, from either shape and from the body of a generateContent request."""
    if request.raw is None:
        raise ValueError("the request was changed after decoding: it has to be encoded, not relayed")
    fields = read_fields(request.raw.body)
    inner = fields.get("generateContentRequest", NULL)
    if inner != NULL:
        fields = read_fields(bytes(inner))
    return msgspec.json.encode(_shaped(fields, model, on_vertex=on_vertex))


def _shaped(fields: dict[str, Any], model: str, *, on_vertex: bool) -> dict[str, Any]:
    if on_vertex:
        return {name: fields[name] for name in _COUNTED_BY_VERTEX if name in fields}
    return {"generateContentRequest": {**fields, "model": model_path(model)}}
