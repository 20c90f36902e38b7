"""`POST /v1/responses/compact`: relayed to who speaks the API, and refused by name elsewhere."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from providers.model import TextPart
from tests.support.gateway import HI, gateway_to, serving
from tests.support.plugins import plugin_class

BODY = (
    b'{"id":"resp_1","object":"response.compaction","created_at":5,"new":[1.0],'
    b'"output":[{"id":"cmp_1","type":"compaction","encrypted_content":"x"}],'
    b'"usage":{"input_tokens":9,"output_tokens":2,"total_tokens":11,"input_tokens_details":{"cached_tokens":0},'
    b'"output_tokens_details":{"reasoning_tokens":0}}}'
)
COMPACTED = Play(Answer(headers={"content-type": "application/json"}, body=BODY))


async def test_it_is_relayed_with_the_model_alone_changed() -> None:
    async with gateway_to("openai-responses", COMPACTED, config={"model": "gpt-x"}) as (upstream, gateway):
        async with gateway.openai() as client:
            raw = await client.responses.with_raw_response.compact(
                model="m", input=HI, instructions="Be brief.", extra_body={"future": {"x": 1}}
            )
            compacted = raw.parse()
        [request] = upstream.requests
    assert raw.content == BODY
    assert compacted.output[0].type == "compaction"
    assert raw.headers["x-triway-model"] == "m"
    assert (request.method, request.target) == ("POST", "/v1/responses/compact")
    assert request.header(b"authorization") == b"Bearer sk-upstream"
    sent = {"model": "gpt-x", "input": HI, "instructions": "Be brief.", "future": {"x": 1}}
    assert json.loads(request.body) == sent


async def test_azure_has_it_at_its_own_path() -> None:
    async with ReplayServer(COMPACTED) as upstream:
        config = {"baseUrl": upstream.url, "apiKey": "k", "api": "responses", "model": "d", "apiVersion": "2025-03-01"}
        async with serving([{"name": "m", "type": "azure-openai", "config": config}]) as gateway:
            async with gateway.openai() as client:
                await client.responses.compact(model="m", input="hi")
        [request] = upstream.requests
    assert request.target == "/openai/responses/compact?api-version=2025-03-01"
    assert request.header(b"api-key") == b"k"
    assert json.loads(request.body) == {"model": "d", "input": "hi"}


async def test_what_a_plugin_changed_goes_out_changed() -> None:
    def hide(context: Any) -> None:
        [message] = context.request.messages
        hidden = msgspec.structs.replace(message, content=[TextPart(text="***")])
        context.request = msgspec.structs.replace(context.request, messages=[hidden], raw=None)

    plugins = [plugin_class("hider", before_model=hide)]
    async with gateway_to("openai-responses", COMPACTED, plugins=plugins) as (upstream, gateway):
        async with gateway.openai() as client:
            await client.responses.compact(model="m", input="secret", prompt_cache_key="k")
        sent = json.loads(upstream.requests[0].body)
    assert b"secret" not in upstream.requests[0].body
    assert (sent["input"][0]["role"], sent["prompt_cache_key"]) == ("user", "k")


@pytest.mark.parametrize("api", ["openai-chat", "anthropic-messages", "gemini-generate"])
async def test_nobody_else_can(api: str) -> None:
    async with gateway_to(api, COMPACTED) as (upstream, gateway), gateway.openai() as client:
        with pytest.raises(openai.BadRequestError, match="compacts no conversations") as refused:
            await client.responses.compact(model="m", input=HI)
        assert upstream.requests == []
    assert (refused.value.param, refused.value.code) == ("model", "unsupported_parameter")
