"""Errors in Google's shape, both directions: `{"error": {"code", "message", "status", "details"}}`.

Source: https://google.aip.dev/193, https://ai.google.dev/gemini-api/docs/troubleshooting, and what google-genai reads:
it chooses the exception by the HTTP status, and in a stream by the `code` of an event that has an `error`. Imports the
model and the error tree.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import msgspec

from providers.errors import ErrorKind, GatewayError, ProviderError, kind_of_status
from providers.model import ErrorInfo, RawBody
from providers.wire.gemini_generate.structs import API

_STATUS_BY_KIND = {
    ErrorKind.INVALID_REQUEST: "INVALID_ARGUMENT",
    ErrorKind.AUTHENTICATION: "UNAUTHENTICATED",
    ErrorKind.PERMISSION: "PERMISSION_DENIED",
    ErrorKind.NOT_FOUND: "NOT_FOUND",
    ErrorKind.CONFLICT: "ABORTED",
    ErrorKind.TOO_LARGE: "INVALID_ARGUMENT",
    ErrorKind.UNPROCESSABLE: "INVALID_ARGUMENT",
    ErrorKind.RATE_LIMIT: "RESOURCE_EXHAUSTED",
    ErrorKind.BILLING: "FAILED_PRECONDITION",
    ErrorKind.SERVER: "INTERNAL",
    ErrorKind.OVERLOADED: "UNAVAILABLE",
    ErrorKind.TIMEOUT: "DEADLINE_EXCEEDED",
    ErrorKind.CONNECTION: "UNAVAILABLE",
    ErrorKind.BAD_RESPONSE: "INTERNAL",
    ErrorKind.UNAVAILABLE: "UNAVAILABLE",
}
"""Google's canonical codes (https://google.aip.dev/193#statuscode)."""

_HTTP_BY_STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

_BAD_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING"})
"""Reasons that speak of the gateway's own credentials. Google gives a wrong key status 400."""

_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_MAX_TEXT = 300


def encode_error(error: GatewayError) -> bytes:
    """The body of an error response. An error that came over this wire goes back as it came."""
    body = _relayed(error)
    return body if body is not None else msgspec.json.encode(_shape(error))


def encode_stream_error(error: GatewayError) -> bytes:
    """The error as the last event of a stream that has begun."""
    raw = error.raw if isinstance(error, ProviderError) else None
    if raw is not None and raw.api == API and raw.body.endswith((b"\n\n", b"\r\n\r\n")):
        return raw.body
    body = _relayed(error)
    data = msgspec.json.encode(_shape(error)) if body is None else msgspec.json.format(body, indent=-1)
    return b"data: " + data + b"\r\n\r\n"


def encode_error_info(error: ErrorInfo) -> bytes:
    """An error that a provider of any API reported in its stream, as an event."""
    code = error.status or 500
    status = error.type if error.type in _HTTP_BY_STATUS else _STATUS_BY_KIND[kind_of_status(code)]
    shape = {"error": {"code": code, "message": error.message, "status": status}}
    return b"data: " + msgspec.json.encode(shape) + b"\r\n\r\n"


def decode_error(status: int, body: bytes) -> ProviderError:
    """The provider's answer with a status of 400 or more (or an error body under 200, which tells its own).

    `raw` is set if the body is this API's JSON. A wait that the body asks for (`RetryInfo`) is in `retry_after`.
    """
    value = _parse(body)
    error = _error_of(value)
    info = _info(error)
    if status < 400:
        status = info.status or 500
    if not info.message:
        info.message = _plain_message(status, body if error is None else b"")
    details = _details(error)
    reasons = {detail.get("reason") for detail in details}
    if reasons & _BAD_KEY:
        return ProviderError(
            "the provider refused the gateway's credentials for this model",
            kind=ErrorKind.AUTHENTICATION,
            status=401,
            upstream_status=status,
            type=info.type,
        )
    kind = kind_of_status(status)
    if status == 503:  # the service's trouble; UNAVAILABLE is the gateway's own
        kind = ErrorKind.OVERLOADED
    return ProviderError(
        info.message,
        kind=kind,
        status=status,
        upstream_status=status,
        type=info.type,
        retry_after=_retry_delay(details),
        raw=RawBody(API, body) if isinstance(value, dict) and error is not None else None,
    )


def read_error_event(data: bytes) -> ErrorInfo:
    """What an event with an `error` says."""
    info = _info(_error_of(_parse(data)))
    info.message = info.message or "the provider reported an error without saying which"
    return info


def _relayed(error: GatewayError) -> bytes | None:
    """The error's own JSON body, if it came over this wire outside a stream."""
    raw = error.raw if isinstance(error, ProviderError) else None
    if raw is None or raw.api != API or not raw.body.lstrip().startswith(b"{"):
        return None
    return raw.body


def _shape(error: GatewayError) -> dict[str, Any]:
    own = error.type if isinstance(error, ProviderError) else None
    known = own is not None and _HTTP_BY_STATUS.get(own) == error.status
    shape: dict[str, Any] = {
        "code": error.status,
        "message": error.message,
        "status": own if known else _canonical(error),
    }
    details: list[dict[str, Any]] = []
    if error.param is not None:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if error.retry_after is not None:
        details.append({"@type": _RETRY_INFO, "retryDelay": f"{error.retry_after:g}s"})
    if details:
        shape["details"] = details
    return {"error": shape}


def _canonical(error: GatewayError) -> str:
    """The canonical code of an error: its kind's, unless its status has another one (a 503 is never INTERNAL)."""
    code = _STATUS_BY_KIND[error.kind]
    return "UNAVAILABLE" if error.status == _HTTP_BY_STATUS["UNAVAILABLE"] else code


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error_of(value: object) -> object:
    """The error in a body. A stream without `alt=sse` has its error in an array."""
    inner = value[0] if isinstance(value, list) and value else value
    return inner.get("error") or inner.get("message") if isinstance(inner, dict) else None


def _info(error: object) -> ErrorInfo:
    if not isinstance(error, dict):
        return ErrorInfo(message=error[:_MAX_TEXT] if isinstance(error, str) else "")
    message, status, code = error.get("message"), error.get("status"), error.get("code")
    info = ErrorInfo(message=message if isinstance(message, str) else "")
    if isinstance(status, str):
        info.type = status
        info.status = _HTTP_BY_STATUS.get(status)
    if isinstance(code, int) and 400 <= code < 600:
        info.status = code
    return info


def _details(error: object) -> list[dict[str, Any]]:
    details = error.get("details") if isinstance(error, dict) else None
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _retry_delay(details: list[dict[str, Any]]) -> float | None:
    """`retryDelay`, a protobuf duration (`34.5s`), in seconds."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            try:
                return max(0.0, float(delay[:-1]))
            except ValueError:
                return None
    return None


def _plain_message(status: int, body: bytes) -> str:
    try:
        phrase = f" ({HTTPStatus(status).phrase})"
    except ValueError:
        phrase = ""
    return f"the provider answered with status {status}{phrase}" + (f": {said}" if (said := _short_text(body)) else "")


def _short_text(body: bytes) -> str:
    """A short plain text as it is; nothing for HTML, for JSON, for binary and for anything long."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= _MAX_TEXT and not set("<{[") & set(text) and text.isprintable() else ""
