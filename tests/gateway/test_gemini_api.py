"""What Gemini's client API has of its own: paths, two framings of a stream, the client's key, models, counts."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from conformance.replay import Answer, Play, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support.gateway import gateway_to, model, serving

BODY = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
GEMINI_TEXT = load_recording(BUNDLED / "gemini-generate" / "stream" / "text.json")
CHAT_TOOLS = load_recording(BUNDLED / "openai-chat" / "stream" / "tools.json")
GEMINI_WHOLE = load_recording(BUNDLED / "gemini-generate" / "json" / "text.json")


def events(body: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: ")]


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/m",
        "/v1/models/m",
        "/gemini/v1beta/models/m",
        "/v1beta1/publishers/google/models/m",
        "/v1beta1/projects/p/locations/global/publishers/google/models/m",
    ],
)
async def test_the_paths_of_ai_studio_and_vertex(path: str) -> None:
    async with gateway_to("gemini-generate", [Play(GEMINI_WHOLE), Play(GEMINI_TEXT)]) as (upstream, gateway):
        async with gateway.http() as http:
            whole = await http.post(f"{path}:generateContent", json=BODY)
            assert whole.content == GEMINI_WHOLE.response.body
            stream = await http.post(f"{path}:streamGenerateContent?alt=sse", json=BODY)
            assert stream.content == GEMINI_TEXT.response.body
            assert stream.headers["content-type"].startswith("text/event-stream")
    targets = [exchange.request.target for exchange in upstream.exchanges]
    assert targets == [
        "/v1beta/models/gemini-2.5-flash:generateContent",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    ]


async def test_a_model_name_may_have_slashes() -> None:
    async with ReplayServer(Play(GEMINI_WHOLE)) as upstream:
        entry = model("gemini-generate", upstream.url, name="google/*", config={"bypassModel": True})
        async with serving([entry]) as gateway, gateway.http() as http:
            answer = await http.post("/v1beta/models/google/gemini-x:generateContent", json=BODY)
        assert answer.status_code == 200
        assert upstream.exchanges[0].request.target == "/v1beta/models/gemini-x:generateContent"


async def test_without_alt_a_stream_is_a_json_array_of_the_same_events() -> None:
    async with gateway_to("gemini-generate", Play(GEMINI_TEXT)) as (_, gateway):
        async with gateway.http() as http:
            answer = await http.post("/v1beta/models/m:streamGenerateContent", json=BODY)
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.json() == events(GEMINI_TEXT.response.body)


async def test_an_array_of_another_providers_answer() -> None:
    async with gateway_to("openai-chat", [Play(CHAT_TOOLS), Play(CHAT_TOOLS)]) as (_, gateway):
        async with gateway.http() as http:
            array = (await http.post("/v1beta/models/m:streamGenerateContent", json=BODY)).json()
            stream = events((await http.post("/v1beta/models/m:streamGenerateContent?alt=sse", json=BODY)).content)
    assert array == stream
    assert array[-1]["candidates"][0]["finishReason"] == "STOP"
    calls = [
        part["functionCall"]["name"]
        for event in array
        for part in event["candidates"][0]["content"]["parts"][:1]
        if "functionCall" in part
    ]
    assert calls


@pytest.mark.parametrize("alt", ["", "?alt=sse"])
async def test_a_cut_stream_ends_with_an_error_in_its_framing(alt: str) -> None:
    body = GEMINI_TEXT.response.body
    cut = Answer(headers={"content-type": "text/event-stream"}, body=body[: body.rfind(b"data: ")])
    async with gateway_to("gemini-generate", Play(cut)) as (_, gateway):
        async with gateway.http() as http:
            answer = await http.post(f"/v1beta/models/m:streamGenerateContent{alt}", json=BODY)
    items = events(answer.content) if alt else answer.json()
    assert items[:-1] == events(cut.body)
    assert items[-1]["error"]["code"] == 502


async def test_an_error_before_the_stream_has_its_status_and_shape() -> None:
    recording = load_recording(BUNDLED / "gemini-generate" / "error" / "bad-request.json")
    async with gateway_to("gemini-generate", Play(recording)) as (_, gateway):
        async with gateway.http() as http:
            answer = await http.post("/v1beta/models/m:streamGenerateContent", json=BODY)
    assert (answer.status_code, answer.content) == (400, recording.response.body)


@pytest.mark.parametrize("how", ["header", "query"])
async def test_the_clients_key_is_neither_logged_nor_sent_on(how: str) -> None:
    log = io.StringIO()
    async with gateway_to("gemini-generate", Play(GEMINI_TEXT), log=log) as (upstream, gateway):
        async with gateway.http() as http:
            query = "alt=sse&fields=a" + ("&key=CLIENT-SECRET" if how == "query" else "")
            headers = {"x-goog-api-key": "CLIENT-SECRET"} if how == "header" else {}
            answer = await http.post(f"/v1beta/models/m:streamGenerateContent?{query}", json=BODY, headers=headers)
            assert answer.status_code == 200
        seen = upstream.exchanges[0].request
    assert seen.target.endswith("?alt=sse&fields=a")
    assert seen.header(b"x-goog-api-key") == b"sk-upstream"
    assert "CLIENT-SECRET" not in repr(seen)
    assert "CLIENT-SECRET" not in log.getvalue()


async def test_models_are_listed_in_googles_shape() -> None:
    async with gateway_to("gemini-generate", Play(GEMINI_WHOLE)) as (_, gateway):
        async with gateway.http() as http:
            listed = (await http.get("/v1beta/models")).json()
            shared = (await http.get("/v1/models", headers={"x-goog-api-key": "k"})).json()
            one = (await http.get("/v1beta/models/m")).json()
            none = await http.get("/v1beta/models/other")
            openai = (await http.get("/v1/models")).json()
    assert listed == shared
    assert [card["name"] for card in listed["models"]] == ["models/m"]
    assert "generateContent" in one["supportedGenerationMethods"]
    assert (none.status_code, none.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert openai["object"] == "list"


@pytest.mark.parametrize("wrapped", [True, False])
async def test_tokens_are_counted(wrapped: bool) -> None:
    play = Play(Answer(headers={"content-type": "application/json"}, body=b'{"totalTokens":7,"x":1}'))
    async with gateway_to("gemini-generate", play) as (upstream, gateway):
        async with gateway.http() as http:
            body = {"generateContentRequest": {**BODY, "model": "models/m"}} if wrapped else BODY
            answer = await http.post("/v1beta/models/m:countTokens", json=body)
        assert answer.json() == {"totalTokens": 7, "x": 1}
        sent = json.loads(upstream.exchanges[0].request.body)
    assert sent == {"generateContentRequest": {**BODY, "model": "models/gemini-2.5-flash"}}


@pytest.mark.parametrize(
    ("query", "body", "param"),
    [("alt=proto", BODY, "alt"), ("", {}, "contents"), ("", {"contents": [{"role": "x"}]}, "contents[0].role")],
)
async def test_mistakes_are_told_in_googles_shape(query: str, body: dict[str, Any], param: str) -> None:
    async with gateway_to("gemini-generate", Play(GEMINI_WHOLE)) as (upstream, gateway):
        async with gateway.http() as http:
            answer = await http.post(f"/v1beta/models/m:generateContent?{query}", json=body)
        assert upstream.received == 0
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert error["details"][0]["fieldViolations"][0]["field"] == param


async def test_an_unknown_model_is_not_found() -> None:
    async with gateway_to("gemini-generate", Play(GEMINI_WHOLE)) as (_, gateway):
        async with gateway.http() as http:
            answer = await http.post("/v1beta/models/nobody:generateContent", json=BODY)
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
