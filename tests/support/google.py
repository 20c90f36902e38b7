"""Google's token servers, on loopback: the JWT grant of a service account, and the metadata server."""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from conformance.replay import Answer, Play
from conformance.replay.exchange import ReceivedRequest

EMAIL = "gateway@test-project.iam.gserviceaccount.com"


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(token_url: str) -> dict[str, Any]:
    """A service account's key file, with a key made for this run."""
    pem = _key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "test-project",
        "private_key_id": "k1",
        "private_key": pem.decode(),
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": f"{token_url}/token",
    }


class TokenServer:
    """A script for `ReplayServer`. Tokens are `token-1`, `token-2` ...; each lives as many seconds as `lifetime`."""

    def __init__(self, lifetime: int = 3600) -> None:
        self.lifetime = lifetime
        self.issued = 0
        self.asked = 0
        self.failure: tuple[int, dict[str, Any]] | None = None

    def __call__(self, request: ReceivedRequest) -> Play:
        if request.header(b"metadata-flavor") == b"Google":
            return self._metadata(request)
        self._check_grant(request)
        return self._answer({"token_type": "Bearer"})

    def _metadata(self, request: ReceivedRequest) -> Play:
        path = request.target.partition("?")[0].rstrip("/")
        if path.endswith("/token"):
            return self._answer({"token_type": "Bearer"})
        if "/service-accounts/" in path:
            return _json(200, {"email": EMAIL, "scopes": [], "aliases": ["default"]})
        return _json(200, {})

    def _answer(self, more: dict[str, Any]) -> Play:
        self.asked += 1
        if self.failure is not None:
            return _json(*self.failure)
        self.issued += 1
        return _json(200, {"access_token": f"token-{self.issued}", "expires_in": self.lifetime, **more})

    @staticmethod
    def _check_grant(request: ReceivedRequest) -> None:
        """As Google does: the assertion is the account's own, for this server."""
        form = parse_qs(request.body.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        public = (
            _key()
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        claims = jwt.decode(form["assertion"][0], certs=public)
        assert claims["iss"] == EMAIL
        assert claims["aud"].endswith(request.target)
        assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def _json(status: int, body: dict[str, Any]) -> Play:
    headers = {"content-type": "application/json", "metadata-flavor": "Google"}
    return Play(Answer(status=status, headers=headers, body=json.dumps(body).encode()))
