"""What goes upstream beside the body, and what comes back beside the answer: ids, credentials, versions, limits."""

from __future__ import annotations

import json
import re
from typing import Any

import anthropic
import pytest

from conformance.replay import Answer, Play
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.client import PATHS, RawClient, body_for
from tests.support.gateway import HI, gateway_to

APIS = ["openai-chat", "anthropic-messages"]
WHOLE = {api: load_recording(BUNDLED / api / "json" / "text.json") for api in APIS}
TEXT = {api: load_recording(BUNDLED / api / "stream" / "text.json") for api in APIS}
ID_HEADER = {"openai-chat": "x-request-id", "anthropic-messages": "request-id"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
async def test_a_fit_request_id_is_taken_returned_and_sent_upstream(api: str, stream: bool) -> None:
    play = Play(TEXT[api] if stream else WHOLE[api])
    async with gateway_to(api, play) as (upstream, gateway), gateway.http() as http:
        answer = await http.post(PATHS[api], json=body_for(api, stream=stream), headers={"x-request-id": "my/id=1"})
        sent = upstream.requests[0].header(b"x-request-id")
    assert answer.headers["x-request-id"] == "my/id=1"
    assert answer.headers[ID_HEADER[api]] == "my/id=1"
    assert sent == b"my/id=1"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "a;b", "<script>", "\u00e9"])
@pytest.mark.parametrize("api", APIS)
async def test_a_missing_or_unfit_request_id_is_replaced(api: str, given: str | None) -> None:
    async with gateway_to(api, Play(WHOLE[api])) as (upstream, gateway), gateway.http() as http:
        headers = {} if given is None else {b"x-request-id": given.encode("latin-1")}
        answer = await http.post(PATHS[api], json=body_for(api, stream=False), headers=headers)
        sent = upstream.requests[0].header(b"x-request-id")
    made = answer.headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", made)
    assert sent == made.encode()


@pytest.mark.parametrize("api", APIS)
async def test_errors_carry_the_request_id_too(api: str) -> None:
    async with gateway_to(api, Play(WHOLE[api])) as (_, gateway), gateway.http() as http:
        for path in (PATHS[api], "/v1/nothing", "/v1/models/none"):
            answer = await http.post(path, content=b"{", headers={"x-request-id": "abc"})
            assert answer.is_client_error
            assert answer.headers["x-request-id"] == "abc"
    async with gateway_to(api, Play(WHOLE[api])) as (_, gateway), gateway.anthropic() as client:
        with pytest.raises(anthropic.NotFoundError) as error:
            await client.messages.create(model="none", max_tokens=1, messages=HI)
    assert error.value.request_id == error.value.response.headers["x-request-id"]
    assert error.value.body["request_id"] == error.value.request_id  # type: ignore[index]


async def test_the_request_id_header_can_have_another_name() -> None:
    server = {"requestIdHeader": "X-Correlation-ID"}
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"]), server=server) as (_, gateway):
        async with gateway.http() as http:
            body = body_for("openai-chat", stream=False)
            answer = await http.post(PATHS["openai-chat"], json=body, headers={"x-correlation-id": "abc"})
            health = await http.get("/health", headers={"x-correlation-id": "abc"})
    assert answer.headers["x-correlation-id"] == health.headers["x-correlation-id"] == "abc"


@pytest.mark.parametrize("provider_api", APIS)
@pytest.mark.parametrize("client_api", APIS)
async def test_the_gateway_s_credentials_go_upstream_and_the_client_s_never_do(
    client_api: str, provider_api: str
) -> None:
    client_headers = {
        "authorization": "Bearer sk-client",
        "x-api-key": "sk-client",
        "api-key": "sk-client",
        "proxy-authorization": "Basic sk-client",
        "cookie": "session=sk-client",
        "openai-organization": "org-client",
    }
    async with gateway_to(provider_api, Play(WHOLE[provider_api])) as (upstream, gateway), gateway.http() as http:
        body = body_for(client_api, stream=False)
        assert (await http.post(PATHS[client_api], json=body, headers=client_headers)).status_code == 200
        sent = upstream.requests[0]
    assert not any(b"client" in value for _, value in sent.headers)
    expected = {"openai-chat": [b"Bearer sk-upstream", None], "anthropic-messages": [None, b"sk-upstream"]}
    assert [sent.header(b"authorization"), sent.header(b"x-api-key")] == expected[provider_api]
    names = [name for name, _ in sent.headers]
    assert len(names) == len(set(names)), "no header twice"


@pytest.mark.parametrize("api", APIS)
async def test_custom_headers_are_added_and_win(api: str) -> None:
    custom = {"X-Team": "blue", "User-Agent": "acme", "Authorization": "Custom key", "anthropic-beta": "ours"}
    async with gateway_to(api, Play(WHOLE[api]), config={"customHeaders": custom}) as (upstream, gateway):
        async with gateway.http() as http:
            await http.post(PATHS[api], json=body_for(api, stream=False), headers={"anthropic-beta": "theirs"})
        sent = upstream.requests[0]
    assert sent.header(b"x-team") == b"blue"
    assert sent.header(b"user-agent") == b"acme"
    assert [value for name, value in sent.headers if name == b"authorization"] == [b"Custom key"]
    assert [value for name, value in sent.headers if name == b"anthropic-beta"] == [b"ours"]


async def test_anthropic_s_version_and_beta_headers_go_on_to_anthropic() -> None:
    async with gateway_to("anthropic-messages", Play(WHOLE["anthropic-messages"])) as (upstream, gateway):
        async with gateway.anthropic(default_headers={"anthropic-version": "2099-01-01"}) as client:
            await client.beta.messages.create(
                model="m", max_tokens=1, messages=HI, betas=["one-1", "two-2"], extra_query={"x": "1"}
            )
        sent = upstream.requests[0]
    assert sent.header(b"anthropic-version") == b"2099-01-01"
    assert sent.header(b"anthropic-beta") == b"one-1,two-2"
    assert sent.target.startswith("/v1/messages?")
    assert "x=1" in sent.target


async def test_an_openai_client_s_request_gets_the_configured_anthropic_version() -> None:
    config = {"anthropicVersion": "2024-02-02"}
    async with gateway_to("anthropic-messages", Play(WHOLE["anthropic-messages"]), config=config) as (
        upstream,
        gateway,
    ):
        async with gateway.openai(default_query={"x": "1"}, default_headers={"openai-beta": "b"}) as client:
            await client.chat.completions.create(model="m", messages=HI)
        sent = upstream.requests[0]
    assert sent.header(b"anthropic-version") == b"2024-02-02"
    assert sent.header(b"openai-beta") is None
    assert sent.target == "/v1/messages", "the query belongs to the client's API"


async def test_the_query_goes_on_to_a_provider_of_the_same_api() -> None:
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (upstream, gateway), gateway.http() as http:
        body = body_for("openai-chat", stream=False)
        await http.post("/v1/chat/completions?api-version=1&x=%0d%0aevil:%201", json=body)
        sent = upstream.requests[0]
    assert sent.target == "/v1/chat/completions?api-version=1&x=%0d%0aevil:%201"
    assert sent.header(b"evil") is None


LIMIT_HEADERS = {
    "openai-chat": {"x-ratelimit-remaining-requests": "59", "openai-processing-ms": "12"},
    "anthropic-messages": {"anthropic-ratelimit-tokens-remaining": "1000"},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
async def test_rate_limit_headers_are_relayed_and_others_are_not(api: str, stream: bool) -> None:
    recorded = (TEXT if stream else WHOLE)[api].response
    private = {"set-cookie": "a=b", "server": "upstream", "x-internal": "1", "openai-organization": "ours"}
    answer = Answer(headers={**recorded.headers, **LIMIT_HEADERS[api], **private}, body=recorded.body, api=api)
    async with gateway_to(api, Play(answer)) as (_, gateway), gateway.http() as http:
        got = await http.post(PATHS[api], json=body_for(api, stream=stream))
    assert got.status_code == 200
    assert {name: got.headers[name] for name in LIMIT_HEADERS[api]} == LIMIT_HEADERS[api]
    assert not set(private) & set(got.headers) - {"server"}
    assert got.headers.get("server") != "upstream"
    assert got.headers["x-triway-model"] == "m"
    assert "x-triway-dropped" not in got.headers


@pytest.mark.parametrize("api", APIS)
async def test_rate_limit_headers_come_with_errors_too(api: str) -> None:
    headers = {"content-type": "application/json", "retry-after": "7", "x-should-retry": "false", **LIMIT_HEADERS[api]}
    refusal = Answer(status=429, headers=headers, body=b'{"error":{"message":"slow down"}}', api=api)
    async with gateway_to(api, Play(refusal)) as (_, gateway), gateway.http() as http:
        got = await http.post(PATHS[api], json=body_for(api))
    assert got.status_code == 429
    assert got.headers["retry-after"] == "7"
    assert got.headers["x-should-retry"] == "false"
    assert {name: got.headers[name] for name in LIMIT_HEADERS[api]} == LIMIT_HEADERS[api]
    assert got.headers["x-triway-model"] == "m"


async def test_a_model_name_outside_latin_1_does_not_break_the_answer() -> None:
    name = "modèle-東京"
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"]), name=name) as (_, gateway):
        async with gateway.openai() as client:
            answer = await client.chat.completions.create(model=name, messages=HI)
            card = await client.models.retrieve(name)
    assert answer.choices[0].message.content
    assert card.id == name


@pytest.mark.parametrize("asked", [None, False, True])
async def test_usage_is_always_asked_for_and_shown_only_to_who_asked(asked: bool | None) -> None:
    options: dict[str, Any] = {} if asked is None else {"stream_options": {"include_usage": asked, "other": 1}}
    async with gateway_to("openai-chat", Play(TEXT["openai-chat"])) as (upstream, gateway), gateway.openai() as client:
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True, **options)
        usages = [chunk.usage async for chunk in stream if not chunk.choices]
        sent = json.loads(upstream.requests[0].body)
    assert sent["stream_options"]["include_usage"] is True
    assert asked is None or sent["stream_options"]["other"] == 1
    assert len(usages) == (1 if asked else 0)


@pytest.mark.parametrize("asked", [False, True])
async def test_usage_of_another_api_is_shown_only_to_who_asked(asked: bool) -> None:
    play = Play(TEXT["anthropic-messages"])
    async with gateway_to("anthropic-messages", play) as (_, gateway), gateway.openai() as client:
        stream = await client.chat.completions.create(
            model="m", messages=HI, stream=True, stream_options={"include_usage": asked}
        )
        usages = [chunk.usage async for chunk in stream if chunk.usage is not None]
    assert len(usages) == (1 if asked else 0)


COUNTED = Answer(headers={"content-type": "application/json"}, body=b'{"input_tokens":42}', api="anthropic-messages")


async def test_tokens_are_counted_by_a_provider_that_can() -> None:
    async with gateway_to("anthropic-messages", Play(COUNTED), config={"model": "claude-x"}) as (upstream, gateway):
        async with gateway.anthropic() as client:
            counted = await client.messages.count_tokens(model="m", messages=HI)
        sent = upstream.requests[0]
    assert counted.input_tokens == 42
    assert sent.target == "/v1/messages/count_tokens"
    assert sent.header(b"x-api-key") == b"sk-upstream"
    assert json.loads(sent.body) == {"model": "claude-x", "messages": HI}


async def test_a_header_with_a_line_end_is_refused() -> None:
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask(headers={"connection": "close", "openai-beta": "a\nx-evil: 1"}, stream=False)
            answer = await client.read_to_end()
        assert not answer.startswith(b"HTTP/1.1 200") or upstream.requests[0].header(b"x-evil") is None
