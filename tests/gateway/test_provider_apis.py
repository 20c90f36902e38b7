"""APIs that only providers speak: the SDKs of OpenAI and Anthropic read through the gateway what the provider's own SDK
reads straight from it."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest

from conformance.oracles import oracle_of
from conformance.replay import DELIVERIES, Answer, Play
from providers.replay.recording import BUNDLED, Kind, Recording, load_recording
from tests.gateway.test_cross_api import assert_same
from tests.support import facts
from tests.support.facts import Facts
from tests.support.gateway import gateway_to
from tests.support.reading import read_anthropic, read_anthropic_stream, read_openai, read_openai_stream
from tests.support.recordings import recordings

APIS = ["bedrock-converse", "cohere-chat", "ollama-chat"]


def of_kind(kind: Kind) -> list[object]:
    return [recording for api in APIS for recording in recordings(api, kind)]


async def straight_facts(api: str, url: str, *, stream: bool) -> Facts:
    """What the provider's own SDK reads."""
    read = oracle_of(api)
    assert read is not None
    reading = await read(url, "m", "hi", stream)
    assert reading.error is None, reading.error
    told = reading.facts
    return Facts(
        text=told.text,
        reasoning=told.reasoning,
        signatures=told.signatures,
        redacted=told.redacted,
        tool_calls=told.tool_calls,
        finish=told.finish,
        prompt_tokens=told.usage.input,
        completion_tokens=told.usage.output,
    )


@pytest.mark.parametrize("recording", of_kind("stream"))
async def test_streams(recording: Recording) -> None:
    cut = Play(recording, DELIVERIES["bytes-7"])
    async with gateway_to(recording.api, [Play(recording), cut, Play(recording), cut]) as (upstream, gateway):
        expected = await straight_facts(recording.api, upstream.url, stream=True)
        async with gateway.openai() as chat, gateway.anthropic() as messages:
            assert_same(facts.of_openai_stream(await read_openai_stream(chat)), expected)
            said = facts.of_anthropic_stream(await read_anthropic_stream(messages))
            # A call that was cut is no JSON, which Anthropic's whole messages have no place for; its streams do.
            assert_same(said, expected)
            assert_same(facts.of_openai_stream(await read_openai_stream(chat)), expected)


@pytest.mark.parametrize("recording", of_kind("json"))
async def test_whole_answers(recording: Recording) -> None:
    async with gateway_to(recording.api, Play(recording)) as (upstream, gateway):
        expected = await straight_facts(recording.api, upstream.url, stream=False)
        async with gateway.openai() as chat, gateway.anthropic() as messages:
            assert_same(facts.of_openai(await read_openai(chat)), expected)
            assert_same(facts.of_anthropic(await read_anthropic(messages)), expected)


@pytest.mark.parametrize("recording", of_kind("error"))
async def test_errors_have_the_clients_own_class_and_the_providers_words(recording: Recording) -> None:
    status = recording.response.status
    body = json.loads(recording.response.body)
    told = body.get("message") or body["error"]
    async with gateway_to(recording.api, Play(recording)) as (_, gateway):
        async with gateway.openai() as chat, gateway.anthropic() as messages:
            for sdk, answer in ((openai, await read_openai(chat)), (anthropic, await read_anthropic(messages))):
                assert isinstance(answer, tuple)
                raised: Any = getattr(sdk, answer[0])
                assert issubclass(raised, {400: sdk.BadRequestError, 429: sdk.RateLimitError}.get(status, sdk.APIError))
                assert told in answer[1]


async def test_signatures_come_back_to_the_provider_that_made_them() -> None:
    recording = load_recording(BUNDLED / "bedrock-converse" / "json" / "reasoning.json")
    async with gateway_to(recording.api, Play(recording)) as (upstream, gateway):
        async with gateway.anthropic() as client:
            first = await client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
            turns: Any = [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [block.model_dump() for block in first.content]},
                {"role": "user", "content": "go on"},
            ]
            await client.messages.create(model="m", max_tokens=9, messages=turns)
        sent = json.loads(upstream.exchanges[-1].request.body)
    given = json.loads(recording.response.body)["output"]["message"]["content"]
    assert sent["messages"][1]["content"] == given


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("cohere-chat", b'{"embeddings":{"float":[[0.5,1.0]]},"meta":{"billed_units":{"input_tokens":3}}}'),
        ("ollama-chat", b'{"model":"n","embeddings":[[0.5,1.0]],"prompt_eval_count":3}'),
    ],
)
async def test_embeddings(api: str, body: bytes) -> None:
    answer = Answer(headers={"content-type": "application/json"}, body=body, api=api)
    async with gateway_to(api, Play(answer)) as (_, gateway), gateway.openai() as client:
        found = await client.embeddings.create(model="m", input="hi", encoding_format="float")
    assert (found.data[0].embedding, found.usage.prompt_tokens) == ([0.5, 1.0], 3)
