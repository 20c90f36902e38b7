"""Errors of Bedrock: bodies of answers, and exceptions in a stream. Imports the model and the errors.

The types and their statuses are those of the API reference's Converse and ConverseStream pages. The type of an answer's
error stands in a header (`x-amzn-errortype: ThrottlingException:http://...`), which is the provider's to read; see
`with_type`.
"""

from __future__ import annotations

from providers.errors import ErrorKind, ProviderError, kind_of_status
from providers.model import ErrorInfo, RawBody
from providers.wire.bedrock_converse.structs import API, ERROR_BODY, ErrorBody
from providers.wire.json_text import UNREADABLE
from providers.wire.status import status_text

_STATUS_BY_TYPE = {
    "validationexception": 400,
    "servicequotaexceededexception": 400,
    "accessdeniedexception": 403,
    "resourcenotfoundexception": 404,
    "modeltimeoutexception": 408,
    "modelerrorexception": 424,
    "modelstreamerrorexception": 424,
    "throttlingexception": 429,
    "modelnotreadyexception": 429,
    "internalserverexception": 500,
    "serviceunavailableexception": 503,
}
"""By type in lower case: streams write `throttlingException`, answers `ThrottlingException`."""

_FAILED_DEPENDENCY = 424
"""The model failed, not the request: told as a failure of the provider."""

_CREDENTIAL_TYPES = frozenset(
    {
        "unrecognizedclientexception",
        "invalidsignatureexception",
        "signaturedoesnotmatch",
        "expiredtokenexception",
        "expiredtoken",
        "invalidclienttokenid",
        "missingauthenticationtokenexception",
        "incompletesignatureexception",
        "incompletesignature",
        "notauthorized",
    }
)
"""They speak of the gateway's own credentials, some with pieces of them: their words are not for the client."""

_MAX_FOREIGN_MESSAGE = 500


def decode_error(status: int, body: bytes) -> ProviderError:
    """The provider's answer with a status of 400 or more. `raw` is set if the body is this API's JSON."""
    try:
        wire = ERROR_BODY.decode(body)
    except UNREADABLE:
        wire = ErrorBody()
    message = wire.original_message or wire.message or wire.capital_message
    raw = RawBody(API, body) if message else None
    return with_type(_provider_error(status, (message or "")[:_MAX_FOREIGN_MESSAGE], raw), wire.type_)


def with_type(error: ProviderError, type_: str | None) -> ProviderError:
    """The error with the type that a header or a body gives it (`ValidationException:http://...`, `prefix#Type`)."""
    name = (type_ or "").partition(":")[0].rpartition("#")[2].strip()
    if not name:
        return error
    error.type = name
    key = name.lower()
    # Who may not do something is named by account and user.
    if key in _CREDENTIAL_TYPES or (error.upstream_status == 403 and "arn:" in error.message):
        error.raw = None
        error.message = "the provider refused the gateway's credentials for this model"
    if key in _CREDENTIAL_TYPES:
        error.kind, error.status, error.retryable = ErrorKind.AUTHENTICATION, 401, False
    return error


def error_in_stream(type_: str, payload: bytes) -> ErrorInfo:
    """What an exception among a stream's events says. `type_` is its `:exception-type`."""
    try:
        wire = ERROR_BODY.decode(payload)
    except UNREADABLE:
        wire = ErrorBody()
    status = _STATUS_BY_TYPE.get(type_.lower(), 500)
    message = wire.original_message or wire.message or wire.capital_message
    return ErrorInfo(
        message=message or f"the provider broke the stream off: {type_}",
        type=type_,
        status=502 if status == _FAILED_DEPENDENCY else status,
    )


def _provider_error(status: int, message: str, raw: RawBody | None) -> ProviderError:
    if not message:
        message = f"the provider answered with status {status_text(status)}"
    failed = status == _FAILED_DEPENDENCY
    kind = ErrorKind.SERVER if failed else kind_of_status(status)
    return ProviderError(
        message,
        kind=ErrorKind.OVERLOADED if status == 503 else kind,
        status=502 if failed else status,
        upstream_status=status,
        retryable=False if failed else None,
        raw=raw,
    )
