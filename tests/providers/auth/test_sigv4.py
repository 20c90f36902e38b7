"""Requests are signed as botocore's own client signs them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest

from providers.auth.aws_credentials import AWSCredentials, static_credentials
from providers.auth.sigv4 import SigV4Signer
from tests.providers.wire.bedrock_converse.support import HI, Answering

WHOLE = (
    b'{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn",'
    b'"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}'
)
NOON = datetime(2026, 3, 21, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's clock stands still: it signs the time."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: NOON.replace(tzinfo=None))


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzEN+/=="])
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("us.amazon.nova-lite-v1:0", "/model/us.amazon.nova-lite-v1%3A0/converse"),
        (
            "arn:aws:bedrock:eu-west-3:123456789012:inference-profile/eu.anthropic.claude-x",
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-3%3A123456789012%3Ainference-profile%2Feu.anthropic.claude-x/converse",
        ),
    ],
)
async def test_the_signature_is_the_one_of_botocores_client(
    noon: None, model: str, path: str, token: str | None
) -> None:
    with Answering(WHOLE) as server:
        server.client(token).converse(modelId=model, messages=HI)
        (sent_path, sent, body), url = server.seen[0], server.url
    assert sent_path == path
    key = static_credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    signer = SigV4Signer(AWSCredentials(key), "bedrock", "eu-west-3", url)
    signed = await signer.sign("POST", path, {"content-type": "application/json"}, body)
    names = {"authorization", "x-amz-date"} | ({"x-amz-security-token"} if token else set())
    assert signed == {name: sent[name] for name in names}
    assert "SignedHeaders=content-type;host;x-amz-date" in signed["authorization"]


@pytest.mark.parametrize(
    "change",
    [{"path": "/other"}, {"body": b"{}"}, {"region": "us-east-1"}, {"url": "http://127.0.0.1:1"}],
    ids=lambda change: next(iter(change)),
)
async def test_every_piece_is_signed(noon: None, change: dict[str, Any]) -> None:
    given = {"path": "/model/m/converse", "body": b'{"a":1}', "region": "eu-west-3", "url": "http://127.0.0.1:2"}

    async def signature(**piece: Any) -> str:
        one = {**given, **piece}
        credentials = AWSCredentials(static_credentials("AKID", "secret", None))
        signer = SigV4Signer(credentials, "bedrock", one["region"], one["url"])
        return (await signer.sign("POST", one["path"], {}, one["body"]))["authorization"].rpartition("=")[2]

    assert await signature() == await signature()
    assert await signature() != await signature(**change)


async def test_the_base_urls_path_is_signed_and_the_default_port_is_not(noon: None) -> None:
    credentials = AWSCredentials(static_credentials("AKID", "secret", None))

    async def signature(url: str, path: str) -> str:
        signer = SigV4Signer(credentials, "bedrock", "eu-west-3", url)
        return (await signer.sign("POST", path, {}, b""))["authorization"]

    assert await signature("https://x.example:443/a/", "/b") == await signature("https://x.example", "/a/b")
