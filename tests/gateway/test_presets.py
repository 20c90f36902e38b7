"""Vendors by their type name: what goes upstream is in the vendor's dialect, and the answer is the client's own."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.gateway import HI, Running, serving

WHOLE = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")
STREAM = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")


def entry(kind: str, url: str, **config: Any) -> dict[str, Any]:
    return {
        "name": "m",
        "type": kind,
        "config": {"baseUrl": f"{url}/base", "apiKey": "sk-vendor", "retryAttempts": 0, **config},
    }


async def ask(gateway: Running, **parameters: Any) -> openai.types.chat.ChatCompletion:
    async with gateway.openai() as client:
        return await client.chat.completions.create(**{"model": "m", "messages": HI, **parameters})


async def test_a_preset_calls_its_vendor_in_its_dialect() -> None:
    async with ReplayServer(Play(WHOLE)) as upstream, serving([entry("zai", upstream.url)]) as gateway:
        messages = [{"role": "developer", "content": "Be brief."}, *HI]
        answer = await ask(gateway, messages=messages, max_completion_tokens=9)
        [request] = upstream.requests
    assert answer.choices[0].message.content
    assert request.target == "/base/chat/completions"
    assert request.header(b"authorization") == b"Bearer sk-vendor"
    assert json.loads(request.body) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, *HI],
        "max_tokens": 9,
    }


async def test_an_anthropic_client_thinks_in_the_vendors_words() -> None:
    async with ReplayServer(Play(STREAM)) as upstream, serving([entry("alibaba", upstream.url)]) as gateway:
        async with gateway.anthropic() as client:
            stream = await client.messages.create(
                model="m",
                max_tokens=4096,
                messages=HI,
                thinking={"type": "enabled", "budget_tokens": 2048},
                extra_body={"top_k": 5},
                stream=True,
            )
            assert [event.type async for event in stream][-1] == "message_stop"
        [request] = upstream.requests
    assert json.loads(request.body) == {
        "model": "m",
        "messages": HI,
        "max_tokens": 4096,
        "top_k": 5,
        "enable_thinking": True,
        "thinking_budget": 2048,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_what_the_vendor_would_refuse_is_refused_with_its_name() -> None:
    async with ReplayServer(Play(WHOLE)) as upstream, serving([entry("groq", upstream.url)]) as gateway:
        with pytest.raises(openai.BadRequestError) as refused:
            await ask(gateway, logit_bias={"1": 2})
        assert upstream.requests == []
    assert refused.value.param == "logit_bias"
    assert "groq" in refused.value.message


async def test_or_left_out_and_named() -> None:
    async with ReplayServer(Play(WHOLE)) as upstream:
        async with serving([entry("groq", upstream.url, dropUnsupported=True)]) as gateway:
            async with gateway.openai() as client:
                raw = await client.chat.completions.with_raw_response.create(
                    model="m", messages=HI, logit_bias={"1": 2}, n=1
                )
        [request] = upstream.requests
    assert raw.headers["x-triway-dropped"] == "logit_bias"
    assert json.loads(request.body) == {"model": "m", "messages": HI}


async def test_mistral_gets_nine_character_ids_from_an_anthropic_client() -> None:
    call = {"type": "tool_use", "id": "toolu_01A", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_01A", "content": "1"}
    messages: Any = [*HI, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    async with ReplayServer(Play(WHOLE)) as upstream, serving([entry("mistral", upstream.url)]) as gateway:
        async with gateway.anthropic() as client:
            answer = await client.messages.create(model="m", max_tokens=5, messages=messages)
        sent = json.loads(upstream.requests[0].body)
    assert isinstance(answer, anthropic.types.Message)
    [sent_id] = [made["id"] for made in sent["messages"][1]["tool_calls"]]
    assert sent["messages"][2]["tool_call_id"] == sent_id
    assert len(sent_id) == 9
    assert sent["max_tokens"] == 5


async def test_the_compatible_provider_is_openai_unless_told_otherwise() -> None:
    async with ReplayServer([Play(WHOLE), Play(WHOLE)]) as upstream:
        plain = entry("openai-compatible", upstream.url)
        told = entry("openai-compatible", upstream.url, quirks={"maxTokens": "max_tokens", "drops": ["user"]})
        async with serving([plain, {**told, "name": "told"}]) as gateway:
            await ask(gateway, max_completion_tokens=9, user="u")
            await ask(gateway, model="told", max_completion_tokens=9, user="u")
        first, second = (json.loads(request.body) for request in upstream.requests)
    assert first == {"model": "m", "messages": HI, "max_completion_tokens": 9, "user": "u"}
    assert second == {"model": "told", "messages": HI, "max_tokens": 9}


async def test_a_vendor_that_counts_tokens_counts_them_for_an_anthropic_client() -> None:
    counted = Answer(headers={"content-type": "application/json"}, body=b'{"data": {"total_tokens": 80}}')
    async with ReplayServer(Play(counted)) as upstream, serving([entry("moonshot", upstream.url)]) as gateway:
        async with gateway.anthropic() as client:
            found = await client.messages.count_tokens(model="m", system="Be brief.", messages=HI)
        [request] = upstream.requests
    assert found.input_tokens == 80
    assert request.target == "/base/tokenizers/estimate-token-count"
    assert json.loads(request.body) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, *HI],
    }


async def test_and_one_that_does_not_says_so() -> None:
    async with ReplayServer(Play(WHOLE)) as upstream, serving([entry("groq", upstream.url)]) as gateway:
        async with gateway.anthropic() as client:
            with pytest.raises(anthropic.NotFoundError, match="cannot count tokens"):
                await client.messages.count_tokens(model="m", messages=HI)
        assert upstream.requests == []


RESPONSE = load_recording(BUNDLED / "openai-responses" / "json" / "text.json")


async def test_a_vendor_may_be_asked_through_responses() -> None:
    async with ReplayServer([Play(RESPONSE), Play(RESPONSE)]) as upstream:
        async with serving([entry("groq", upstream.url, api="responses")]) as gateway, gateway.openai() as client:
            relayed = await client.responses.create(model="m", input="hi", store=False)
            translated = await client.chat.completions.create(model="m", messages=HI, logit_bias={})
        first, second = upstream.requests
    assert relayed.output_text == translated.choices[0].message.content
    assert {first.target, second.target} == {"/base/responses"}
    assert json.loads(first.body) == {"model": "m", "input": "hi", "store": False}


async def test_openai_counts_the_tokens_of_a_conversation() -> None:
    counted = Answer(
        headers={"content-type": "application/json"}, body=b'{"object": "response.input_tokens", "input_tokens": 11}'
    )
    async with ReplayServer(Play(counted)) as upstream, serving([entry("openai", upstream.url)]) as gateway:
        async with gateway.anthropic() as client:
            tool: Any = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
            found = await client.messages.count_tokens(model="m", system="Be brief.", messages=HI, tools=[tool])
        [request] = upstream.requests
    sent = json.loads(request.body)
    assert found.input_tokens == 11
    assert request.target == "/base/responses/input_tokens"
    assert set(sent) <= {"model", "input", "instructions", "tools"}
    assert [tool["name"] for tool in sent["tools"]] == ["f"]
