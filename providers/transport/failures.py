"""The ways a connection fails, and the words for them. Imports only the gateway's errors.

The transport raises the gateway's own errors; these subclasses say where it happened, so that an adapter to another
library's exceptions (`httpx_transport`) can be a table. A message names hosts and system errors, never a header's
value.
"""

from __future__ import annotations

import os
import socket
import ssl

from providers.errors import ProviderConnectionError, ProviderTimeoutError, RequestError


class ConnectError(ProviderConnectionError):
    """No connection: name resolution, TCP or TLS failed. Nothing of the request was sent."""


class ProxyError(ConnectError):
    """The HTTP proxy refused or did not understand."""


class SendError(ProviderConnectionError):
    """The connection broke while the request was being sent."""


class ReceiveError(ProviderConnectionError):
    """The connection broke (a reset, a TLS fault) before the response was complete."""


class DisconnectedError(ReceiveError):
    """The service closed the connection before the response was complete."""


class PoolClosedError(ProviderConnectionError):
    """The pool was closed before or during the request."""


class SlotTimeoutError(ProviderTimeoutError):
    """Every connection was in use for as long as connecting may take."""

    def __init__(self, seconds: float) -> None:
        super().__init__("connect", seconds)


class OperationTimeoutError(Exception):
    """A read or a write took longer than `Timeouts` allows. Only callers that pass `Timeouts` see it."""

    def __init__(self, operation: str) -> None:
        super().__init__(f"the {operation} timed out")
        self.operation = operation
        """`read` or `write`."""


class InvalidRequestError(RequestError, ValueError):
    """The request cannot be written as HTTP/1.1: a line end in a header, a space in the target ... Nothing was sent."""


def explain(error: BaseException) -> str:
    """What happened, in words fit for a client: the system's or the TLS library's, without numbers and file names."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate was not accepted: {error.verify_message}"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return "the TLS connection was cut"
        case ssl.SSLError():
            return f"TLS: {(error.reason or 'protocol error').replace('_', ' ').lower()}"
        case ssl.CertificateError():
            return f"the certificate was not accepted: {error}"
        case socket.gaierror():
            return f"the name could not be resolved: {error.strerror or 'unknown host'}"
        case OSError() if error.errno:
            return os.strerror(error.errno).lower()
    causes = _leaves(error.__cause__)
    if causes:
        return "; ".join(dict.fromkeys(explain(cause) for cause in causes))
    return "the connection failed"


def _leaves(error: BaseException | None) -> list[BaseException]:
    """The single errors of what `trio.open_tcp_stream` raises: one group with one error for each address."""
    if error is None:
        return []
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
