"""Which requests are the same. Pure; imports the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from providers.model import LLMRequest, RequestMetadata, RequestNotes

VERSION = "1"
"""Changes when an answer of before would be read wrongly."""


def key_of(request: LLMRequest, scope: Sequence[object]) -> str:
    """The key of a request among those of `scope` (a project, a route, a user ...; plain data).

    Everything that may change the answer counts, in whatever order and spacing the client wrote it. Whether the answer
    is streamed does not, nor what the request is called, who sent it, nor hints that leave the answer alone.
    """
    plain = msgspec.structs.replace(
        request,
        stream=False,
        include_usage=False,
        hints={},
        metadata=RequestMetadata(),
        raw=None,
        notes=RequestNotes(),
    )
    # By way of plain data: what the client wrote as JSON (schemas, unknown parameters) is put in order too.
    value: Any = msgspec.json.decode(msgspec.json.encode(plain))
    text = msgspec.json.encode([VERSION, list(scope), value], order="sorted")
    return hashlib.blake2b(text, digest_size=32).hexdigest()
