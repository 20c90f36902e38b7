"""Errors in Anthropic's shape, both directions. Imports the model, the errors and the wire's Structs.

The types and their statuses: https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.errors import ErrorKind, GatewayError, ProviderError, kind_of_status
from providers.model import ErrorInfo, RawBody
from providers.wire.anthropic_messages.structs import API, ERROR_BODY, ErrorBody
from providers.wire.json_text import FIELDS, UNREADABLE
from providers.wire.status import status_text

_STATUS_BY_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_TYPE_BY_KIND = {
    ErrorKind.INVALID_REQUEST: "invalid_request_error",
    ErrorKind.AUTHENTICATION: "authentication_error",
    ErrorKind.PERMISSION: "permission_error",
    ErrorKind.NOT_FOUND: "not_found_error",
    ErrorKind.CONFLICT: "invalid_request_error",
    ErrorKind.TOO_LARGE: "request_too_large",
    ErrorKind.UNPROCESSABLE: "invalid_request_error",
    ErrorKind.RATE_LIMIT: "rate_limit_error",
    ErrorKind.BILLING: "billing_error",
    ErrorKind.SERVER: "api_error",
    ErrorKind.OVERLOADED: "overloaded_error",
    ErrorKind.TIMEOUT: "timeout_error",
    ErrorKind.CONNECTION: "api_error",
    ErrorKind.BAD_RESPONSE: "api_error",
    ErrorKind.UNAVAILABLE: "overloaded_error",
}

_MAX_FOREIGN_MESSAGE = 500
"""Characters kept of a message in a shape that is not this API's."""


class _Details(msgspec.Struct):
    error_code: str | None = None


_DETAILS = msgspec.json.Decoder(_Details)


def status_of_type(error_type: str | None) -> int:
    """The HTTP status that goes with an error type; 500 for one that is not known."""
    return _STATUS_BY_TYPE.get(error_type or "", 500)


def encode_error(error: GatewayError) -> bytes:
    """The error as a body. One that came from an Anthropic provider as a body goes out as it came."""
    if (body := _relayed(error)) is not None and body.lstrip().startswith(b"{"):
        return body
    return msgspec.json.encode({"type": "error", "error": _shape(error), "request_id": None})


def encode_stream_error(error: GatewayError) -> bytes:
    """The error as an `error` event. No `message_stop` may follow: SDKs would take the cut answer for a whole one."""
    body = _relayed(error)
    if body is not None:
        if not body.lstrip().startswith(b"{"):
            return body if body.endswith((b"\n\n", b"\r\r", b"\r\n\r\n")) else body.rstrip(b"\r\n") + b"\n\n"
        return _event(msgspec.json.encode(msgspec.json.decode(body)))
    return _event(msgspec.json.encode({"type": "error", "error": _shape(error)}))


def encode_error_info(error: ErrorInfo) -> bytes:
    """An error that a provider of any API reported in its stream, as an `error` event."""
    known = error.type if error.type in _STATUS_BY_TYPE else _TYPE_BY_KIND[kind_of_status(error.status or 500)]
    return _event(msgspec.json.encode({"type": "error", "error": {"type": known, "message": error.message}}))


def decode_error(status: int, body: bytes) -> ProviderError:
    """The provider's answer with a status of 400 or more (or an error body under 200, which gets its type's status).

    `raw` is set only if the body is this API's error object. Of anything else that looks like JSON the message is
    taken; an HTML page, an empty or unreadable body gives a message made from the status.
    """
    try:
        fields = FIELDS.decode(body)
    except UNREADABLE:
        return _provider_error(status, ErrorBody(), None)
    error = _read_error(fields)
    ours = bytes(fields.get("type", Raw())) == b'"error"' and error.type is not None
    if ours:
        return _provider_error(status, error, RawBody(API, body))
    if error.message is not None:
        error.message = error.message[:_MAX_FOREIGN_MESSAGE]
    return _provider_error(status, error, None)


def _relayed(error: GatewayError) -> bytes | None:
    if isinstance(error, ProviderError) and error.raw is not None and error.raw.api == API:
        return error.raw.body
    return None


def _shape(error: GatewayError) -> dict[str, str]:
    own = error.type if isinstance(error, ProviderError) else None
    # Another API's word may be one of ours by chance: OpenAI calls an unknown model an invalid request.
    fits = own is not None and _STATUS_BY_TYPE.get(own) == error.status
    return {"type": own if own is not None and fits else _TYPE_BY_KIND[error.kind], "message": error.message}


def _event(data: bytes) -> bytes:
    return b"event: error\ndata: " + data + b"\n\n"


def _read_error(fields: dict[str, Raw]) -> ErrorBody:
    for name in ("error", "message", "detail"):
        if name not in fields:
            continue
        try:
            value: object = msgspec.json.decode(fields[name])
            if isinstance(value, str):
                return ErrorBody(message=value)
            if isinstance(value, dict):
                return ERROR_BODY.decode(fields[name])
        except UNREADABLE:
            continue
    return ErrorBody()


def _provider_error(status: int, error: ErrorBody, raw: RawBody | None) -> ProviderError:
    if status < 400:
        status = status_of_type(error.type)
    kind = kind_of_status(status)
    if error.type in _STATUS_BY_TYPE:
        kind = kind_of_status(_STATUS_BY_TYPE[error.type])
    if status == 503 and raw is None:  # the service's trouble; UNAVAILABLE is the gateway's own
        kind = ErrorKind.OVERLOADED
    return ProviderError(
        error.message or f"the provider answered with status {status_text(status)}",
        kind=kind,
        status=status,
        upstream_status=status,
        type=error.type,
        code=_code(error),
        raw=raw,
    )


def _code(error: ErrorBody) -> str | None:
    try:
        return _DETAILS.decode(error.details).error_code
    except UNREADABLE:
        return None
