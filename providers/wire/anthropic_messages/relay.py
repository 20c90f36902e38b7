"""The lossless lane: the client's own body with another model in it. Imports the model and the wire's Structs."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import LLMRequest
from providers.wire.json_text import FIELDS


def relay_request(request: LLMRequest, model: str) -> bytes:
    """`request.raw` for `model`; every other value byte for byte, in its place.

    Raises ValueError for a request without `raw`, which has to be encoded instead.
    """
    fields = raw_fields(request)
    fields["model"] = Raw(msgspec.json.encode(model))
    return msgspec.json.encode(fields)


def raw_fields(request: LLMRequest) -> dict[str, Raw]:
    """The fields of the client's body, as they came."""
    if request.raw is None:
        raise ValueError("the request was changed after decoding: it has to be encoded, not relayed")
    return FIELDS.decode(request.raw.body)
