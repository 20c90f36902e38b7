"""The Responses API for clients: what only it has, refused elsewhere by name; stored responses; signed reasoning."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from conformance.replay import Answer, Play, ReplayServer
from conformance.replay.exchange import ReceivedRequest
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.gateway import HI, gateway_to, model, serving

JSON = {"content-type": "application/json"}
KEPT = b'{"id":"resp_1","object":"response","status":"completed","output":[],"new":[1.0]}'
MISSING = b'{"error":{"message":"no such response","type":"invalid_request_error","param":null,"code":null}}'


def recorded(api: str, name: str, kind: str = "json") -> Play:
    return Play(load_recording(BUNDLED / api / kind / f"{name}.json"))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [*HI, {"type": "item_reference", "id": "msg_1"}]}, "input[1]"),
        ({"input": [*HI, {"type": "compaction", "encrypted_content": "x"}]}, "input[1]"),
        ({"input": [*HI, {"type": "computer_call_output", "call_id": "c", "output": {}}]}, "input[1]"),
    ],
)
@pytest.mark.parametrize("api", ["openai-chat", "anthropic-messages"])
async def test_what_is_stored_elsewhere_is_refused_even_where_parameters_may_be_dropped(
    api: str, fields: dict[str, Any], param: str
) -> None:
    async with gateway_to(api, recorded(api, "text"), config={"dropUnsupported": True}) as (upstream, gateway):
        async with gateway.openai() as client:
            with pytest.raises(openai.BadRequestError) as caught:
                await client.responses.create(**{"model": "m", "input": HI, **fields})
        assert not upstream.requests
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")
    assert "openai-responses" in caught.value.message


@pytest.mark.parametrize("api", ["openai-chat", "anthropic-messages"])
async def test_a_hosted_tool_is_refused_by_name(api: str) -> None:
    async with gateway_to(api, recorded(api, "text")) as (_, gateway):
        async with gateway.openai() as client:
            with pytest.raises(openai.BadRequestError, match="web_search") as caught:
                await client.responses.create(model="m", input=HI, tools=[{"type": "web_search"}])
    assert caught.value.code == "unsupported_parameter"


async def test_what_is_harmless_is_dropped_and_named() -> None:
    async with gateway_to("anthropic-messages", recorded("anthropic-messages", "text")) as (_, gateway):
        async with gateway.openai() as client:
            answer = await client.responses.with_raw_response.create(
                model="m", input=HI, store=True, include=["reasoning.encrypted_content"], truncation="disabled"
            )
            response = answer.parse()
    assert answer.headers["x-triway-dropped"] == "store"
    assert response.store is False
    assert response.output_text


async def test_the_body_is_relayed_to_a_responses_provider_with_the_model_alone_changed() -> None:
    body = b'{ "model":"m", "input":"hi" , "store":true,"previous_response_id":"resp_0","future":{"x":[1.0, 2]}}'
    async with gateway_to("openai-responses", recorded("openai-responses", "text"), config={"model": "gpt-x"}) as (
        upstream,
        gateway,
    ):
        async with gateway.http() as http:
            answer = await http.post("/openai/v1/responses", content=body, headers=JSON)
        [request] = upstream.requests
    assert answer.content == recorded("openai-responses", "text").answer.body
    assert request.target == "/v1/responses"
    assert request.body == (
        b'{"model":"gpt-x","input":"hi","store":true,"previous_response_id":"resp_0","future":{"x":[1.0, 2]}}'
    )


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_thinking_signature_survives_the_way_to_a_responses_client_and_back(streamed: bool) -> None:
    play = recorded("anthropic-messages", "reasoning", "stream" if streamed else "json")
    async with gateway_to("anthropic-messages", play) as (upstream, gateway):
        async with gateway.openai() as client:
            if streamed:
                async with client.responses.stream(model="m", input=HI) as stream:
                    response: Any = await stream.get_final_response()
            else:
                response = await client.responses.create(model="m", input=HI)
            items = [item.model_dump(exclude_none=True, exclude={"parsed"}) for item in response.output]
            again = [*HI, *items, {"role": "user", "content": "go on"}]
            await client.responses.create(model="m", input=again, max_output_tokens=5000, stream=streamed)
        sent = json.loads(upstream.requests[-1].body)
    thinking = sent["messages"][1]["content"][0]
    whole = load_recording(BUNDLED / "anthropic-messages" / "json" / "reasoning.json").response.body
    assert thinking == json.loads(whole)["content"][0]


@pytest.mark.parametrize("reader", ["chat", "anthropic"])
async def test_encrypted_reasoning_survives_the_way_to_other_clients_and_back(reader: str) -> None:
    play = recorded("openai-responses", "reasoning")
    async with gateway_to("openai-responses", play) as (upstream, gateway):
        if reader == "chat":
            async with gateway.openai() as client:
                answer = await client.chat.completions.create(model="m", messages=HI)  # type: ignore[arg-type]
                said: Any = answer.choices[0].message.model_dump(exclude_none=True)
                await client.chat.completions.create(model="m", messages=[*HI, said, *HI])  # type: ignore[list-item]
        else:
            async with gateway.anthropic() as client_:
                message = await client_.messages.create(model="m", max_tokens=99, messages=HI)  # type: ignore[arg-type]
                said = {"role": "assistant", "content": [block.model_dump() for block in message.content]}
                await client_.messages.create(model="m", max_tokens=99, messages=[*HI, said, *HI])  # type: ignore[list-item]
        sent = json.loads(upstream.requests[-1].body)
    original = json.loads(play.answer.body)["output"][0]
    assert next(item for item in sent["input"] if item.get("type") == "reasoning") == {
        name: original[name] for name in ("type", "id", "summary", "encrypted_content")
    }
    assert sent["store"] is False


@pytest.mark.parametrize("between", [b"", b": still here\n\n"], ids=["at once", "after a comment"])
async def test_an_error_in_band_reaches_the_client_with_both_of_its_events(between: bytes) -> None:
    recording = recorded("openai-responses", "failed", "stream").answer
    body = recording.body.replace(b"event: response.failed", between + b"event: response.failed")
    play = Play(Answer(headers=recording.headers, body=body))
    async with gateway_to("openai-responses", play) as (_, gateway):
        async with gateway.http() as http:
            answer = await http.post("/v1/responses", json={"model": "m", "input": "hi", "stream": True})
    assert answer.content == body


async def test_a_failed_stream_ends_with_an_error_that_the_sdk_raises_and_no_end() -> None:
    async with gateway_to(
        "openai-chat",
        Play(
            Answer(
                headers={"content-type": "text/event-stream"},
                body=b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n',
            )
        ),
    ) as (_, gateway):
        async with gateway.openai() as client:
            kinds = []
            with pytest.raises(openai.APIError, match="ended before"):
                async for event in await client.responses.create(model="m", input=HI, stream=True):
                    kinds.append(event.type)
    assert "response.output_text.delta" in kinds
    assert "response.completed" not in kinds


# -- stored responses -------------------------------------------------------------------------------------------------


def keeper(request: ReceivedRequest) -> Play:
    """A provider that keeps one response, `resp_1`."""
    known = "/resp_1" in request.target
    return Play(Answer(status=200 if known else 404, headers=JSON, body=KEPT if known else MISSING))


def forgetful(request: ReceivedRequest) -> Play:
    return Play(Answer(status=404, headers=JSON, body=MISSING))


async def test_stored_responses_are_fetched_cancelled_deleted_and_listed() -> None:
    async with ReplayServer(keeper) as upstream, serving([model("openai-responses", upstream.url)]) as gateway:
        async with gateway.openai() as client:
            fetched = await client.responses.with_raw_response.retrieve("resp_1", include=["file_search_call.results"])
            assert fetched.content == KEPT
            await client.responses.cancel("resp_1")
            await client.responses.delete("resp_1")
            await client.responses.input_items.list("resp_1", limit=5)
            with pytest.raises(openai.NotFoundError, match="no such response"):
                await client.responses.retrieve("resp_2")
        seen = [(request.method, request.target, request.header(b"authorization")) for request in upstream.requests]
    assert [(method, target.split("?")[0]) for method, target, _ in seen] == [
        ("GET", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1/input_items"),
        ("GET", "/v1/responses/resp_2"),
    ]
    assert "limit=5" in seen[3][1]
    assert {key for _, _, key in seen} == {b"Bearer sk-upstream"}


async def test_a_stored_stream_is_taken_up_again() -> None:
    play = recorded("openai-responses", "text", "stream")
    async with gateway_to("openai-responses", play) as (upstream, gateway), gateway.openai() as client:
        stream = await client.responses.retrieve("resp_1", stream=True, starting_after=3)
        kinds = [event.type async for event in stream]
        assert upstream.requests[0].target == "/v1/responses/resp_1?starting_after=3&stream=true"
    assert kinds[-1] == "response.completed"


async def test_of_several_models_the_one_that_knows_the_response_answers() -> None:
    async with ReplayServer(forgetful) as other, ReplayServer(keeper) as upstream:
        models = [
            model("openai-chat", other.url, name="chat"),
            model("openai-responses", other.url, name="first"),
            model("openai-responses", upstream.url, name="second"),
        ]
        async with serving(models) as gateway, gateway.http() as http:
            found = await http.get("/v1/responses/resp_1")
            named = await http.get("/v1/responses/resp_1?model=first")
            headed = await http.get("/v1/responses/resp_1", headers={"x-triway-model": "second"})
            wrong = await http.get("/v1/responses/resp_1?model=chat")
        assert len(other.requests) == 2
    assert (found.content, found.headers["x-triway-model"]) == (KEPT, "second")
    assert named.status_code == 404
    assert headed.content == KEPT
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "model")


async def test_without_a_provider_that_keeps_responses_there_are_none() -> None:
    async with gateway_to("openai-chat", recorded("openai-chat", "text")) as (upstream, gateway):
        async with gateway.http() as http:
            answer = await http.get("/v1/responses/resp_1")
            odd = await http.get("/v1/responses/..%2f..")
        assert not upstream.requests
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("no model of this gateway")
    assert odd.status_code in (400, 404)
