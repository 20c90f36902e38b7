"""The Ollama and Cohere providers over real sockets: paths, credentials, and what the configuration adds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.replay import Answer, Play, ReplayServer
from providers.extension import check_config
from providers.http import WireProvider
from providers.model import EventKind, LLMRequest, Message, TextPart
from providers.registry import provider_registry
from providers.replay.recording import BUNDLED, load_recording
from tests.providers.wire.reading import message_of
from tests.support.collecting import collect

JSON = {"content-type": "application/json"}


async def provider(name: str, url: str, **config: Any) -> WireProvider:
    cls = provider_registry().get(name)
    filled, problems = check_config(cls.metadata.configuration_schema, {"baseUrl": url, "retryAttempts": 0, **config})
    assert not problems
    made = cls()
    assert isinstance(made, WireProvider)
    assert made.validate_config(filled) is True
    await made.configure(filled)
    return made


def request(**fields: Any) -> LLMRequest:
    return LLMRequest(model="asked", messages=[Message(role="user", content=[TextPart(text="hi")])], **fields)


async def sent_by(name: str, answer: bytes, config: dict[str, Any], **fields: Any) -> Any:
    async with ReplayServer(Play(Answer(headers=JSON, body=answer))) as server:
        one = await provider(name, server.url, **config)
        try:
            assert message_of(await one.execute(request(**fields)))[0].text == "hello"
        finally:
            await one.aclose()
        return server.exchanges[0].request


OLLAMA = b'{"model":"q","message":{"role":"assistant","content":"hello"},"done":true,"done_reason":"stop"}'
COHERE = b'{"id":"i","message":{"content":[{"type":"text","text":"hello"}]},"finish_reason":"COMPLETE"}'


async def test_ollama_needs_no_key_and_takes_the_clients_model() -> None:
    seen = await sent_by("ollama", OLLAMA, {})
    assert (seen.target, seen.header(b"authorization")) == ("/api/chat", None)
    assert json.loads(seen.body) == {
        "model": "asked",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
    }


async def test_ollamas_options_of_the_configuration_are_under_the_clients() -> None:
    config = {"model": "qwen3", "keepAlive": "10m", "options": {"num_ctx": 8192, "seed": 1}}
    body = json.loads((await sent_by("ollama", OLLAMA, config, seed=7, max_tokens=5)).body)
    assert body["options"] == {"num_ctx": 8192, "seed": 7, "num_predict": 5}
    assert (body["model"], body["keep_alive"]) == ("qwen3", "10m")
    body = json.loads((await sent_by("ollama", OLLAMA, {"options": {"num_ctx": 8192}})).body)
    assert body["options"] == {"num_ctx": 8192}


async def test_cohere_wants_a_bearer_key() -> None:
    seen = await sent_by("cohere", COHERE, {"apiKey": "co-key", "model": "command-x"})
    assert (seen.target, seen.header(b"authorization")) == ("/v2/chat", b"Bearer co-key")
    assert json.loads(seen.body)["model"] == "command-x"


@pytest.mark.parametrize(("name", "api"), [("ollama", "ollama-chat"), ("cohere", "cohere-chat")])
async def test_a_stream(name: str, api: str) -> None:
    recording = load_recording(BUNDLED / api / "stream" / "tools.json")
    async with ReplayServer(Play(recording)) as server:
        one = await provider(name, server.url, apiKey="k")
        try:
            collected = await collect(one, request(stream=True))
        finally:
            await one.aclose()
        assert json.loads(server.exchanges[0].request.body)["stream"] is True
    assert collected.chunks[-1].kind is EventKind.DONE
    assert collected.accumulator.response().choices[0].finish_reason == "tool_calls"
    assert collected.finals == 1


async def test_a_stream_that_was_not_asked_for_lines_is_read_whole() -> None:
    """A server that ignores `stream` answers with one document."""
    async with ReplayServer(Play(Answer(headers=JSON, body=OLLAMA))) as server:
        one = await provider("ollama", server.url)
        try:
            collected = await collect(one, request(stream=True))
        finally:
            await one.aclose()
    assert message_of(collected.accumulator.response())[0].text == "hello"
