"""Errors on this wire, both ways. Outside a stream they are Chat Completions' (`{"error": {...}}`), and read as such.

In a stream an `error` event comes first and `response.failed` after it. The reference's `error` event has `code`,
`message` and `param` at its top; what OpenAI really sends has them in an `error` member, which the official SDKs raise
for. The gateway's own error event has both. Imports the model, the error tree and Chat's reading of errors.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from providers.errors import GatewayError, ProviderError
from providers.model import ErrorInfo, RawBody
from providers.wire.json_text import UNREADABLE
from providers.wire.openai_chat import errors as chat
from providers.wire.openai_responses.api import API

_STATUS_BY_CODE = {
    "server_error": 500,
    "internal_error": 500,
    "vector_store_timeout": 504,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "overloaded": 503,
    "slow_down": 503,
    "server_is_overloaded": 503,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "invalid_image": 400,
    "model_not_found": 404,
}
"""What the codes of a failed response are outside a stream (https://platform.openai.com/docs/guides/error-codes)."""


class _Failure(msgspec.Struct):
    code: str | int | None = None
    message: str | None = None
    type: str | None = None
    param: str | None = None


_FAILURE = msgspec.json.Decoder(_Failure)


def encode_error(error: GatewayError) -> bytes:
    """The body of an error response. An error that came over this wire goes back as it came."""
    raw = error.raw if isinstance(error, ProviderError) else None
    if raw is not None and raw.api == API and raw.body.lstrip().startswith(b"{"):
        return raw.body
    return chat.encode_error_in_full(error)  # Chat's vendors leave out what is due here


def encode_stream_error(error: GatewayError) -> bytes:
    """The error as the last event of a stream that has begun. No `response.completed` comes after it."""
    raw = error.raw if isinstance(error, ProviderError) else None
    if raw is not None and raw.api == API and raw.body.endswith((b"\n\n", b"\r\n\r\n")):
        return raw.body
    body: dict[str, Any] = msgspec.json.decode(encode_error(error))
    return error_event(body["error"], 0)


def encode_error_info(info: ErrorInfo, sequence_number: int) -> bytes:
    """An error that a provider of any API reported in its stream, as an `error` event."""
    error = {"message": info.message, "type": info.type or "server_error", "param": info.param, "code": info.code}
    return error_event(error, sequence_number)


def error_event(error: dict[str, Any], sequence_number: int) -> bytes:
    """The `error` event that says `error`."""
    top = {name: error.get(name) for name in ("code", "message", "param")}
    event = {"type": "error", "sequence_number": sequence_number, **top, "error": error}
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


def decode_error(status: int, body: bytes) -> ProviderError:
    """What a response with a status of 400 or more says. `raw` is set if the body is this API's JSON."""
    error = chat.decode_error(status, body)
    if error.raw is not None:
        error.raw = RawBody(API, body)
    return error


def read_error_event(data: bytes) -> ErrorInfo:
    """What an `error` event says, in either of its shapes. `response.failed` is expected after it."""
    info = chat.read_error_event(data) or ErrorInfo(message="the provider reported an error")
    if info.type == "error":  # the event's own type
        info.type = None
    if info.status is None:
        info.status = _status(info.code, info.type)
    info.is_announced = True
    return info


def failure_of(raw: msgspec.Raw) -> ErrorInfo:
    """The `error` of a response whose status is `failed`."""
    try:
        failure = _FAILURE.decode(raw)
    except UNREADABLE:
        failure = _Failure()
    code = str(failure.code) if failure.code is not None else None
    return ErrorInfo(
        message=failure.message or "the provider could not complete the response",
        type=failure.type,
        code=code,
        param=failure.param,
        status=_status(code, failure.type),
    )


def _status(*words: str | None) -> int:
    """The HTTP status that goes with a code or a type; 500 for those that are not known."""
    for word in words:
        if word is None:
            continue
        if word in _STATUS_BY_CODE:
            return _STATUS_BY_CODE[word]
        if word.isdecimal() and len(word) == 3 and HTTPStatus.BAD_REQUEST <= int(word) < 600:
            return int(word)
        if word.startswith(("invalid_", "image_", "unsupported_", "empty_", "failed_to_download_")):
            return 400
    return 500
