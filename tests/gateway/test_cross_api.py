"""Different APIs on the two sides: the answer says the same in the client's own words."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from conformance.oracles.gemini_generate import read as read_gemini
from conformance.replay import DELIVERIES, Play
from providers.replay.provider import BUNDLED
from providers.replay.recording import Kind, Recording, load_recording
from tests.support import facts
from tests.support.facts import Facts
from tests.support.gateway import HI, Running, anthropic_client, gateway_to, openai_client
from tests.support.reading import (
    read_anthropic,
    read_anthropic_stream,
    read_openai,
    read_openai_stream,
    read_response,
    read_responses_stream,
)
from tests.support.recordings import exchanges

STREAM_DELIVERIES = ["whole", "bytes-7"]


def unsigned(said: Facts) -> Facts:
    """Without what OpenAI's wire has no standard place for."""
    return msgspec.structs.replace(said, signatures=[], redacted=[])


def assert_same(through: Facts, straight: Facts) -> None:
    """Every fact the provider told; usage that it did not tell may come as zeros."""
    if straight.failed:
        straight.finish = through.finish = None
        straight.prompt_tokens = through.prompt_tokens = straight.completion_tokens = through.completion_tokens = None
    if straight.prompt_tokens is None:
        through.prompt_tokens = through.prompt_tokens or None
        through.completion_tokens = through.completion_tokens or None
    assert through == straight


class Speaker(NamedTuple):
    """How an API is spoken: its SDK straight to a provider and through the gateway, and what is read from it."""

    straight: Callable[[str], Any]
    through: Callable[[Running], Any]
    read_stream: Callable[[Any], Awaitable[Any]]
    facts_of_stream: Callable[[Any], Facts]
    read_whole: Callable[[Any], Awaitable[Any]]
    facts_of_whole: Callable[[Any], Facts]
    keeps_signatures: bool
    """It has a place for another provider's signatures as they are."""


SPEAKERS = {
    "openai-chat": Speaker(
        openai_client,
        Running.openai,
        read_openai_stream,
        facts.of_openai_stream,
        read_openai,
        facts.of_openai,
        keeps_signatures=True,
    ),
    "openai-responses": Speaker(
        openai_client,
        Running.openai,
        read_responses_stream,
        facts.of_responses_stream,
        read_response,
        facts.of_response,
        keeps_signatures=False,
    ),
    "anthropic-messages": Speaker(
        anthropic_client,
        Running.anthropic,
        read_anthropic_stream,
        facts.of_anthropic_stream,
        read_anthropic,
        facts.of_anthropic,
        keeps_signatures=False,
    ),
}


def of_each(kind: Kind) -> list[Any]:
    """A parameter for each recording of each API, with the APIs of the other clients."""
    params = []
    for api in SPEAKERS:
        for param in exchanges(api, kind):
            [recording] = param.values
            others = [client for client in SPEAKERS if client != api]
            params += [
                pytest.param(client, api, recording, id=f"{client}-reads-{api}-{param.id}", marks=param.marks)
                for client in others
            ]
    return params


def comparable(said: Facts, client: str, provider: str) -> Facts:
    """Chat's own vendors sign in no standard place; other APIs' signatures reach who has a place for them."""
    return said if SPEAKERS[client].keeps_signatures and provider != "openai-chat" else unsigned(said)


@pytest.mark.parametrize(("client", "provider", "recording"), of_each("stream"))
async def test_streams(client: str, provider: str, recording: Recording) -> None:
    if provider == "openai-responses" and recording.response.body.count(b'"type":"response.created"') > 1:
        pytest.skip("holds several answers, one after the other: another API's stream has only one")
    plays = [Play(recording), *(Play(recording, DELIVERIES[name]) for name in STREAM_DELIVERIES)]
    reader, origin = SPEAKERS[client], SPEAKERS[provider]
    async with gateway_to(provider, plays) as (upstream, gateway):
        async with origin.straight(upstream.url) as straight, reader.through(gateway) as through:
            expected = comparable(origin.facts_of_stream(await origin.read_stream(straight)), client, provider)
            if client == "openai-responses" and expected.tool_calls and expected.finish == "stop":
                expected.finish = "tool_calls"  # this API has no word for how an answer with calls ended
            for _ in STREAM_DELIVERIES:
                said = reader.facts_of_stream(await reader.read_stream(through))
                assert_same(comparable(said, client, provider), expected)


@pytest.mark.parametrize(("client", "provider", "recording"), of_each("json"))
async def test_whole_answers(client: str, provider: str, recording: Recording) -> None:
    reader, origin = SPEAKERS[client], SPEAKERS[provider]
    async with gateway_to(provider, Play(recording)) as (upstream, gateway):
        async with origin.straight(upstream.url) as straight, reader.through(gateway) as through:
            expected, answer = await origin.read_whole(straight), await reader.read_whole(through)
            if provider == "openai-chat" and not (isinstance(expected, dict) and expected.get("choices")):
                assert isinstance(answer, tuple), "no answer upstream must be an error here"
                return
            assert_same(
                comparable(reader.facts_of_whole(answer), client, provider),
                comparable(origin.facts_of_whole(expected), client, provider),
            )


async def said(api: str, url: str, kind: str) -> Facts:
    """What an SDK reads there; `failed` where it raised."""
    stream = kind == "stream"
    if api == "gemini-generate":
        reading = await read_gemini(url, "m", "hi", stream)
        found = facts.of_gemini(reading.items)
        found.failed = reading.error is not None
        return found
    if api == "openai-chat":
        async with openai_client(url) as chat:
            if stream:
                return facts.of_openai_stream(await read_openai_stream(chat))
            answer = await read_openai(chat)
            return Facts(failed=True) if isinstance(answer, tuple) else facts.of_openai(answer)
    async with anthropic_client(url) as claude:
        if stream:
            return facts.of_anthropic_stream(await read_anthropic_stream(claude))
        answer = await read_anthropic(claude)
        return Facts(failed=True) if isinstance(answer, tuple) else facts.of_anthropic(answer)


def answers(api: str, kind: Kind) -> list[object]:
    """The recordings that hold an answer: of the others there is nothing to say in another API."""
    return [
        param
        for param in exchanges(api, kind)
        if (recording := param.values[0]) is None or _ANSWER[api] in recording.response.body  # type: ignore[attr-defined]
    ]


_ANSWER = {"gemini-generate": b'"candidates"', "openai-chat": b'"choices"', "anthropic-messages": b'"content"'}


@pytest.mark.parametrize("client", ["openai-chat", "anthropic-messages"])
@pytest.mark.parametrize("recording", [*answers("gemini-generate", "stream"), *answers("gemini-generate", "json")])
async def test_other_clients_read_gemini(recording: Recording, client: str) -> None:
    plays = [Play(recording), Play(recording, DELIVERIES["bytes-7" if recording.kind == "stream" else "whole"])]
    async with gateway_to("gemini-generate", plays) as (upstream, gateway):
        expected = unsigned(await said("gemini-generate", upstream.url, recording.kind))
        assert not expected.failed
        assert_same(unsigned(await said(client, gateway.url, recording.kind)), expected)


@pytest.mark.parametrize(
    "recording",
    [
        param
        for api in ("openai-chat", "anthropic-messages")
        for kind in ("stream", "json")
        for param in answers(api, kind)
    ],
)
async def test_a_gemini_client_reads_the_others(recording: Recording) -> None:
    plays = [Play(recording), Play(recording, DELIVERIES["bytes-7" if recording.kind == "stream" else "whole"])]
    async with gateway_to(recording.api, plays) as (upstream, gateway):
        expected = await said(recording.api, upstream.url, recording.kind)
        through = await said("gemini-generate", gateway.url, recording.kind)
        if recording.api == "openai-chat":
            expected, through = unsigned(expected), unsigned(through)
        # A call that was cut has no place in Gemini's wire.
        expected.tool_calls = [call for call in expected.tool_calls if not isinstance(call[1], str)]
        if expected.tool_calls and expected.finish == "stop":
            expected.finish = "tool_calls"  # Gemini has one word for both
        assert_same(through, expected)


@pytest.mark.parametrize("recording", exchanges("anthropic-messages", "stream"))
async def test_server_run_tools_never_reach_an_openai_client_as_calls(recording: Recording) -> None:
    blocks = [json.loads(line[6:]) for line in recording.response.body.split(b"\n") if line.startswith(b"data: {")]
    server_run = {
        event["content_block"]["id"]
        for event in blocks
        if event["type"] == "content_block_start"
        and event["content_block"]["type"] in ("server_tool_use", "mcp_tool_use")
    }
    async with gateway_to("anthropic-messages", Play(recording)) as (_, gateway):
        async with gateway.openai() as client:
            reading = await read_openai_stream(client)
    called = {
        call["id"]
        for chunk in reading
        if isinstance(chunk, dict)
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls") or []
        if call.get("id")
    }
    assert not called & server_run


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_a_thinking_signature_survives_the_way_to_an_openai_client_and_back(streamed: bool) -> None:
    kind = "stream" if streamed else "json"
    recording = load_recording(BUNDLED / "anthropic-messages" / kind / "reasoning.json")
    async with gateway_to("anthropic-messages", Play(recording)) as (upstream, gateway):
        async with anthropic_client(upstream.url) as straight:
            whole = (
                await straight.messages.create(model="m", max_tokens=9, messages=HI, stream=False)
                if not streamed
                else None
            )
            if streamed:
                async with straight.messages.stream(model="m", max_tokens=9, messages=HI) as stream:
                    whole = await stream.get_final_message()
        assert whole is not None
        thinking = next(block for block in whole.content if block.type == "thinking")
        async with gateway.openai() as client:
            if streamed:
                content, reasoning, details = "", "", []
                async for chunk in await client.chat.completions.create(model="m", messages=HI, stream=True):
                    for choice in chunk.choices:
                        extra = choice.delta.model_extra or {}
                        content += choice.delta.content or ""
                        reasoning += extra.get("reasoning_content") or ""
                        details += extra.get("reasoning_details") or []
                assistant = {"role": "assistant", "content": content, "reasoning_details": details}
            else:
                answer = await client.chat.completions.create(model="m", messages=HI)
                message = answer.choices[0].message
                reasoning = (message.model_extra or {})["reasoning_content"]
                assistant = message.model_dump(exclude_none=True)
            assert reasoning == thinking.thinking
            again = [*HI, assistant, {"role": "user", "content": "go on"}]
            await client.chat.completions.create(model="m", messages=again, max_tokens=5000, stream=streamed)
        sent = json.loads(upstream.requests[-1].body)
    assert sent["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": thinking.thinking,
        "signature": thinking.signature,
    }
