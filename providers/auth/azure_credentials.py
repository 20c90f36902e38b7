"""Entra ID access tokens for Azure: a service principal's, a managed identity's, or whatever azure-identity finds.

azure-identity knows the grants and the places where an identity may be had; it asks for tokens by calls that block,
which `expiring` keeps from holding the loop up. It is the extra `azure`, imported with this module. Imports the errors.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.identity import (
    ClientSecretCredential,
    CredentialUnavailableError,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)

from providers.auth.expiring import ExpiringCredentials, Held
from providers.errors import ErrorKind, ProviderError

SCOPE = "https://cognitiveservices.azure.com/.default"
"""What a token is for (https://learn.microsoft.com/azure/ai-services/authentication)."""

REQUEST_TIMEOUT = 10.0
"""Seconds that connecting to a token server, or one read from it, may take."""


class Entra(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which identity to be. With a secret: that application's. Else the machine's, or what the environment says."""

    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    managed_identity: bool = False
    authority: str | None = None
    """The https address of Entra ID, for clouds of their own (`https://login.microsoftonline.us`)."""
    scope: str = SCOPE

    def __repr__(self) -> str:
        return f"Entra(tenant_id={self.tenant_id!r}, client_id={self.client_id!r})"


class _Token(Protocol):
    token: str
    expires_on: int


class AzureTokens(ExpiringCredentials[str]):
    """`proxy` and `ca_bundle` as in the provider's settings."""

    what = "Azure credentials"
    refresh_before = 300  # azure-identity's own figure
    margin = 30
    failures = (AzureError, ValueError, OSError)

    def __init__(
        self,
        entra: Entra,
        *,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(now)
        self._entra = entra
        self._options: dict[str, Any] = {
            "connection_timeout": REQUEST_TIMEOUT,
            "read_timeout": REQUEST_TIMEOUT,
            "retry_total": 1,
        }
        if proxy is not None:
            self._options["proxies"] = {"http": proxy, "https": proxy}
        if ca_bundle is not None:
            self._options["connection_verify"] = ca_bundle
        self._source: Any = None

    def fetch(self) -> Held[str]:
        if self._source is None:
            self._source = self._make()
        found: _Token = self._source.get_token(self._entra.scope)
        return Held(found.token, datetime.fromtimestamp(found.expires_on, UTC))

    def close(self) -> None:
        """Give the connections to token servers back. Does not block."""
        if self._source is not None:
            self._source.close()

    def _make(self) -> Any:
        entra = self._entra
        options = dict(self._options)
        if entra.authority is not None:
            options["authority"] = entra.authority
        if entra.client_secret is not None and entra.tenant_id is not None and entra.client_id is not None:
            # Another cloud's authority is not known to the public one, which would be asked about it.
            discovery = {"disable_instance_discovery": True} if entra.authority is not None else {}
            return ClientSecretCredential(entra.tenant_id, entra.client_id, entra.client_secret, **options, **discovery)
        if entra.managed_identity:
            return ManagedIdentityCredential(client_id=entra.client_id, **self._options)
        return DefaultAzureCredential(managed_identity_client_id=entra.client_id, **options)

    def refused(self, failure: Exception) -> Callable[[], ProviderError]:
        unreached = (ServiceRequestError, ServiceResponseError, OSError)
        final = (ClientAuthenticationError, CredentialUnavailableError, ValueError)
        wrapped = isinstance(failure.__cause__, unreached)  # the library says "authentication failed" to that too
        if wrapped or isinstance(failure, unreached) or not isinstance(failure, final):
            return lambda: ProviderError(
                "the gateway could not reach Microsoft Entra ID for the credentials of this model",
                kind=ErrorKind.CONNECTION,
                status=503,
            )
        return lambda: ProviderError(
            "the gateway has no Azure credentials for this model",
            kind=ErrorKind.SERVER,
            status=502,
            retryable=False,
        )
