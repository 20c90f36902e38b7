"""A client's request body as a request of the model. Does no I/O.

The body names no model and does not say whether to stream: the path does, so whoever knows the path fills these in.
Strict on what the model in the middle understands, lossless on the rest: see `parameters`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from providers.errors import RequestError
from providers.model import LLMRequest, RawBody, RequestMetadata
from providers.wire.gemini_generate.config_decoder import (
    keep,
    read_generation_config,
    read_tool_config,
    read_tools,
)
from providers.wire.gemini_generate.content_decoder import decode_contents, decode_system
from providers.wire.gemini_generate.spelling import in_camel_case
from providers.wire.gemini_generate.structs import API, NULL
from providers.wire.json_text import FIELDS
from providers.wire.openai_chat.request_errors import not_json, required


def decode_request(body: bytes) -> LLMRequest:
    """The request, with `raw` set and no model. Raises `RequestError` that names the field that is wrong."""
    return _decode(body, read_fields(body))


def decode_count_request(body: bytes) -> LLMRequest:
    """As `decode_request`, for a body of countTokens, which may hold the request in `generateContentRequest`."""
    fields = read_fields(body)
    inner = fields.get("generateContentRequest")
    if inner is not None and inner != NULL:
        fields = read_fields(bytes(inner))
    return _decode(body, fields)


def read_fields(body: bytes) -> dict[str, Raw]:
    """A body's fields in camelCase. Raises `RequestError`."""
    try:
        return FIELDS.decode(in_camel_case(body))
    except msgspec.ValidationError as error:
        raise RequestError("the request body must be a JSON object", code="invalid_json") from error
    except (ValueError, RecursionError) as error:
        raise not_json(error) from error


def _decode(body: bytes, fields: dict[str, Raw]) -> LLMRequest:
    request = LLMRequest(model="", metadata=RequestMetadata(api=API), raw=RawBody(API, body))
    if fields.get("contents", NULL) == NULL:
        raise required("contents")
    if (system := fields.get("systemInstruction", NULL)) != NULL:
        request.messages.append(decode_system(system))
    request.messages += decode_contents(fields["contents"])
    for name, raw in fields.items():
        if raw == NULL or name in _DONE:
            continue
        read = _READERS.get(name)
        if read is not None:
            read(request, raw)
        else:
            keep(request, name, raw)
    return request


_DONE = frozenset({"model", "contents", "systemInstruction"})

_READERS: dict[str, Callable[[LLMRequest, Raw], None]] = {
    "generationConfig": read_generation_config,
    "tools": read_tools,
    "toolConfig": read_tool_config,
}
