"""Different APIs on the two sides: the answer says the same in the client's own words."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

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
from tests.support.recordings import recordings

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
        for param in recordings(api, kind):
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


@pytest.mark.parametrize("recording", recordings("anthropic-messages", "stream"))
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
