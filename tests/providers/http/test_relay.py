"""Requests in a provider's own API, passed on over real connections."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from providers import (
    HTTPProvider,
    LLMRequest,
    LLMResponse,
    OutgoingRequest,
    ProviderTimeoutError,
    RelayRequest,
    extension,
    http_schema,
    text_response,
)
from tests.providers.transport.support import OK, Peer, answering, eventually, read, serve


@extension(name="plain", version="1.0.0", description="", configuration_schema=http_schema())
class Plain(HTTPProvider):
    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        return OutgoingRequest(target="/x", body=b"{}")

    def response_in(self, body: bytes, request: LLMRequest) -> LLMResponse:
        return text_response("")


async def configured(url: str, *, http2: bool = False, **config: object) -> Plain:
    provider = Plain()
    await provider.configure(
        {"baseUrl": f"{url}/base", "apiKey": "sk-own", "customHeaders": {"x-team": "a"}, "http2": http2, **config}
    )
    return provider


@pytest.mark.parametrize("http2", [False, True], ids=["pool", "httpx"])
@pytest.mark.parametrize("length", [None, 6], ids=["chunked", "length"])
async def test_method_target_body_and_status_go_through_and_the_own_credentials_win(
    http2: bool, length: int | None
) -> None:
    teapot = b"HTTP/1.1 418 T\r\ncontent-length: 3\r\ncontent-type: text/x\r\n\r\npot"

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        await trio.sleep(0.01)
        yield b"def"

    async with serve(answering(teapot)) as server:
        provider = await configured(server.url, http2=http2)
        response = await provider.relay(
            RelayRequest(
                method="PUT",
                target="/files/a%2Fb?x=1",
                headers={"authorization": "Bearer client", "content-type": "application/pdf", "x-team": "client"},
                body=pieces(),
                length=length,
                request_id="req_1",
            )
        )
        assert (response.status, await read(response)) == (418, b"pot")
        assert (b"content-type", b"text/x") in response.headers
        response.close()
        await provider.aclose()
    (request,) = server.requests
    assert request.line == b"PUT /base/files/a%2Fb?x=1 HTTP/1.1"
    assert request.body == b"abcdef"
    assert request.headers[b"authorization"] == b"Bearer sk-own"
    assert request.headers[b"content-type"] == b"application/pdf"
    assert request.headers[b"x-team"] == b"a"
    assert request.headers[b"x-request-id"] == b"req_1"
    assert request.headers.get(b"content-length") == (b"6" if length else None)


async def test_without_a_body_no_content_type_is_made_up() -> None:
    async with serve(answering(OK)) as server:
        provider = await configured(server.url)
        response = await provider.relay(RelayRequest(method="GET", target="/models"))
        assert await read(response) == b"ok"
        response.close()
        await provider.aclose()
    (request,) = server.requests
    assert b"content-type" not in request.headers
    assert b"content-length" not in request.headers


async def test_head_and_silence_have_their_deadlines() -> None:
    async def half(peer: Peer) -> None:
        await peer.request()
        if peer.number:
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        await peer.gone()

    async with serve(half) as server:
        provider = await configured(server.url, firstTokenTimeout=50, idleTimeout=50)
        request = RelayRequest(method="GET", target="/x")
        with pytest.raises(ProviderTimeoutError, match="no first event"):
            await provider.relay(request)
        response = await provider.relay(request)
        assert await response.receive() == b"half"
        with pytest.raises(ProviderTimeoutError, match="fell silent"):
            await response.receive()
        response.close()
        await eventually(lambda: not server.open)
        await provider.aclose()
