"""Errors on this wire, both ways: `{"error": {"message", "type", "param", "code"}}`.

Source: https://platform.openai.com/docs/guides/error-codes and what the official SDK reads: it chooses the exception by
the HTTP status, and in a stream raises `APIError` on any event whose JSON has an `error` member.

Reading takes what vendors send in place of that: a bare string, `{"message": ...}`, `{"detail": ...}`, a list around
the object, a number as `code`, HTML. Imports the model and the error tree.
"""

from __future__ import annotations

import json
from http import HTTPStatus

import msgspec

from providers.errors import ErrorKind, GatewayError, ProviderError, kind_of_status
from providers.model import ErrorInfo, RawBody
from providers.wire.openai_chat.api import API

_TYPES: dict[ErrorKind, tuple[str, str | None]] = {
    ErrorKind.INVALID_REQUEST: ("invalid_request_error", None),
    ErrorKind.AUTHENTICATION: ("authentication_error", "invalid_api_key"),
    ErrorKind.PERMISSION: ("permission_error", None),
    ErrorKind.NOT_FOUND: ("invalid_request_error", None),  # OpenAI's own word for an unknown model
    ErrorKind.CONFLICT: ("conflict_error", None),
    ErrorKind.TOO_LARGE: ("request_too_large", None),
    ErrorKind.UNPROCESSABLE: ("unprocessable_entity_error", None),
    ErrorKind.RATE_LIMIT: ("rate_limit_error", "rate_limit_exceeded"),
    ErrorKind.BILLING: ("insufficient_quota", "insufficient_quota"),
    ErrorKind.SERVER: ("server_error", None),
    ErrorKind.OVERLOADED: ("overloaded_error", "overloaded"),
    ErrorKind.TIMEOUT: ("timeout_error", "timeout"),
    ErrorKind.CONNECTION: ("connection_error", "upstream_connection"),
    ErrorKind.BAD_RESPONSE: ("bad_response_error", "bad_upstream_response"),
    ErrorKind.UNAVAILABLE: ("service_unavailable_error", "service_unavailable"),
}
"""What each kind is called on this wire: its type, and the code for an error that brings none of its own."""

_KINDS: dict[str, ErrorKind] = {type_: kind for kind, (type_, _) in _TYPES.items()} | {
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    # What OpenAI and its vendors write besides, as type or as code.
    "not_found_error": ErrorKind.NOT_FOUND,
    "invalid_api_key": ErrorKind.AUTHENTICATION,
    "request_forbidden": ErrorKind.PERMISSION,
    "model_not_found": ErrorKind.NOT_FOUND,
    "billing_hard_limit_reached": ErrorKind.BILLING,
    "billing_not_active": ErrorKind.BILLING,
    "requests": ErrorKind.RATE_LIMIT,
    "tokens": ErrorKind.RATE_LIMIT,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    "overloaded": ErrorKind.OVERLOADED,
    "engine_overloaded": ErrorKind.OVERLOADED,
    "engine_overloaded_error": ErrorKind.OVERLOADED,
    "internal_server_error": ErrorKind.SERVER,
    "internal_error": ErrorKind.SERVER,
    "api_error": ErrorKind.SERVER,
}

_FINAL = frozenset({ErrorKind.BILLING})
"""Not worth a retry, though they come with a retryable status (OpenAI gives 429 to an empty account)."""

_MAX_TEXT = 300


def encode_error(error: GatewayError) -> bytes:
    """The body of an error response. An error that came over this wire goes back as it came."""
    body = _raw_object(error)
    return body if body is not None else encode_error_in_full(error)


def encode_error_in_full(error: GatewayError) -> bytes:
    """The body of an error response with every member of OpenAI's shape, whatever the vendor's own body left out."""
    return msgspec.json.encode(_error_object(error))


def encode_stream_error(error: GatewayError) -> bytes:
    """The error as the last event of a stream that has begun. There is no `[DONE]` after it."""
    raw = error.raw if isinstance(error, ProviderError) else None
    if raw is not None and raw.api == API and raw.body.endswith((b"\n\n", b"\r\n\r\n")):
        return raw.body
    body = _raw_object(error)
    if body is None:
        return b"data: " + encode_error_in_full(error) + b"\n\n"
    return b"data: " + msgspec.json.format(body, indent=-1) + b"\n\n"


def decode_error(status: int, body: bytes) -> ProviderError:
    """What a response with a status of 400 or more says. `raw` is set if the body is this API's JSON."""
    value = _parse(body)
    inner = value[0] if isinstance(value, list) and value else value
    info = _info(inner.get("error") or inner) if isinstance(inner, dict) else None
    if info is None:
        info = ErrorInfo(message=_plain_message(status, body, value))
    kind = _kind(status, info)
    is_ours = isinstance(value, dict) and bool(value.get("error"))
    return ProviderError(
        info.message or f"the provider answered with status {status}",
        kind=kind,
        status=status,
        upstream_status=status,
        retryable=False if kind in _FINAL else None,
        type=info.type,
        param=info.param,
        code=info.code,
        raw=RawBody(API, body) if is_ours else None,
    )


def error_in_answer(body: bytes) -> ProviderError | None:
    """The error that an answer with status 200 holds in place of a completion; None if it holds none."""
    value = _parse(body)
    if not isinstance(value, dict) or not (value.get("error") or value.get("object") == "error"):
        return None
    info = _info(value.get("error") or value)
    if info is None:
        return None
    kind = _KINDS.get(info.type or "") or _KINDS.get(info.code or "") or ErrorKind.SERVER
    status = info.status or (400 if kind is ErrorKind.INVALID_REQUEST else 502)
    if info.status is not None:
        kind = _kind(info.status, info)
    return ProviderError(
        info.message,
        kind=kind,
        status=status,
        type=info.type,
        param=info.param,
        code=info.code,
        retryable=False if kind in _FINAL else None,
        raw=RawBody(API, body) if value.get("error") else None,
    )


def read_error_event(data: bytes) -> ErrorInfo | None:
    """What an error event's data says; None if its `error` member is empty, so that it is no error."""
    value = _parse(data)
    if not isinstance(value, dict):
        return ErrorInfo(message=_short_text(data) or "the provider reported an error without saying which")
    if "error" in value and not value["error"]:
        return None
    return _info(value.get("error") or value) or ErrorInfo(message="the provider reported an error")


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _kind(status: int, info: ErrorInfo) -> ErrorKind:
    """The status decides, but for what one status is used for two things."""
    named = _KINDS.get(info.code or "") or _KINDS.get(info.type or "")
    if named in (ErrorKind.BILLING, ErrorKind.OVERLOADED) and status in (402, 403, 429, 500, 503):
        return named
    return kind_of_status(status)


def _info(error: object) -> ErrorInfo | None:
    """An error object, or the string that stands in its place."""
    if isinstance(error, str):
        return ErrorInfo(message=error)
    if not isinstance(error, dict):
        return None
    message = next(
        (text for name in ("message", "msg", "detail", "error_description") if (text := error.get(name))), None
    )
    if message is None:
        return None
    if not isinstance(message, str):
        message = json.dumps(message, ensure_ascii=False)[:_MAX_TEXT]
    return ErrorInfo(
        message=message,
        type=_text(error.get("type")),
        code=_text(error.get("code")),
        param=_text(error.get("param")),
        status=_status(error.get("status_code"), error.get("status"), error.get("code")),
    )


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def _status(*values: object) -> int | None:
    for value in values:
        text = str(value)
        if text.isdecimal() and len(text) == 3 and 400 <= int(text) < 600:
            return int(text)
    return None


def _plain_message(status: int, body: bytes, value: object) -> str:
    try:
        phrase = f" ({HTTPStatus(status).phrase})"
    except ValueError:
        phrase = ""
    said = "" if isinstance(value, dict | list) else _short_text(body)
    return f"the provider answered with status {status}{phrase}" + (f": {said}" if said else "")


def _short_text(body: bytes) -> str:
    """A short plain text as it is; nothing for HTML, for binary and for anything long."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= _MAX_TEXT and "<" not in text and text.isprintable() else ""


def _raw_object(error: GatewayError) -> bytes | None:
    """The error's own JSON body, if it came over this wire outside a stream."""
    raw = error.raw if isinstance(error, ProviderError) else None
    if raw is None or raw.api != API or not raw.body.lstrip().startswith(b"{"):
        return None
    return raw.body


def _error_object(error: GatewayError) -> dict[str, dict[str, str | None]]:
    type_, code = _TYPES[error.kind]
    return {
        "error": {
            "message": error.message,
            "type": type_,
            "param": error.param,
            "code": error.code or code,
        }
    }
