"""Different APIs on the two sides: the answer says the same in the client's own words."""

from __future__ import annotations

import json

import msgspec
import pytest

from conformance.replay import DELIVERIES, Play
from providers.replay.provider import BUNDLED
from providers.replay.recording import Recording, load_recording
from tests.support import facts
from tests.support.facts import Facts
from tests.support.gateway import HI, anthropic_client, gateway_to, openai_client
from tests.support.reading import read_anthropic, read_anthropic_stream, read_openai, read_openai_stream
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


@pytest.mark.parametrize("recording", recordings("anthropic-messages", "stream"))
async def test_an_openai_client_reads_anthropic_streams(recording: Recording) -> None:
    plays = [Play(recording), *(Play(recording, DELIVERIES[name]) for name in STREAM_DELIVERIES)]
    async with gateway_to("anthropic-messages", plays) as (upstream, gateway):
        async with anthropic_client(upstream.url) as straight, gateway.openai() as through:
            expected = facts.of_anthropic_stream(await read_anthropic_stream(straight))
            for _ in STREAM_DELIVERIES:
                assert_same(facts.of_openai_stream(await read_openai_stream(through)), expected)


@pytest.mark.parametrize("recording", recordings("openai-chat", "stream"))
async def test_an_anthropic_client_reads_openai_streams(recording: Recording) -> None:
    plays = [Play(recording), *(Play(recording, DELIVERIES[name]) for name in STREAM_DELIVERIES)]
    async with gateway_to("openai-chat", plays) as (upstream, gateway):
        async with openai_client(upstream.url) as straight, gateway.anthropic() as through:
            expected = unsigned(facts.of_openai_stream(await read_openai_stream(straight)))
            for _ in STREAM_DELIVERIES:
                assert_same(unsigned(facts.of_anthropic_stream(await read_anthropic_stream(through))), expected)


@pytest.mark.parametrize("recording", recordings("anthropic-messages", "json"))
async def test_an_openai_client_reads_anthropic_messages(recording: Recording) -> None:
    async with gateway_to("anthropic-messages", Play(recording)) as (upstream, gateway):
        async with anthropic_client(upstream.url) as straight, gateway.openai() as through:
            assert_same(facts.of_openai(await read_openai(through)), facts.of_anthropic(await read_anthropic(straight)))


@pytest.mark.parametrize("recording", recordings("openai-chat", "json"))
async def test_an_anthropic_client_reads_openai_completions(recording: Recording) -> None:
    async with gateway_to("openai-chat", Play(recording)) as (upstream, gateway):
        async with openai_client(upstream.url) as straight, gateway.anthropic() as through:
            expected = await read_openai(straight)
            answer = await read_anthropic(through)
            if isinstance(expected, dict) and expected.get("choices"):
                assert_same(unsigned(facts.of_anthropic(answer)), unsigned(facts.of_openai(expected)))
            else:
                assert isinstance(answer, tuple), "no answer upstream must be an error here"


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
