"""The way to a provider, as the configuration says: TLS with a CA of one's own, a proxy, HTTP/2."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from conformance.replay import Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.gateway import model, openai_client, serving
from tests.support.reading import read_openai_stream

TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


def context(ca: trustme.CA) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(made)
    return made


@pytest.mark.parametrize("http2", [False, True], ids=["own transport", "httpx transport"])
async def test_tls_with_a_ca_bundle(ca: trustme.CA, tmp_path: Path, http2: bool) -> None:
    bundle = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    async with ReplayServer(Play(TEXT), ssl_context=context(ca)) as upstream, ReplayServer(Play(TEXT)) as plain:
        async with openai_client(plain.url) as straight:
            expected = await read_openai_stream(straight)
        entry = model("openai-chat", upstream.url, config={"caBundle": str(bundle), "http2": http2})
        async with serving([entry]) as gateway, gateway.openai() as client:
            assert await read_openai_stream(client) == expected


async def test_a_certificate_that_nobody_vouches_for_is_a_502_that_says_so(ca: trustme.CA) -> None:
    async with ReplayServer(Play(TEXT), ssl_context=context(ca)) as upstream:
        async with serving([model("openai-chat", upstream.url)]) as gateway, gateway.openai() as client:
            [(kind, message, _)] = await read_openai_stream(client)
    assert kind == "InternalServerError"
    assert "certificate" in message.lower()
    assert upstream.received == 0


async def test_a_proxy_is_asked_for_the_whole_url() -> None:
    async with ReplayServer(Play(TEXT)) as proxy:
        entry = model("openai-chat", "http://provider.invalid:8123", config={"proxy": proxy.url})
        async with serving([entry]) as gateway, gateway.openai() as client:
            assert len(await read_openai_stream(client)) > 2
    assert proxy.requests[0].target == "http://provider.invalid:8123/v1/chat/completions"
