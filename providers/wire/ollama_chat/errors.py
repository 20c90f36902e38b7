"""Errors of Ollama: `{"error": "..."}`, as a body or as a line of a stream. Imports the model and the errors."""

from __future__ import annotations

from providers.errors import ErrorKind, ProviderError, kind_of_status
from providers.model import ErrorInfo, RawBody
from providers.wire.json_text import UNREADABLE
from providers.wire.ollama_chat.structs import API, ERROR_BODY, ErrorBody
from providers.wire.status import status_text

_MAX_MESSAGE = 500


def decode_error(status: int, body: bytes) -> ProviderError:
    """The provider's answer with a status of 400 or more. `raw` is set if the body is this API's JSON."""
    try:
        wire = ERROR_BODY.decode(body)
    except UNREADABLE:
        wire = ErrorBody()
    # 503: its queue is full.
    kind = ErrorKind.OVERLOADED if status == 503 else kind_of_status(status)
    return ProviderError(
        (wire.error or f"the provider answered with status {status_text(status)}")[:_MAX_MESSAGE],
        kind=kind,
        status=status,
        upstream_status=status,
        raw=RawBody(API, body) if wire.error else None,
    )


def error_info(message: str) -> ErrorInfo:
    """An error that came under a good status: the model's runner failed."""
    return ErrorInfo(message=message[:_MAX_MESSAGE], status=500)
