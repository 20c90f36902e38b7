"""The lossless lane: the client's own body with another model in it. Imports the model."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import LLMRequest
from providers.wire.json_text import FIELDS


def relay_request(request: LLMRequest, model: str) -> bytes:
    """`request.raw` for `model`; every other value byte for byte, in its place. Needs `raw`."""
    assert request.raw is not None
    body = request.raw.body
    fields = FIELDS.decode(body)
    name = msgspec.json.encode(model)
    if bytes(fields["model"]) == name:
        return body
    fields["model"] = Raw(name)
    return msgspec.json.encode(fields)
