"""The errors of a gateway, as types with the facts on them. Imports only the model.

Providers raise them, the gateway decides by them (retry, fallback, status), and each client API turns them into its own
shape in one place. A message here is shown to clients: never put a key, a prompt or a header value into one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from providers.model.request import RawBody
from providers.model.response import ErrorInfo, EventKind, LLMResponse


class ErrorKind(enum.StrEnum):
    """What went wrong, in words that every API has a name for."""

    INVALID_REQUEST = "invalid_request"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "request_too_large"
    UNPROCESSABLE = "unprocessable"
    RATE_LIMIT = "rate_limit"
    BILLING = "billing"
    SERVER = "server_error"
    """The provider failed (5xx), or the gateway did."""
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    """A deadline passed: connect, first token, between events, or the whole request."""
    CONNECTION = "connection"
    """No connection, or it broke off."""
    BAD_RESPONSE = "bad_response"
    """The provider's answer makes no sense: not JSON, wrong content type, an oversized event ..."""
    UNAVAILABLE = "unavailable"
    """The gateway itself takes no more: too many requests at once, or shutting down."""


KIND_BY_STATUS = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.BILLING,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    405: ErrorKind.INVALID_REQUEST,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.CONFLICT,
    413: ErrorKind.TOO_LARGE,
    415: ErrorKind.INVALID_REQUEST,
    422: ErrorKind.UNPROCESSABLE,
    429: ErrorKind.RATE_LIMIT,
    503: ErrorKind.UNAVAILABLE,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}

RETRYABLE_STATUS = frozenset({408, 409, 429, *range(500, 600)})


def kind_of_status(status: int) -> ErrorKind:
    """The kind that goes with an HTTP status of 400 or more."""
    kind = KIND_BY_STATUS.get(status)
    if kind is not None:
        return kind
    return ErrorKind.SERVER if status >= 500 else ErrorKind.INVALID_REQUEST


class GatewayError(Exception):
    """Anything that ends a request without its answer."""

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        status: int,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.status = status
        """The HTTP status for the client, while there is still one to choose."""
        self.param = param
        """The request's field that is wrong, as the client spelled it (`messages[2].content[0].type`)."""
        self.code = code
        self.retry_after = retry_after
        """When to come back, in seconds from now."""


class RequestError(GatewayError):
    """The client's request is wrong. Never retried, never tried on another model."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
        kind: ErrorKind | None = None,
    ) -> None:
        super().__init__(message, kind=kind or kind_of_status(status), status=status, param=param, code=code)


class UnsupportedParameterError(RequestError):
    """A parameter that the target's API cannot honour and that would change the answer's meaning."""

    def __init__(self, param: str, target: str, why: str = "") -> None:
        detail = f": {why}" if why else ""
        super().__init__(
            f"'{param}' is not supported by this model's provider API ({target}){detail}. "
            "Leave it out, or set dropUnsupported: true in the model's config.",
            param=param,
            code="unsupported_parameter",
        )


class ProviderError(GatewayError):
    """The provider, or the way to it, failed."""

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        status: int,
        provider: str = "",
        retryable: bool | None = None,
        upstream_status: int | None = None,
        type: str | None = None,  # noqa: A002 - the wire's own word
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        raw: RawBody | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, kind=kind, status=status, param=param, code=code, retry_after=retry_after)
        self.provider = provider
        self.type = type
        """The error's type in the provider's own words (`overloaded_error`, `insufficient_quota` ...)."""
        self.upstream_status = upstream_status
        """The HTTP status that the provider gave, if it gave one."""
        self.retryable = status in RETRYABLE_STATUS if retryable is None else retryable
        self.raw = raw
        """The provider's error as it came (a body, or an event in a stream): relayed to a client of the same API."""
        self.raw_is_event = False
        """Whether `raw` is an event, framed as such, which fits into a stream that has begun; a body does not."""
        self.headers = headers or {}
        """The provider's response headers that may go on to the client (names in lower case)."""


class ProviderTimeoutError(ProviderError):
    """A deadline of the model's config passed. `phase`: connect, first_token, idle or total."""

    def __init__(self, phase: str, seconds: float, *, provider: str = "") -> None:
        what = {
            "connect": "no connection to the provider",
            "first_token": "no first event from the provider",
            "idle": "the provider fell silent in mid-stream",
            "total": "the answer was not complete",
        }[phase]
        super().__init__(
            f"{what} within {round(seconds * 1000)} ms",
            kind=ErrorKind.TIMEOUT,
            status=504,
            provider=provider,
            retryable=phase != "total",
        )
        self.phase = phase


class ProviderConnectionError(ProviderError):
    """No connection, or it broke off. `sent` tells whether any byte of the request may have arrived."""

    def __init__(self, message: str, *, provider: str = "", sent: bool = False) -> None:
        super().__init__(message, kind=ErrorKind.CONNECTION, status=502, provider=provider, retryable=True)
        self.sent = sent


class BadResponseError(ProviderError):
    """The provider's answer makes no sense (not JSON, wrong content type, oversized, cut in mid-event)."""

    def __init__(self, message: str, *, provider: str = "", retryable: bool = True) -> None:
        super().__init__(message, kind=ErrorKind.BAD_RESPONSE, status=502, provider=provider, retryable=retryable)


class OversizedEventError(BadResponseError):
    """One event of a stream is larger than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"an event of the provider's stream is larger than {limit} bytes", retryable=False)


def error_of_event(info: ErrorInfo, raw: RawBody | None) -> ProviderError:
    """The error that a provider reported in band, as an exception; its event's bytes stay with it."""
    status = info.status if info.status is not None and 400 <= info.status <= 599 else 500
    error = ProviderError(
        info.message,
        kind=kind_of_status(status),
        status=status,
        type=info.type,
        code=info.code,
        param=info.param,
        raw=raw,
    )
    error.raw_is_event = raw is not None
    return error


def error_told(chunks: Sequence[LLMResponse]) -> ProviderError:
    """The error that the first of `chunks` tells; with the second event's bytes where the API tells it in two."""
    first, *rest = chunks
    info, raw = first.error, first.raw
    assert info is not None
    if info.is_announced and raw is not None:
        second = next((place for place, chunk in enumerate(rest) if chunk.kind is not EventKind.KEEP_ALIVE), None)
        if second is not None and rest[second].kind is EventKind.ERROR:
            bodies = [chunk.raw.body for chunk in rest[: second + 1] if chunk.raw is not None]
            raw = RawBody(raw.api, raw.body + b"".join(bodies))
    return error_of_event(info, raw)


def is_half_told(chunks: Sequence[LLMResponse]) -> bool:
    """Whether the error that the first of `chunks` tells has a second event, which is not among them yet."""
    first, *rest = chunks
    announced = first.error is not None and first.error.is_announced and first.raw is not None
    return announced and all(chunk.kind is EventKind.KEEP_ALIVE for chunk in rest)
