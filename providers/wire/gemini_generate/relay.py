"""The lossless lane: the client's own body. Does no I/O."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import LLMRequest
from providers.wire.gemini_generate.paths import model_path
from providers.wire.json_text import FIELDS


def relay_request(request: LLMRequest, model: str) -> bytes:
    """`request.raw` for `model`. The path names the model; only a body that names it too has to change.

    Raises ValueError for a request without `raw`, which has to be encoded instead.
    """
    if request.raw is None:
        raise ValueError("the request was changed after decoding: it has to be encoded, not relayed")
    body = request.raw.body
    if b'"model"' not in body:
        return body
    fields = FIELDS.decode(body)
    if "model" not in fields:
        return body
    fields["model"] = Raw(msgspec.json.encode(model_path(model)))
    return msgspec.json.encode(fields)
