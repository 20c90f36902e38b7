"""Signature Version 4 for requests to AWS, by botocore's own signer.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html. botocore is the extra `bedrock`; it is imported
with this module. Imports the transport's addresses.
"""

from __future__ import annotations

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from providers.auth.aws_credentials import AWSCredentials
from providers.transport.address import parse_base_url

_ADDED = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")


class SigV4Signer:
    """Signs requests below one base URL for one service and region."""

    def __init__(self, credentials: AWSCredentials, service: str, region: str, base_url: str) -> None:
        address = parse_base_url(base_url)
        self._root = f"{address.scheme}://{address.authority.decode()}{address.path.decode()}"
        self._credentials = credentials
        self._service = service
        self._region = region

    async def sign(self, method: str, target: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """The headers to add, names in lower case. Every one of `headers` and the host are signed, so they must be sent
        as they are; others may be sent beside them. Waits for credentials; raises `ProviderError` if there are none."""
        credentials = await self._credentials.current()
        request = AWSRequest(method=method, url=self._root + target, headers=headers, data=body)
        SigV4Auth(credentials, self._service, self._region).add_auth(request)
        return {name.lower(): str(request.headers[name]) for name in _ADDED if name in request.headers}
