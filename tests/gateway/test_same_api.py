"""Same API on both sides: what the official SDK reads through the gateway is what it reads from the provider."""

from __future__ import annotations

import pytest

from conformance.oracles.gemini_generate import read as read_gemini
from conformance.replay import DELIVERIES, Play
from providers.replay.recording import Recording
from tests.support.gateway import anthropic_client, gateway_to, openai_client
from tests.support.reading import (
    read_anthropic,
    read_anthropic_stream,
    read_final_response,
    read_openai,
    read_openai_stream,
    read_response,
    read_responses_stream,
)
from tests.support.recordings import exchanges

STREAM_DELIVERIES = ["whole", "event", "bytes-7", "bytes-1"]


@pytest.mark.parametrize("recording", exchanges("openai-chat", "stream"))
async def test_openai_streams(recording: Recording) -> None:
    plays = [Play(recording), *(Play(recording, DELIVERIES[name]) for name in STREAM_DELIVERIES)]
    async with gateway_to("openai-chat", plays) as (upstream, gateway):
        async with openai_client(upstream.url) as straight, gateway.openai() as through:
            expected = await read_openai_stream(straight)
            assert expected
            for delivery in STREAM_DELIVERIES:
                assert await read_openai_stream(through) == expected, delivery


@pytest.mark.parametrize("recording", exchanges("openai-responses", "stream"))
async def test_responses_streams(recording: Recording) -> None:
    plays = [Play(recording), *(Play(recording, DELIVERIES[name]) for name in STREAM_DELIVERIES)]
    async with gateway_to("openai-responses", plays) as (upstream, gateway):
        async with openai_client(upstream.url) as straight, gateway.openai() as through:
            expected = await read_responses_stream(straight)
            assert expected
            for delivery in STREAM_DELIVERIES:
                assert await read_responses_stream(through) == expected, delivery


@pytest.mark.parametrize("recording", exchanges("openai-responses", "stream"))
async def test_final_responses(recording: Recording) -> None:
    async with gateway_to("openai-responses", [Play(recording), Play(recording)]) as (upstream, gateway):
        async with openai_client(upstream.url) as straight, gateway.openai() as through:
            assert await read_final_response(through) == await read_final_response(straight)


@pytest.mark.parametrize("recording", exchanges("anthropic-messages", "stream"))
async def test_anthropic_streams(recording: Recording) -> None:
    plays = [Play(recording), *(Play(recording, DELIVERIES[name]) for name in STREAM_DELIVERIES)]
    async with gateway_to("anthropic-messages", plays) as (upstream, gateway):
        async with anthropic_client(upstream.url) as straight, gateway.anthropic() as through:
            expected = await read_anthropic_stream(straight)
            assert expected
            for delivery in STREAM_DELIVERIES:
                assert await read_anthropic_stream(through) == expected, delivery


@pytest.mark.parametrize("recording", [*exchanges("openai-chat", "json"), *exchanges("openai-chat", "error")])
async def test_openai_answers_and_errors(recording: Recording) -> None:
    plays = [Play(recording), Play(recording), Play(recording, DELIVERIES["bytes-7"])]
    async with gateway_to("openai-chat", plays) as (upstream, gateway):
        async with openai_client(upstream.url) as straight, gateway.openai() as through:
            expected = await read_openai(straight)
            assert await read_openai(through) == expected
            assert await read_openai(through) == expected


@pytest.mark.parametrize("recording", [*exchanges("openai-responses", "json"), *exchanges("openai-responses", "error")])
async def test_responses_and_errors(recording: Recording) -> None:
    plays = [Play(recording), Play(recording), Play(recording, DELIVERIES["bytes-7"])]
    async with gateway_to("openai-responses", plays) as (upstream, gateway):
        async with openai_client(upstream.url) as straight, gateway.openai() as through:
            expected = await read_response(straight)
            assert await read_response(through) == expected
            assert await read_response(through) == expected


@pytest.mark.parametrize(
    "recording", [*exchanges("anthropic-messages", "json"), *exchanges("anthropic-messages", "error")]
)
async def test_anthropic_answers_and_errors(recording: Recording) -> None:
    plays = [Play(recording), Play(recording), Play(recording, DELIVERIES["bytes-7"])]
    async with gateway_to("anthropic-messages", plays) as (upstream, gateway):
        async with anthropic_client(upstream.url) as straight, gateway.anthropic() as through:
            expected = await read_anthropic(straight)
            assert await read_anthropic(through) == expected
            assert await read_anthropic(through) == expected


@pytest.mark.parametrize("recording", exchanges("gemini-generate", "stream"))
async def test_gemini_streams(recording: Recording) -> None:
    plays = [Play(recording), *(Play(recording, DELIVERIES[name]) for name in STREAM_DELIVERIES)]
    async with gateway_to("gemini-generate", plays) as (upstream, gateway):
        expected = await read_gemini(upstream.url, "m", "hi", True)
        assert expected.items
        for delivery in STREAM_DELIVERIES:
            through = await read_gemini(gateway.url, "m", "hi", True)
            assert (through.items, through.error) == (expected.items, expected.error), delivery


@pytest.mark.parametrize("recording", [*exchanges("gemini-generate", "json"), *exchanges("gemini-generate", "error")])
async def test_gemini_answers_and_errors(recording: Recording) -> None:
    plays = [Play(recording), Play(recording), Play(recording, DELIVERIES["bytes-7"])]
    async with gateway_to("gemini-generate", plays) as (upstream, gateway):
        expected = await read_gemini(upstream.url, "m", "hi", False)
        for _ in range(2):
            through = await read_gemini(gateway.url, "m", "hi", False)
            assert (through.items, through.error) == (expected.items, expected.error)
