"""AWS credentials from wherever botocore finds them, kept fresh without holding the loop up.

botocore fetches and refreshes credentials by calls that block: files, the metadata server, STS, SSO. `expiring` says
how they are kept from holding the loop up.

botocore is the extra `bedrock`; it is imported with this module. Imports the errors.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from providers.auth.expiring import ExpiringCredentials, Held
from providers.errors import ErrorKind, ProviderError


def static_credentials(access_key: str, secret_key: str, token: str | None) -> Callable[[], Any]:
    """A loader of credentials that are known."""
    return lambda: Credentials(access_key, secret_key, token)


def found_credentials(profile: str | None) -> Callable[[], Any]:
    """A loader that looks where AWS's own tools look: the environment, a profile of the shared files, SSO, a web
    identity, the container's or the machine's role."""
    return lambda: Session(profile=profile).get_credentials()


def region_of_profile(profile: str | None) -> str | None:
    """The region that a profile (None: the default one) names. Raises ValueError if there is no such profile."""
    try:
        found = Session(profile=profile).get_config_variable("region")
    except BotoCoreError as error:
        raise ValueError(str(error)) from error
    return found if isinstance(found, str) else None


class AWSCredentials(ExpiringCredentials[ReadOnlyCredentials]):
    """Access key, secret key and token, all of one kind. `load` is called once, in a thread, and returns botocore's
    credentials, or None if there are none."""

    what = "AWS credentials"
    refresh_before = 15 * 60  # botocore's own figure
    margin = 60
    # RuntimeError: the new ones have expired already.
    failures = (BotoCoreError, ClientError, RuntimeError, ValueError, OSError)

    def __init__(self, load: Callable[[], Any], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(now)
        self._load = load
        self._source: Any = None
        """botocore's credentials, which refresh themselves when they are asked in the thread."""

    def fetch(self) -> Held[ReadOnlyCredentials]:
        if self._source is None:
            self._source = self._load()
        if self._source is None:
            raise ValueError("none were found")
        keys = self._source.get_frozen_credentials()
        # botocore has no public word for it; static credentials have no expiry at all.
        return Held(keys, getattr(self._source, "_expiry_time", None))

    def refused(self, failure: Exception) -> Callable[[], ProviderError]:
        return lambda: ProviderError(
            "the gateway has no AWS credentials for this model",
            kind=ErrorKind.AUTHENTICATION,
            status=401,
            retryable=False,
        )
