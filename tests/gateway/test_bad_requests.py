"""Requests that the gateway refuses itself: the client's SDK raises the right error, and the provider hears nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx
import openai
import pytest
import trio

from conformance.replay import Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.client import PATHS, RawClient, body_for
from tests.support.gateway import HI, Running, gateway_to

APIS = ["openai-chat", "anthropic-messages"]
WHOLE = {api: load_recording(BUNDLED / api / "json" / "text.json") for api in APIS}
LIMITS = {"maxBodyBytes": 2000, "bodyTimeout": 200}


@asynccontextmanager
async def refusing(api: str, **entry: Any) -> AsyncIterator[tuple[ReplayServer, Running]]:
    """A gateway whose provider must not be asked."""
    async with gateway_to(api, Play(WHOLE[api]), server=LIMITS, **entry) as (upstream, gateway):
        yield upstream, gateway
        assert upstream.received == 0


def error_of(api: str, answer: httpx.Response) -> dict[str, Any]:
    """The error in the API's shape."""
    data = answer.json()
    assert (data.get("type") == "error") == (api == "anthropic-messages")
    error: dict[str, Any] = data["error"]
    return error


MALFORMED = {
    "empty": b"",
    "no JSON": b"hello",
    "cut JSON": b'{"model": "m", "messages": [',
    "an array": b"[]",
    "not UTF-8": b'{"model": "\xff\xfe", "messages": []}',
    "deep nesting": b'{"model": "m", "messages": ' + b"[" * 1000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("api", APIS)
async def test_a_body_that_is_no_json_object_is_a_400(api: str, body: bytes) -> None:
    async with refusing(api) as (_, gateway), gateway.http() as http:
        answer = await http.post(PATHS[api], content=body)
    assert answer.status_code == 400
    error = error_of(api, answer)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


WRONG_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": None}, "model"),
    "model is a number": ({"model": 5}, "model"),
    "no messages": ({"messages": None}, "messages"),
    "messages is text": ({"messages": "hi"}, "messages"),
    "a message without role": ({"messages": [{"content": "hi"}]}, "messages[0].role"),
    "a role that is a number": ({"messages": [*HI, {"role": 5, "content": "hi"}]}, "messages[1].role"),
    "a part of no type": ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "messages[0].content[0]"),
    "temperature is text": ({"temperature": "hot"}, "temperature"),
    "stream is text": ({"stream": "yes"}, "stream"),
    "tools is an object": ({"tools": {}}, "tools"),
}


@pytest.mark.parametrize(("change", "field"), WRONG_FIELDS.values(), ids=WRONG_FIELDS.keys())
@pytest.mark.parametrize("api", APIS)
async def test_a_wrong_field_is_a_400_that_names_it(api: str, change: dict[str, Any], field: str) -> None:
    body = {name: value for name, value in {**body_for(api), **change}.items() if value is not None}
    async with refusing(api) as (_, gateway), gateway.http() as http:
        answer = await http.post(PATHS[api], json=body)
    assert answer.status_code == 400
    error = error_of(api, answer)
    if api == "openai-chat":
        assert error["param"].startswith(field)
    assert field.replace("[", ".").replace("]", "") in error["message"].replace("[", ".").replace("]", "")


UNKNOWN_ROLE = [*HI, {"role": "wizard", "content": "hi"}]


async def test_an_unknown_role_is_a_400_where_no_vendor_has_it() -> None:
    async with refusing("anthropic-messages") as (_, gateway), gateway.http() as http:
        for api in ("anthropic-messages", "openai-chat"):
            answer = await http.post(PATHS[api], json={**body_for(api), "messages": UNKNOWN_ROLE})
            assert answer.status_code == 400
            assert "wizard" in error_of(api, answer)["message"]
    assert error_of("openai-chat", answer)["param"] == "messages[1].role"


async def test_what_only_a_vendor_knows_reaches_it_as_it_came() -> None:
    part = {"type": "video", "video": ["https://h/1.jpg"], "fps": 2}
    body = {
        **body_for("openai-chat", stream=False),
        "messages": [*UNKNOWN_ROLE, {"role": "user", "content": [part]}],
        "reasoning_effort": 3,
        "reasoning": True,
    }
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (upstream, gateway), gateway.http() as http:
        answer = await http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
        assert "x-triway-dropped" not in answer.headers
        sent = json.loads(upstream.requests[0].body)
    assert {**sent, "model": body["model"]} == body


async def test_content_that_cannot_be_said_is_a_400_that_names_its_place() -> None:
    asked = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "container_upload", "file_id": "f"}]}
    ]
    async with refusing("openai-chat") as (_, gateway), gateway.anthropic() as client:
        with pytest.raises(anthropic.BadRequestError, match="container_upload") as error:
            await client.messages.create(model="m", messages=asked, max_tokens=9)  # type: ignore[arg-type]
    assert "messages.0.content.1" in error.value.message


async def test_the_sdks_raise_bad_request_errors() -> None:
    async with refusing("openai-chat") as (_, gateway):
        async with gateway.openai() as client:
            with pytest.raises(openai.BadRequestError) as error:
                await client.chat.completions.create(model="m", messages=[{"content": "hi"}])  # type: ignore[typeddict-item]
            assert error.value.param == "messages[0].role"
            assert "role" in error.value.message
        async with gateway.anthropic() as other:
            with pytest.raises(anthropic.BadRequestError) as also:
                await other.messages.create(model="m", messages=HI, max_tokens=9, extra_body={"temperature": "hot"})
            assert "temperature" in also.value.message


async def test_anthropic_s_max_tokens_is_required() -> None:
    async with refusing("anthropic-messages") as (_, gateway), gateway.http() as http:
        answer = await http.post("/v1/messages", json={"model": "m", "messages": HI})
    assert answer.status_code == 400
    assert "max_tokens" in error_of("anthropic-messages", answer)["message"]


@pytest.mark.parametrize("declared", [True, False], ids=["content-length", "chunked"])
@pytest.mark.parametrize("api", APIS)
async def test_a_body_above_the_limit_is_a_413(api: str, declared: bool) -> None:
    body = json.dumps(body_for(api, padding="x" * 3000)).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 500):
            yield body[start : start + 500]

    async with refusing(api) as (_, gateway), gateway.http() as http:
        answer = await http.post(PATHS[api], content=body if declared else pieces())
    assert answer.status_code == 413
    assert error_of(api, answer)["type"] in ("request_too_large", "invalid_request_error")


@pytest.mark.parametrize("api", APIS)
async def test_a_declared_413_does_not_wait_for_the_body(api: str) -> None:
    async with refusing(api) as (_, gateway), RawClient(gateway.port) as client:
        await client.send(f"POST {PATHS[api]} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n".encode())
        with trio.fail_after(5):
            await client.read_until(b" 413 ")


@pytest.mark.parametrize("framing", ["content-length: 1000", "transfer-encoding: chunked"])
@pytest.mark.parametrize("api", APIS)
async def test_a_body_that_comes_too_slowly_is_a_408(api: str, framing: str) -> None:
    async with refusing(api) as (_, gateway), RawClient(gateway.port) as client:
        await client.send(f"POST {PATHS[api]} HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n".encode())
        with trio.fail_after(5):
            await client.read_until(b"200 ms")
    assert client.received.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x\u00ff"])
@pytest.mark.parametrize("api", APIS)
async def test_an_encoded_body_is_a_415(api: str, encoding: str) -> None:
    body = gzip.compress(json.dumps(body_for(api)).encode())
    async with refusing(api) as (_, gateway), gateway.http() as http:
        headers = {b"content-encoding": encoding.encode("latin-1")}
        answer = await http.post(PATHS[api], content=body, headers=headers)
    assert answer.status_code == 415
    assert "content-encoding" in error_of(api, answer)["message"]


async def test_identity_is_no_encoding() -> None:
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"])) as (_, gateway), gateway.http() as http:
        body = body_for("openai-chat", stream=False)
        answer = await http.post("/v1/chat/completions", json=body, headers={"content-encoding": "identity"})
    assert answer.status_code == 200


UNSUPPORTED: list[tuple[str, dict[str, Any], str]] = [
    ("anthropic-messages", {"frequency_penalty": 0.5}, "frequency_penalty"),
    ("anthropic-messages", {"n": 2}, "n"),
    ("anthropic-messages", {"logit_bias": {"1": 2}}, "logit_bias"),
    ("openai-chat", {"top_k": 5}, "top_k"),
]


@pytest.mark.parametrize(("provider_api", "parameters", "name"), UNSUPPORTED)
async def test_a_parameter_that_the_provider_cannot_honour_is_a_400_that_names_it(
    provider_api: str, parameters: dict[str, Any], name: str
) -> None:
    client_api = next(api for api in APIS if api != provider_api)
    async with refusing(provider_api) as (_, gateway), gateway.http() as http:
        answer = await http.post(PATHS[client_api], json=body_for(client_api, **parameters))
    assert answer.status_code == 400
    error = error_of(client_api, answer)
    assert f"'{name}'" in error["message"]
    if client_api == "openai-chat":
        assert (error["param"], error["code"]) == (name, "unsupported_parameter")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("provider_api", "parameters", "name"), UNSUPPORTED)
async def test_with_drop_unsupported_it_is_left_out_and_named(
    provider_api: str, parameters: dict[str, Any], name: str, stream: bool
) -> None:
    client_api = next(api for api in APIS if api != provider_api)
    play = Play(load_recording(BUNDLED / provider_api / ("stream" if stream else "json") / "text.json"))
    async with gateway_to(provider_api, play, dropUnsupported=True) as (upstream, gateway), gateway.http() as http:
        answer = await http.post(PATHS[client_api], json=body_for(client_api, stream=stream, **parameters))
        sent = json.loads(upstream.requests[0].body)
    assert answer.status_code == 200
    assert answer.headers["x-triway-dropped"] == name
    assert name not in sent


async def test_harmless_parameters_are_dropped_and_named_without_being_asked_to() -> None:
    play = Play(WHOLE["anthropic-messages"])
    async with gateway_to("anthropic-messages", play) as (_, gateway), gateway.http() as http:
        body = body_for("openai-chat", stream=False, seed=7, store=True)
        answer = await http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert set(answer.headers["x-triway-dropped"].split(", ")) == {"seed", "store"}


async def test_a_parameter_s_name_cannot_inject_a_header() -> None:
    play = Play(WHOLE["anthropic-messages"])
    async with gateway_to("anthropic-messages", play, dropUnsupported=True) as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            evil = {"a\r\nx-evil: 1\r\n\r\n": 1, "\u00e9\u4e16\u0000": 2}
            await client.ask(stream=False, headers={"connection": "close"}, **evil)
            head = (await client.read_to_end()).partition(b"\r\n\r\n")[0]
        assert upstream.received == 1
    assert head.startswith(b"HTTP/1.1 200 ")
    lines = head.lower().split(b"\r\n")
    assert not any(line.startswith(b"x-evil") for line in lines)
    assert b"x-triway-dropped: a??x-evil??1????, ???" in lines


async def test_a_refused_parameter_s_name_cannot_break_the_error() -> None:
    async with refusing("anthropic-messages") as (_, gateway), gateway.http() as http:
        answer = await http.post("/v1/chat/completions", json=body_for("openai-chat", **{"a\r\nx-evil: 1": 1}))
    assert answer.status_code == 400
    assert "x-evil" not in answer.headers
    assert answer.json()["error"]["param"] == "a\r\nx-evil: 1"
