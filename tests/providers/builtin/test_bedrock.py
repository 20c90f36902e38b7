"""The Bedrock provider over real sockets: paths, credentials, streams, errors and the configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.replay import Answer, Play, ReplayServer
from providers.builtin.bedrock import BedrockProvider
from providers.errors import ErrorKind, ProviderError, UnsupportedParameterError
from providers.extension import check_config
from providers.model import EventKind, LLMRequest, LLMResponse, Message, RequestMetadata, TextPart
from providers.provider import RelayRequest
from tests.providers.wire.bedrock_converse.support import START, STREAM, end, text
from tests.providers.wire.reading import accumulate, message_of
from tests.support.amazon import exception
from tests.support.collecting import Collected, collect

KEYS = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "wJalrXUtnFEMI", "region": "eu-west-3"}
WHOLE = json.dumps(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    }
).encode()
ANSWER = Answer(headers={"content-type": "application/json"}, body=WHOLE, api="bedrock-converse")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def checked(**config: Any) -> dict[str, Any] | str:
    """The configuration as the loader would hand it over, or what is wrong with it."""
    filled, problems = check_config(BedrockProvider.metadata.configuration_schema, config)
    if problems:
        return problems[0].message
    verdict = BedrockProvider().validate_config(filled)
    return filled if verdict is True else str(verdict)


async def provider(url: str, **config: Any) -> BedrockProvider:
    filled = checked(baseUrl=url, retryAttempts=0, **config)
    assert isinstance(filled, dict), filled
    made = BedrockProvider()
    await made.configure(filled)
    return made


def request(**fields: Any) -> LLMRequest:
    return LLMRequest(model="m", messages=[Message(role="user", content=[TextPart(text="hi")])], **fields)


async def ask(play: Play, config: dict[str, Any], **fields: Any) -> tuple[LLMResponse, Any]:
    """The answer, and the request as the server saw it."""
    async with ReplayServer(play) as server:
        bedrock = await provider(server.url, **config)
        try:
            return await bedrock.execute(request(**fields)), server.exchanges[0].request
        finally:
            await bedrock.aclose()


async def test_a_whole_answer_by_signed_request() -> None:
    response, seen = await ask(Play(ANSWER), {**KEYS, "sessionToken": "token+/"}, max_tokens=5)
    assert message_of(response)[0].text == "hello"
    assert seen.target == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    headers = dict(seen.headers)
    credential, signed, signature = headers[b"authorization"].decode().split(", ")
    assert credential.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert credential.endswith("/eu-west-3/bedrock/aws4_request")
    assert signed == "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"
    assert signature.startswith("Signature=")
    assert headers[b"x-amz-security-token"] == b"token+/"
    assert json.loads(seen.body) == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 5},
    }


@pytest.mark.parametrize("where", ["config", "environment"])
async def test_a_bearer_key_needs_no_signature(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"region": "eu-west-3"}
    if where == "config":
        config["apiKey"] = "bedrock-key"
    else:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key")
    _, seen = await ask(Play(ANSWER), config)
    assert dict(seen.headers)[b"authorization"] == b"Bearer bedrock-key"
    assert b"x-amz-date" not in dict(seen.headers)


async def test_keys_in_the_configuration_go_before_a_bearer_key_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key")
    _, seen = await ask(Play(ANSWER), KEYS)
    assert dict(seen.headers)[b"authorization"].startswith(b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")


async def test_a_profile_has_keys_and_region(tmp_path: Any) -> None:
    (tmp_path / "config").write_text("[profile work]\nregion = ap-south-1\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = s\n")
    _, seen = await ask(Play(ANSWER), {"profile": "work"})
    assert b"Credential=AKIDWORK/" in dict(seen.headers)[b"authorization"]
    assert b"/ap-south-1/bedrock/" in dict(seen.headers)[b"authorization"]


async def test_no_credentials_anywhere_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProviderError, match="the gateway has no AWS credentials") as caught:
        await ask(Play(ANSWER), {"region": "eu-west-3"})
    assert caught.value.kind is ErrorKind.AUTHENTICATION


async def stream(body: bytes, **fields: Any) -> tuple[Collected, Any]:
    play = Play(Answer(headers={"content-type": STREAM}, body=body, api="bedrock-converse"))
    async with ReplayServer(play) as server:
        bedrock = await provider(server.url, **KEYS)
        try:
            collected = await collect(bedrock, request(stream=True, **fields))
            return collected, server.exchanges[0].request
        finally:
            await bedrock.aclose()


async def test_a_stream() -> None:
    collected, seen = await stream(START + text(0, "hel", "lo") + end())
    assert seen.target.endswith("/converse-stream")
    assert message_of(collected.accumulator.response())[0].text == "hello"
    assert collected.accumulator.usage is not None
    assert collected.accumulator.usage.total_tokens == 8
    assert collected.chunks[-1].kind is EventKind.DONE
    assert collected.finals == 1
    assert message_of(accumulate(collected.chunks)) == message_of(collected.accumulator.response())


async def test_an_exception_before_anything_else_is_an_error_with_a_status() -> None:
    with pytest.raises(ProviderError) as caught:
        await stream(exception("throttlingException", "slow down"))
    assert (caught.value.status, caught.value.kind, caught.value.message) == (429, ErrorKind.RATE_LIMIT, "slow down")


async def test_an_exception_in_mid_stream_ends_it() -> None:
    collected, _ = await stream(START + text(0, "hel") + exception("modelStreamErrorException", "it broke"))
    assert collected.error is not None
    assert (collected.error.message, collected.finals) == ("it broke", 0)


async def test_an_errors_type_is_in_a_header() -> None:
    headers = {"content-type": "application/json", "x-amzn-errortype": "ModelNotReadyException:http://x/"}
    play = Play(Answer(status=429, headers=headers, body=b'{"message":"warming up"}', api="bedrock-converse"))
    with pytest.raises(ProviderError) as caught:
        await ask(play, KEYS)
    assert (caught.value.type, caught.value.kind) == ("ModelNotReadyException", ErrorKind.RATE_LIMIT)
    assert caught.value.message == "warming up"


async def test_tokens_are_counted() -> None:
    count = Answer(headers={"content-type": "application/json"}, body=b'{"inputTokens":7}', api="bedrock-converse")
    async with ReplayServer(Play(count)) as server:
        bedrock = await provider(server.url, model="anthropic.claude-x", **KEYS)
        try:
            counted = await bedrock.count_tokens(request(max_tokens=3))
        finally:
            await bedrock.aclose()
        seen = server.exchanges[0].request
    assert counted.usage is not None
    assert counted.usage.prompt_tokens == 7
    assert seen is not None
    assert seen.target == "/model/anthropic.claude-x/count-tokens"
    assert json.loads(seen.body) == {
        "input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}}
    }


async def test_what_the_configuration_adds_to_every_body() -> None:
    arn = "arn:aws:bedrock:eu-west-3:1:application-inference-profile/abc"
    config = {
        **KEYS,
        "model": arn,
        "baseModel": "anthropic.claude-sonnet-4-5",
        "additionalModelRequestFields": {"anthropic_beta": ["x"], "top_k": 1},
        "guardrail": {"guardrailIdentifier": "g", "guardrailVersion": "DRAFT", "trace": "enabled"},
    }
    _, seen = await ask(Play(ANSWER), config, top_k=40)
    body = json.loads(seen.body)
    assert body["additionalModelRequestFields"] == {"anthropic_beta": ["x"], "top_k": 40}
    asked = RequestMetadata(api="anthropic-messages", headers={"anthropic-beta": "context-1m-2025-08-07,x"})
    _, seen = await ask(Play(ANSWER), config, metadata=asked)
    fields = json.loads(seen.body)["additionalModelRequestFields"]
    assert fields == {"anthropic_beta": ["x", "context-1m-2025-08-07"], "top_k": 1}
    assert body["guardrailConfig"] == config["guardrail"]
    assert "application-inference-profile%2Fabc/converse" in seen.target
    with pytest.raises(UnsupportedParameterError, match="this model has none"):
        await ask(Play(ANSWER), {**KEYS, "model": arn}, top_k=40)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "region: required, here or in AWS_REGION or AWS_DEFAULT_REGION or in the AWS profile"),
        ({"region": "eu-west-3", "accessKeyId": "A"}, "accessKeyId: expected accessKeyId and secretAccessKey together"),
        (
            {"region": "eu-west-3", "sessionToken": "A"},
            "sessionToken: expected accessKeyId and secretAccessKey together",
        ),
        ({**KEYS, "apiKey": "k"}, "expected one of apiKey, accessKeyId and profile, not several"),
        ({"profile": "nobody"}, "profile: The config profile (nobody) could not be found"),
    ],
)
def test_configurations_that_cannot_work(config: dict[str, Any], problem: str) -> None:
    assert checked(**config) == problem


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-3", "https://bedrock-runtime.eu-west-3.amazonaws.com"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
async def test_the_region_decides_the_address(region: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    filled = checked(apiKey="k")
    assert isinstance(filled, dict)
    bedrock = BedrockProvider()
    await bedrock.configure(filled)
    assert bedrock.settings.base_url == url
    await bedrock.aclose()


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        (RelayRequest(method="GET", target="/async-invoke?maxResults=2"), "host;x-amz-date"),
        (RelayRequest(method="POST", target="/model/m/invoke", body=b"{}"), "content-type;host;x-amz-date"),
        (
            RelayRequest(
                method="POST",
                target="/model/m/invoke",
                headers={"content-type": "application/x", "x-amzn-bedrock-accept": "a", "x-amz-own": "b"},
                body=b"x",
            ),
            "content-type;host;x-amz-date;x-amz-own",
        ),
    ],
)
async def test_what_is_passed_on_is_signed(sent: RelayRequest, signed: str) -> None:
    async with ReplayServer(Play(ANSWER)) as server:
        bedrock = await provider(server.url, **KEYS)
        try:
            response = await bedrock.relay(sent)
            response.close()
        finally:
            await bedrock.aclose()
        seen = server.exchanges[0].request
    authorization = (seen.header(b"authorization") or b"").decode()
    assert f"SignedHeaders={signed}, " in authorization
    assert all(seen.header(name.encode()) is not None for name in signed.split(";"))
    assert (seen.target, seen.body) == (sent.target, sent.body)


def test_a_body_that_is_signed_comes_in_one_piece() -> None:
    assert BedrockProvider.relays_whole_bodies
