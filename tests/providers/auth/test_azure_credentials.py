"""Tokens of Entra ID: each way to get one, refreshed before it expires, asked for once, told plainly when refused."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
import trustme

from conformance.replay import ReplayServer
from providers.auth.azure_credentials import AzureTokens, Entra
from providers.errors import ErrorKind, ProviderError
from tests.support.entra import TENANT, TokenServer


@asynccontextmanager
async def secret_tokens(script: TokenServer, folder: Path, **options: object) -> AsyncIterator[AzureTokens]:
    """Tokens of an application with a secret, from a server of our own with TLS."""
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    bundle = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    async with ReplayServer(script, ssl_context=context) as server:
        entra = Entra(
            tenant_id=TENANT,
            client_id="app",
            client_secret="s3cret",
            authority=server.url.replace("http://", "https://"),
        )
        tokens = AzureTokens(entra, ca_bundle=str(bundle), **options)  # type: ignore[arg-type]
        try:
            yield tokens
        finally:
            tokens.close()


async def test_an_application_gets_a_token_for_its_secret(tmp_path: Path) -> None:
    script = TokenServer()
    async with secret_tokens(script, tmp_path) as tokens:
        assert await tokens.current() == "token-1"
        assert await tokens.current() == "token-1"
    [form] = script.forms
    assert form["grant_type"] == ["client_credentials"]
    assert form["client_id"] == ["app"]
    assert form["client_secret"] == ["s3cret"]
    assert form["scope"] == ["https://cognitiveservices.azure.com/.default"]


async def test_many_who_ask_at_once_ask_once(tmp_path: Path) -> None:
    script = TokenServer()
    got: list[str] = []
    async with secret_tokens(script, tmp_path) as tokens:

        async def ask() -> None:
            got.append(await tokens.current())

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
    assert got == ["token-1"] * 20
    assert script.issued == 1


async def test_a_new_one_is_fetched_before_the_old_one_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = 0.0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + later)  # what the library goes by
    script = TokenServer()
    async with secret_tokens(script, tmp_path, now=lambda: datetime.fromtimestamp(time.time(), UTC)) as tokens:
        assert await tokens.current() == "token-1"
        later = 3600 - 310
        assert await tokens.current() == "token-1"
        later = 3600 - 290
        assert await tokens.current() == "token-2"


async def test_a_refused_secret_is_told_without_it(tmp_path: Path) -> None:
    script = TokenServer()
    script.failure = (401, {"error": "invalid_client", "error_description": "AADSTS7000215: s3cret is wrong"})
    async with secret_tokens(script, tmp_path) as tokens:
        with pytest.raises(ProviderError) as refused:
            await tokens.current()
    assert refused.value.status == 502
    assert not refused.value.retryable
    assert "s3cret" not in str(refused.value)


async def test_a_server_that_is_not_there_may_be_tried_again(unused_port: int) -> None:
    entra = Entra(tenant_id=TENANT, client_id="app", client_secret="s", authority=f"https://127.0.0.1:{unused_port}")
    with pytest.raises(ProviderError) as failed:
        await AzureTokens(entra).current()
    assert failed.value.kind is ErrorKind.CONNECTION
    assert failed.value.retryable


@pytest.mark.parametrize("client_id", [None, "user-assigned"])
async def test_a_managed_identity(monkeypatch: pytest.MonkeyPatch, client_id: str | None) -> None:
    script = TokenServer()
    async with ReplayServer(script) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "h")
        tokens = AzureTokens(Entra(managed_identity=True, client_id=client_id))
        assert await tokens.current() == "token-1"
        tokens.close()
    [form] = script.forms
    assert form["resource"] == ["https://cognitiveservices.azure.com"]
    assert form.get("client_id") == (None if client_id is None else [client_id])


async def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    script = TokenServer()
    async with ReplayServer(script) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "h")
        for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)
        tokens = AzureTokens(Entra())
        assert await tokens.current() == "token-1"
        tokens.close()


def test_its_repr_holds_no_secret() -> None:
    assert "s3cret" not in repr(Entra(tenant_id="t", client_id="c", client_secret="s3cret"))


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
