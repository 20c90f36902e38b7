"""Errors of Cohere: `{"message": "..."}` (https://docs.cohere.com/reference/errors).

Imports the model and the errors.
"""

from __future__ import annotations

from providers.errors import ErrorKind, ProviderError, kind_of_status
from providers.model import ErrorInfo, RawBody
from providers.wire.cohere_chat.finish import FAILURES
from providers.wire.cohere_chat.structs import API, ERROR_BODY, ErrorBody
from providers.wire.json_text import UNREADABLE
from providers.wire.status import status_text

_MAX_MESSAGE = 500


def decode_error(status: int, body: bytes) -> ProviderError:
    """The provider's answer with a status of 400 or more. `raw` is set if the body is this API's JSON."""
    try:
        wire = ERROR_BODY.decode(body)
    except UNREADABLE:
        wire = ErrorBody()
    message = wire.message or wire.error or wire.detail
    kind = kind_of_status(status)
    return ProviderError(
        (message or f"the provider answered with status {status_text(status)}")[:_MAX_MESSAGE],
        kind=ErrorKind.OVERLOADED if status == 503 else kind,
        status=status,
        upstream_status=status,
        raw=RawBody(API, body) if wire.message else None,
    )


def failure_info(finish_reason: str, message: str | None) -> ErrorInfo:
    """The error that a finish reason of `FAILURES` is."""
    return ErrorInfo(
        message=message or "the provider failed while it generated the answer",
        type=finish_reason,
        status=FAILURES[finish_reason],
    )
