"""The Gemini and Vertex providers over real sockets: paths, credentials, streams, counts and the configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from conformance.replay import Answer, Play, ReplayServer
from conformance.replay.exchange import ReceivedRequest
from providers.builtin.gemini import GeminiProvider
from providers.builtin.vertex import VertexProvider
from providers.errors import ErrorKind, ProviderError
from providers.extension import check_config
from providers.http import WireProvider
from providers.model import LLMRequest, LLMResponse, Message, RawBody, RequestMetadata, TextPart
from tests.providers.wire.gemini_generate.support import event
from tests.support.collecting import collect
from tests.support.google import TokenServer, service_account

WHOLE = json.dumps(
    {"candidates": [{"content": {"parts": [{"text": "hello"}]}, "finishReason": "STOP"}], "responseId": "r"}
).encode()
CLAUDE = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
).encode()


def answer(body: bytes, content_type: str = "application/json", status: int = 200) -> Play:
    return Play(Answer(status=status, headers={"content-type": content_type}, body=body))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


def checked(cls: type[WireProvider], **config: Any) -> dict[str, Any] | str:
    """The configuration as the loader would hand it over, or what is wrong with it."""
    filled, problems = check_config(cls.metadata.configuration_schema, config)
    if problems:
        return problems[0].message
    verdict = cls().validate_config(filled)
    return filled if verdict is True else str(verdict)


async def provider(cls: type[WireProvider], url: str, **config: Any) -> WireProvider:
    filled = checked(cls, **{"baseUrl": url, "retryAttempts": 0, **config})
    assert isinstance(filled, dict), filled
    made = cls()
    await made.configure(filled)
    return made


def asked(api: str = "openai-chat", **fields: Any) -> LLMRequest:
    return LLMRequest(
        model="m",
        messages=[Message(role="user", content=[TextPart(text="hi")])],
        metadata=RequestMetadata(api=api),
        **fields,
    )


def relayed(api: str, body: dict[str, Any], **fields: Any) -> LLMRequest:
    return asked(api, raw=RawBody(api, json.dumps(body).encode()), **fields)


async def ask(
    cls: type[WireProvider], play: Play, config: dict[str, Any], request: LLMRequest, *, count: bool = False
) -> tuple[LLMResponse, ReceivedRequest]:
    """The answer, and the request as the service saw it."""
    async with ReplayServer(play) as server:
        made = await provider(cls, server.url, **config)
        try:
            response = await (made.count_tokens(request) if count else made.execute(request))
            return response, server.exchanges[-1].request
        finally:
            await made.aclose()


def text_of(response: LLMResponse) -> str:
    message = response.choices[0].message
    assert message is not None
    return message.text


KEY = {"apiKey": "AIza-key"}


async def test_gemini_whole() -> None:
    response, seen = await ask(GeminiProvider, answer(WHOLE), KEY, asked(max_tokens=5))
    assert text_of(response) == "hello"
    assert seen.target == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert seen.header(b"x-goog-api-key") == b"AIza-key"
    assert seen.header(b"authorization") is None
    assert json.loads(seen.body) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 5},
    }


async def test_gemini_streams() -> None:
    body = event({"text": "hel"}) + event({"text": "lo"}, finish="STOP")
    async with ReplayServer(answer(body, "text/event-stream")) as server:
        gemini = await provider(GeminiProvider, server.url, **KEY, model="tunedModels/x y", apiVersion="v1")
        collected = await collect(gemini, asked(stream=True))
        await gemini.aclose()
        assert server.exchanges[0].request.target == "/v1/tunedModels/x%20y:streamGenerateContent?alt=sse"
    assert collected.accumulator.response().choices[0].message.text == "hello"  # type: ignore[union-attr]
    assert collected.error is None


async def test_gemini_relays_its_own_clients_body_and_query() -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}], "future": 1}
    request = relayed("gemini-generate", body, stream=True)
    request.metadata.query = "fields=a"
    async with ReplayServer(answer(event(finish="STOP"), "text/event-stream")) as server:
        gemini = await provider(GeminiProvider, server.url, **KEY)
        await collect(gemini, request)
        await gemini.aclose()
        seen = server.exchanges[0].request
    assert seen.target.endswith(":streamGenerateContent?alt=sse&fields=a")
    assert request.raw is not None
    assert seen.body == request.raw.body


@pytest.mark.parametrize("own", [True, False], ids=["relayed", "encoded"])
async def test_gemini_counts_tokens(own: bool) -> None:
    contents = [{"role": "user", "parts": [{"text": "hi"}]}]
    request = relayed("gemini-generate", {"contents": contents}) if own else asked()
    counted, seen = await ask(GeminiProvider, answer(b'{"totalTokens": 7}'), KEY, request, count=True)
    assert counted.usage is not None
    assert counted.usage.prompt_tokens == 7
    assert seen.target == "/v1beta/models/gemini-2.5-flash:countTokens"
    assert json.loads(seen.body) == {
        "generateContentRequest": {"model": "models/gemini-2.5-flash", "contents": contents}
    }


async def test_a_wait_in_the_body_is_told() -> None:
    error = {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}
    error["details"] = [{"@type": "x", "retryDelay": "90s"}]  # type: ignore[assignment]
    with pytest.raises(ProviderError) as caught:
        await ask(GeminiProvider, answer(json.dumps({"error": error}).encode(), status=429), KEY, asked())
    assert (caught.value.kind, caught.value.retry_after) == (ErrorKind.RATE_LIMIT, 90.0)


# -- Vertex -----------------------------------------------------------------------------------------------------------


async def ask_vertex(
    play: Play, request: LLMRequest, *, count: bool = False, google: TokenServer | None = None, **config: Any
) -> tuple[LLMResponse, ReceivedRequest]:
    async with ReplayServer(google or TokenServer()) as tokens:
        config = {"credentials": service_account(tokens.url), "location": "europe-west4", **config}
        return await ask(VertexProvider, play, config, request, count=count)


async def test_vertex_by_a_service_account() -> None:
    response, seen = await ask_vertex(answer(WHOLE), asked())
    assert text_of(response) == "hello"
    assert seen.target == (
        "/v1beta1/projects/test-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent"
    )
    assert seen.header(b"authorization") == b"Bearer token-1"
    assert seen.header(b"x-goog-api-key") is None


async def test_vertex_by_a_key_file_for_a_tuned_model(tmp_path: Any) -> None:
    async with ReplayServer(TokenServer()) as tokens:
        (tmp_path / "key.json").write_text(json.dumps(service_account(tokens.url)))
        config = {"credentialsFile": str(tmp_path / "key.json"), "project": "p", "model": "endpoints/12"}
        _, seen = await ask(VertexProvider, answer(WHOLE), config, asked())
    assert seen.target == "/v1beta1/projects/p/locations/global/endpoints/12:generateContent"


async def test_vertex_by_an_api_key() -> None:
    _, seen = await ask(VertexProvider, answer(WHOLE), KEY, asked())
    assert seen.target == "/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent"
    assert seen.header(b"x-goog-api-key") == b"AIza-key"


async def test_vertex_counts_tokens() -> None:
    counted, seen = await ask_vertex(answer(b'{"totalTokens": 7}'), asked(), count=True)
    assert counted.usage is not None
    assert counted.usage.prompt_tokens == 7
    assert seen.target.endswith("/gemini-2.5-flash:countTokens")
    assert json.loads(seen.body) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


@pytest.mark.parametrize("own", [True, False], ids=["relayed", "encoded"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_claude_on_vertex(own: bool, stream: bool) -> None:
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    api = "anthropic-messages"
    request = relayed(api, body, stream=stream) if own else asked(max_tokens=5, stream=stream)
    request.metadata.headers = {"anthropic-beta": "b"} if own else {}
    model = "claude-sonnet-4@20250514"
    events = b"".join(
        b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **more}).encode())
        for kind, more in (
            ("message_start", {"message": {"id": "m", "content": []}}),
            ("message_delta", {"delta": {"stop_reason": "end_turn"}}),
            ("message_stop", {}),
        )
    )
    play = answer(events, "text/event-stream") if stream else answer(CLAUDE)
    async with ReplayServer(TokenServer()) as tokens, ReplayServer(play) as server:
        config = {"credentials": json.dumps(service_account(tokens.url)), "api": "anthropic", "model": model}
        vertex = await provider(VertexProvider, server.url, **config)
        assert vertex.api == api
        if stream:
            await collect(vertex, request)
        else:
            assert text_of(await vertex.execute(request)) == "hello"
        await vertex.aclose()
        seen = server.exchanges[0].request
    method = "streamRawPredict" if stream else "rawPredict"
    assert seen.target == (
        f"/v1beta1/projects/test-project/locations/global/publishers/anthropic/models/{model}:{method}"
    )
    sent = json.loads(seen.body)
    assert sent["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in sent
    assert sent.get("stream", False) is stream
    assert sent["max_tokens"] == 5
    assert seen.header(b"authorization") == b"Bearer token-1"
    assert seen.header(b"anthropic-beta") == (b"b" if own else None)


async def test_claude_on_vertex_counts_tokens() -> None:
    config = {"api": "anthropic", "model": "claude-x"}
    counted, seen = await ask_vertex(answer(b'{"input_tokens": 9}'), asked(), count=True, **config)
    assert counted.usage is not None
    assert counted.usage.prompt_tokens == 9
    assert seen.target.endswith("/publishers/anthropic/models/count-tokens:rawPredict")
    assert json.loads(seen.body)["model"] == "claude-x"


async def test_the_default_api_of_the_class_stays_as_it_is() -> None:
    vertex = await provider(VertexProvider, "http://x", **KEY, api="anthropic")
    await vertex.aclose()
    assert (VertexProvider.api, vertex.api) == ("gemini-generate", "anthropic-messages")


async def test_a_hundred_requests_take_one_token() -> None:
    google = TokenServer()
    async with ReplayServer(google) as tokens, ReplayServer(answer(WHOLE)) as server:
        vertex = await provider(VertexProvider, server.url, credentials=service_account(tokens.url))
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(vertex.execute, asked())
        await vertex.aclose()
        assert {exchange.request.header(b"authorization") for exchange in server.exchanges} == {b"Bearer token-1"}
        assert (server.received, google.asked) == (100, 1)


async def test_no_token_is_a_clear_error_and_nothing_is_sent() -> None:
    google = TokenServer()
    google.failure = (400, {"error": "invalid_grant", "error_description": "SECRET"})
    async with ReplayServer(google) as tokens, ReplayServer(answer(WHOLE)) as server:
        vertex = await provider(VertexProvider, server.url, credentials=service_account(tokens.url), retryAttempts=2)
        with pytest.raises(ProviderError) as caught:
            await vertex.execute(asked())
        await vertex.aclose()
        assert (server.received, google.asked) == (0, 1)
    assert (caught.value.status, caught.value.message) == (
        502,
        "the gateway has no Google credentials for this model",
    )


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ({}, "https://aiplatform.googleapis.com"),
        ({"location": "us-central1"}, "https://us-central1-aiplatform.googleapis.com"),
        ({"location": "eu"}, "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
async def test_the_locations_endpoint(location: dict[str, str], url: str) -> None:
    filled = checked(VertexProvider, **KEY, **location)
    assert isinstance(filled, dict)
    vertex = VertexProvider()
    await vertex.configure(filled)
    await vertex.aclose()
    assert vertex.settings.base_url == url


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"apiKey": "k", "credentialsFile": "f"}, "expected one of apiKey, credentials, credentialsFile"),
        ({"credentialsFile": "/does/not/exist"}, "credentialsFile: cannot be read (FileNotFoundError)"),
        ({"credentials": "{SECRET"}, "credentials: expected JSON"),
        ({"credentials": "[]"}, "credentials: expected a JSON object"),
        ({"credentials": {"type": "service_account", "private_key": "SECRET"}}, "credentials: they cannot be read"),
        ({"credentials": {"type": "external_account"}}, "expected credentials of type service_account"),
        ({}, "project: required, here or in GOOGLE_CLOUD_PROJECT"),
    ],
)
def test_what_is_wrong_with_a_configuration(config: dict[str, Any], what: str) -> None:
    verdict = checked(VertexProvider, **config)
    assert isinstance(verdict, str)
    assert what in verdict
    assert "SECRET" not in verdict


def test_the_environment_names_project_and_location(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    assert isinstance(checked(VertexProvider), dict)
