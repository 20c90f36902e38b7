"""Microsoft Entra ID on loopback: the client-credentials grant over TLS, and App Service's identity endpoint."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from conformance.replay import Answer, Play
from conformance.replay.exchange import ReceivedRequest

TENANT = "11111111-2222-3333-4444-555555555555"


class TokenServer:
    """A script for `ReplayServer`. Tokens are `token-1`, `token-2` ...; each lives as many seconds as `lifetime`."""

    def __init__(self, lifetime: int = 3600) -> None:
        self.lifetime = lifetime
        self.issued = 0
        self.failure: tuple[int, dict[str, Any]] | None = None
        self.forms: list[dict[str, list[str]]] = []

    def __call__(self, request: ReceivedRequest) -> Play:
        parts = urlsplit(request.target)
        if parts.path.endswith("/openid-configuration"):
            base = f"https://{(request.header(b'host') or b'').decode()}/{TENANT}"
            return _json(
                200,
                {
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "issuer": f"{base}/v2.0",
                },
            )
        self.forms.append(parse_qs(parts.query) if request.method == "GET" else parse_qs(request.body.decode()))
        if self.failure is not None:
            return _json(*self.failure)
        self.issued += 1
        token = {"access_token": f"token-{self.issued}", "token_type": "Bearer", "expires_in": self.lifetime}
        if request.method == "GET":
            token |= {
                "expires_on": str(int(time.time()) + self.lifetime),
                "resource": "https://cognitiveservices.azure.com",
            }
        return _json(200, token)


def _json(status: int, body: dict[str, Any]) -> Play:
    return Play(Answer(status=status, headers={"content-type": "application/json"}, body=json.dumps(body).encode()))
