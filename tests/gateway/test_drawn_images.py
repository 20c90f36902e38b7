"""Images that a model draws: where each official SDK finds them, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.replay import Answer, Play
from tests.support.gateway import HI, gateway_to

PNG = "iVBORw0KGgo="
WEBP = "UklGRg=="
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
DRAWN = [{"url": f"data:image/png;base64,{PNG}"}, {"url": f"data:image/webp;base64,{WEBP}"}]
GEMINI_PARTS: list[dict[str, Any]] = [
    {"text": "Here: "},
    {"inlineData": {"mimeType": "image/png", "data": PNG}},
    {"inlineData": {"mimeType": "image/webp", "data": WEBP}},
    {"text": "done"},
]


def of_gemini(*, stream: bool) -> Play:
    def event(parts: list[dict[str, Any]], **more: Any) -> bytes:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **more}
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
        return json.dumps({"candidates": [candidate], "usageMetadata": usage, "responseId": "r1"}).encode()

    if not stream:
        return Play(Answer(headers=JSON, body=event(GEMINI_PARTS, finishReason="STOP")))
    events = [event([part]) for part in GEMINI_PARTS] + [event([], finishReason="STOP")]
    return Play(Answer(headers=SSE, body=b"".join(b"data: " + data + b"\r\n\r\n" for data in events)))


def of_openrouter(*, stream: bool) -> Play:
    """As OpenRouter answers; in a stream some services number every image 0."""
    head = {"id": "c1", "created": 5, "model": "drawer"}
    images = [{"type": "image_url", "index": 0, "image_url": image} for image in DRAWN]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    if not stream:
        message = {"role": "assistant", "content": "Here: done", "images": images}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return Play(Answer(headers=JSON, body=json.dumps(body).encode()))
    deltas = [
        {"role": "assistant", "content": "Here: "},
        {"content": "", "images": images[:1]},
        {"content": "", "images": images[1:]},
        {"content": "done"},
    ]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [{**head, "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return Play(Answer(headers=SSE, body=data + b"data: [DONE]\n\n"))


PROVIDERS = {"gemini-generate": of_gemini, "openai-chat": of_openrouter}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_chat_client_finds_them_where_openrouter_puts_them(stream: bool) -> None:
    async with gateway_to("gemini-generate", of_gemini(stream=stream)) as (_, gateway), gateway.openai() as client:
        if stream:
            async with client.chat.completions.stream(model="m", messages=HI) as events:  # type: ignore[arg-type]
                completion: Any = await events.get_final_completion()
        else:
            raw = await client.chat.completions.with_raw_response.create(model="m", messages=HI)  # type: ignore[arg-type]
            assert "x-triway-dropped" not in raw.headers
            completion = raw.parse()
    [choice] = completion.choices
    assert choice.message.content == "Here: done"
    assert [image["type"] for image in choice.message.images] == ["image_url", "image_url"]
    assert [image["image_url"] for image in choice.message.images] == DRAWN
    assert choice.finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_responses_client_gets_an_item_for_each(provider: str, stream: bool) -> None:
    async with gateway_to(provider, PROVIDERS[provider](stream=stream)) as (_, gateway), gateway.openai() as client:
        if stream:
            seen: list[Any] = []
            async with client.responses.stream(model="m", input=HI) as events:  # type: ignore[arg-type]
                async for event in events:
                    seen.append(event)
                response: Any = await events.get_final_response()
        else:
            response = await client.responses.create(model="m", input=HI)  # type: ignore[arg-type]
    drawn = [item for item in response.output if item.type == "image_generation_call"]
    assert [(item.status, item.result, item.output_format) for item in drawn] == [
        ("completed", PNG, "png"),
        ("completed", WEBP, "webp"),
    ]
    assert len({item.id for item in drawn}) == 2
    assert response.output_text == "Here: done"
    if stream:
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        first = drawn[0].id
        stages = [event.type for event in seen if getattr(event, "item_id", None) == first]
        assert stages == [f"response.image_generation_call.{at}" for at in ("in_progress", "generating", "completed")]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_gemini_client_gets_what_a_chat_provider_drew(stream: bool) -> None:
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "draw"}]}]}
    async with gateway_to("openai-chat", of_openrouter(stream=stream)) as (_, gateway), gateway.http() as http:
        answer = await http.post(f"/v1beta/models/m:{method}", json=body)
    events = [json.loads(line[6:]) for line in answer.content.splitlines() if line.startswith(b"data: ")]
    whole = events if stream else [answer.json()]
    parts = [part for event in whole for part in event["candidates"][0]["content"]["parts"]]
    assert [part["inlineData"] for part in parts if "inlineData" in part] == [
        {"mimeType": "image/png", "data": PNG},
        {"mimeType": "image/webp", "data": WEBP},
    ]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_anthropic_client_is_told_that_they_are_missing(provider: str) -> None:
    async with gateway_to(provider, PROVIDERS[provider](stream=False)) as (_, gateway), gateway.anthropic() as client:
        raw = await client.messages.with_raw_response.create(model="m", max_tokens=9, messages=HI)  # type: ignore[arg-type]
    assert raw.headers["x-triway-dropped"] == "answer.image"
    message = await raw.parse()
    assert "".join(block.text for block in message.content if block.type == "text") == "Here: done"


async def test_an_image_behind_a_url_stays_there() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://images.example/1.png"}}
    message = {"role": "assistant", "content": "", "images": [image, {"type": "image_url"}, {"image_url": {"url": 5}}]}
    body = {"id": "c", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    play = Play(Answer(headers=JSON, body=json.dumps(body).encode()))
    async with gateway_to("openai-chat", [play, play]) as (_, gateway), gateway.http() as http:
        ask = {"contents": [{"role": "user", "parts": [{"text": "draw"}]}]}
        gemini = (await http.post("/v1beta/models/m:generateContent", json=ask)).json()
        responses = await http.post("/v1/responses", json={"model": "m", "input": "draw"})
    assert gemini["candidates"][0]["content"]["parts"] == [
        {"fileData": {"fileUri": "https://images.example/1.png", "mimeType": "image/png"}}
    ]
    assert responses.json()["output"] == []
    assert responses.headers["x-triway-dropped"] == "answer.image"
