"""Google access tokens from a service account, a user's credentials, or wherever google-auth finds some.

google-auth knows the kinds of credentials and the requests that each takes (JWT grants, the metadata server, workload
identity); it makes them by calls that block, which `expiring` keeps from holding the loop up. They go through httpx,
under deadlines of their own.

google-auth is the extra `vertex`; it is imported with this module. Imports the errors.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import google.auth
import httpx
from google.auth import exceptions, transport
from google.auth.credentials import Credentials
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from providers.auth.expiring import ExpiringCredentials, Held
from providers.errors import ErrorKind, ProviderError

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

REQUEST_TIMEOUT = 10.0
"""Seconds that one request to a token server may take."""

KNOWN_TYPES = ("service_account", "authorized_user")
"""The `type`s of credentials that can be given. google-auth finds the others by GOOGLE_APPLICATION_CREDENTIALS."""

# The library is typed only in part.
_ServiceAccount: Any = service_account.Credentials
_User: Any = user_credentials.Credentials
_TransportError: Any = exceptions.TransportError

GoogleCredentials = Callable[[transport.Request], Credentials]
"""Loads credentials; called once, in a thread."""


def given_credentials(info: Mapping[str, Any]) -> GoogleCredentials:
    """A loader of the credentials in a key file's JSON. Raises ValueError for what is none."""
    kind = info.get("type")
    try:
        if kind == "service_account":
            loaded: Credentials = _ServiceAccount.from_service_account_info(dict(info), scopes=SCOPES)
        elif kind == "authorized_user":
            loaded = _User.from_authorized_user_info(dict(info), scopes=SCOPES)
        else:
            raise ValueError(f"expected credentials of type {' or '.join(KNOWN_TYPES)}")
    except (exceptions.GoogleAuthError, ValueError, KeyError, TypeError) as error:
        # The library's own message may quote the key.
        known = str(error) if str(error).startswith("expected ") else f"they cannot be read ({type(error).__name__})"
        raise ValueError(known) from None
    return lambda request: loaded


def found_credentials() -> GoogleCredentials:
    """A loader that looks where Google's own tools look: GOOGLE_APPLICATION_CREDENTIALS, gcloud's file, the metadata
    server (https://cloud.google.com/docs/authentication/application-default-credentials)."""

    def load(request: transport.Request) -> Credentials:
        found, _ = google.auth.default(scopes=SCOPES, request=request)
        return found

    return load


class GoogleTokens(ExpiringCredentials[str]):
    """Access tokens. `proxy` and `verify` as in httpx; no proxy: the one that the environment says, if any."""

    what = "Google credentials"
    refresh_before = 225  # google-auth's own figure; the metadata server gives no new token earlier than 300
    margin = 30
    failures = (exceptions.GoogleAuthError, httpx.HTTPError, ValueError, OSError)

    def __init__(
        self,
        load: GoogleCredentials,
        *,
        proxy: str | None = None,
        verify: ssl.SSLContext,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(now)
        self._load = load
        self._proxy = proxy
        self._verify = verify
        self._source: Credentials | None = None

    def fetch(self) -> Held[str]:
        with httpx.Client(timeout=REQUEST_TIMEOUT, proxy=self._proxy, verify=self._verify) as client:
            request = _Request(client)
            if self._source is None:
                self._source = self._load(request)
            source: Any = self._source
            source.refresh(request)
            # google-auth's times are in UTC and say no zone.
            return Held(source.token, source.expiry.replace(tzinfo=UTC) if source.expiry is not None else None)

    def refused(self, failure: Exception) -> Callable[[], ProviderError]:
        unreached = exceptions.TransportError, httpx.HTTPError, OSError
        transient = (
            isinstance(failure, unreached)
            or isinstance(failure.__cause__, unreached)  # as the metadata server's are told
            or (isinstance(failure, exceptions.GoogleAuthError) and failure.retryable)
        )
        if transient:
            return lambda: ProviderError(
                "the gateway could not reach Google for the credentials of this model",
                kind=ErrorKind.CONNECTION,
                status=503,
            )
        return lambda: ProviderError(
            "the gateway has no Google credentials for this model",
            kind=ErrorKind.SERVER,
            status=502,
            retryable=False,
        )


class _Response(transport.Response):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


class _Request(transport.Request):
    """google-auth's way to make requests, on httpx."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> _Response:
        patience = min(timeout or REQUEST_TIMEOUT, REQUEST_TIMEOUT)
        try:
            return _Response(
                self._client.request(method, url, content=body, headers=dict(headers or {}), timeout=patience)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _TransportError(type(error).__name__) from error
