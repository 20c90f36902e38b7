"""The provider fails, in every way: the client gets the right error, in band or not, and never a silent success."""

from __future__ import annotations

import json
import socket
from typing import Any

import anthropic
import openai
import pytest

from conformance.replay import FAULTS, Answer, Play
from conformance.replay.faults import Expectation
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support import facts
from tests.support.client import PATHS, RawClient, body_for
from tests.support.gateway import HI, Running, gateway_to, model, serving

APIS = ["openai-chat", "anthropic-messages"]
TEXT = {api: load_recording(BUNDLED / api / "stream" / "text.json") for api in APIS}
WHOLE = {api: load_recording(BUNDLED / api / "json" / "text.json") for api in APIS}
SHORT = {"firstTokenTimeout": 300, "idleTimeout": 300, "timeout": 5000}
TERMINATORS = {"openai-chat": b"[DONE]", "anthropic-messages": b"message_stop"}


async def outcome(gateway: Running, api: str, *, stream: bool) -> tuple[facts.Facts, Exception | None]:
    """What the SDK of `api` made of the answer, and what it raised."""
    error: Exception | None = None
    reading: list[Any] = []
    if api == "openai-chat":
        async with gateway.openai() as client:
            try:
                if not stream:
                    answer = await client.chat.completions.create(model="m", messages=HI)
                    return facts.of_openai(answer.model_dump()), None
                async for chunk in await client.chat.completions.create(model="m", messages=HI, stream=True):
                    reading.append(chunk.model_dump())
            except openai.APIError as caught:
                error = caught
        return facts.of_openai_stream(reading), error
    async with gateway.anthropic() as client:
        try:
            if not stream:
                message = await client.messages.create(model="m", max_tokens=9, messages=HI)
                return facts.of_anthropic(message.model_dump()), None
            async for event in await client.messages.create(model="m", max_tokens=9, messages=HI, stream=True):
                reading.append(event.model_dump())
        except anthropic.APIError as caught:
            error = caught
    return facts.of_anthropic_stream(reading), error


def check_outcome(expected: Expectation, said: facts.Facts, error: Exception | None, whole_text: str) -> None:
    if expected.outcome == "success":
        assert error is None
    if expected.outcome == "error":
        assert error is not None, f"a silent success: {said}"
    if error is None:
        if expected.same_answer:
            assert said.text == whole_text
        return
    assert whole_text.startswith(said.text)
    status = getattr(error, "status_code", None)
    if expected.outcome == "error" and not expected.in_band:
        assert status is not None, f"expected an error status, got {error!r} in band"
        assert expected.status in (None, status)
    if expected.in_band:
        assert status in (None, 200)


# Frames with checksums have a fault of their own, which these APIs cannot have.
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "corrupt-event"])
@pytest.mark.parametrize("provider_api", APIS)
@pytest.mark.parametrize("client_api", APIS)
async def test_streams(client_api: str, provider_api: str, fault: str) -> None:
    play = Play(TEXT[provider_api], fault=FAULTS[fault])
    expected = FAULTS[fault].expect(play.answer)
    config = SHORT if "stall" in fault or "silent" in fault else {}
    async with gateway_to(provider_api, play, config=config) as (_, gateway):
        said, error = await outcome(gateway, client_api, stream=True)
        check_outcome(expected, said, error, text_of(provider_api))
        if expected.outcome == "error":
            async with RawClient(gateway.port) as client:
                await client.ask(client_api, headers={"connection": "close"})
                assert TERMINATORS[client_api] not in await client.read_to_end()


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if not fault.streams_only])
@pytest.mark.parametrize("provider_api", APIS)
@pytest.mark.parametrize("client_api", APIS)
async def test_whole_answers(client_api: str, provider_api: str, fault: str) -> None:
    play = Play(WHOLE[provider_api], fault=FAULTS[fault])
    expected = FAULTS[fault].expect(play.answer)
    async with gateway_to(provider_api, play, config={"timeout": 500}) as (_, gateway):
        said, error = await outcome(gateway, client_api, stream=False)
    if expected.outcome == "error":
        assert error is not None
        assert getattr(error, "status_code", None) is not None
        if expected.status is not None:
            assert getattr(error, "status_code", None) == expected.status
    elif expected.outcome == "success":
        assert error is None
        assert said.text


def text_of(api: str) -> str:
    """The text of the recording, read from its bytes by the oracle's own rules."""
    events = [json.loads(line[6:]) for line in TEXT[api].response.body.split(b"\n") if line.startswith(b"data: {")]
    return (facts.of_openai_stream if api == "openai-chat" else facts.of_anthropic_stream)(events).text


@pytest.mark.parametrize("api", APIS)
async def test_a_refused_connection_is_a_502(api: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with serving([model(api, url)]) as gateway:
            _, error = await outcome(gateway, api, stream=True)
    assert getattr(error, "status_code", None) == 502


async def test_retries_hide_what_passes() -> None:
    refusals: list[Play] = [
        Play(Answer(status=status, headers={"content-type": "application/json"}, body=b'{"error":{"message":"no"}}'))
        for status in (408, 409, 429, 500, 503, 529)
    ]
    plays = [*refusals, Play(TEXT["openai-chat"], fault=FAULTS["reset-before-head"]), Play(TEXT["openai-chat"])]
    config = {"retryAttempts": len(plays) - 1, "retryDelay": 1}
    async with gateway_to("openai-chat", plays, config=config) as (upstream, gateway):
        said, error = await outcome(gateway, "openai-chat", stream=True)
        assert error is None
        assert said.text == text_of("openai-chat")
        assert upstream.received == len(plays)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_other_client_errors_are_not_tried_again(status: int) -> None:
    answer = Answer(status=status, headers={"content-type": "application/json"}, body=b'{"error":{"message":"no"}}')
    config = {"retryAttempts": 3, "retryDelay": 1}
    async with gateway_to("openai-chat", Play(answer), config=config) as (upstream, gateway):
        _, error = await outcome(gateway, "openai-chat", stream=True)
        assert getattr(error, "status_code", None) == status
        assert upstream.received == 1


async def test_nothing_is_tried_again_once_the_client_has_seen_a_byte() -> None:
    plays = [Play(TEXT["openai-chat"], fault=FAULTS["reset-between-events"]), Play(TEXT["openai-chat"])]
    config = {"retryAttempts": 3, "retryDelay": 1}
    async with gateway_to("openai-chat", plays, config=config) as (upstream, gateway):
        _, error = await outcome(gateway, "openai-chat", stream=True)
        assert error is not None
        assert upstream.received == 1


async def test_a_retry_never_goes_past_the_request_s_deadline() -> None:
    answer = Answer(status=503, headers={"content-type": "application/json", "retry-after": "20"}, body=b"{}")
    config = {"retryAttempts": 3, "timeout": 1000}
    async with gateway_to("openai-chat", Play(answer), config=config) as (upstream, gateway):
        _, error = await outcome(gateway, "openai-chat", stream=True)
        assert getattr(error, "status_code", None) == 503
        assert upstream.received == 1


async def test_the_refused_key_of_the_gateway_is_not_shown_to_the_client() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-upst*eam.","type":"invalid_request_error"}}'
    answer = Answer(status=401, headers={"content-type": "application/json"}, body=body)
    async with gateway_to("openai-chat", Play(answer)) as (_, gateway), RawClient(gateway.port) as client:
        await client.ask(headers={"connection": "close"})
        received = await client.read_to_end()
    assert b" 401 " in received.split(b"\r\n")[0]
    assert b"sk-upst" not in received


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("client", APIS)
@pytest.mark.parametrize("provider", APIS)
async def test_a_key_that_the_provider_quotes_does_not_reach_the_client(
    client: str, provider: str, status: int
) -> None:
    key, custom = "sk-upstream-0123456789", "canary-0123456789"
    told = f"no credit left for key {key}, nor for {custom}"
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": told}}
    refusal = Answer(status=status, headers={"content-type": "application/json"}, body=json.dumps(body).encode())
    config = {"apiKey": key, "customHeaders": {"x-team-token": custom}}
    async with gateway_to(provider, Play(refusal), config=config) as (_, gateway), gateway.http() as http:
        answer = await http.post(PATHS[client], json=body_for(client, stream=False))
    assert answer.status_code == status
    assert "no credit left for key ***, nor for ***" in answer.text
