"""What the client's API cannot say of an answer: named in a whole answer's header; counted and logged either way."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from conformance.replay import Answer, Play
from proxy.observe import metrics
from tests.support.gateway import HI, gateway_to
from tests.support.plugins import plugin_class

FILE = {"inlineData": {"mimeType": "application/pdf", "data": "QQ=="}}
RAN = {"executableCode": {"language": "PYTHON", "code": "1"}}
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai-chat": ("/v1/chat/completions", {"messages": HI, "store": True}),
    "openai-responses": ("/v1/responses", {"input": HI, "store": True}),
    "anthropic-messages": ("/v1/messages", {"messages": HI, "max_tokens": 9}),
}


def gemini_answer(*parts: dict[str, Any], stream: bool = False) -> Play:
    body = json.dumps(
        {
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        }
    ).encode()
    if stream:
        return Play(Answer(headers={"content-type": "text/event-stream"}, body=b"data: " + body + b"\r\n\r\n"))
    return Play(Answer(headers={"content-type": "application/json"}, body=body))


def dropped_blocks() -> float:
    lines = metrics.render().decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("triway_dropped_blocks_total{") and 'model="m"' in line
    )


def request_line(log: io.StringIO) -> dict[str, Any]:
    """The one line that is written for a request."""
    (line,) = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "request"]
    return dict(line)


def look_on(context: Any) -> None:
    """A plugin that changes nothing."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("with_plugin", [False, True], ids=["", "plugin"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_it_is_named_where_headers_can_still_be_sent_and_counted_always(
    client: str, with_plugin: bool, stream: bool
) -> None:
    path, body = CLIENTS[client]
    play = gemini_answer(RAN, FILE, FILE, {"text": "Here"}, stream=stream)
    plugins = [plugin_class("looker", after_model=look_on)] if with_plugin else []
    log = io.StringIO()
    before = dropped_blocks()
    async with gateway_to("gemini-generate", play, log=log, plugins=plugins) as (_, gateway):
        async with gateway.http() as http:
            answer = await http.post(path, json={"model": "m", "stream": stream, **body})
    assert answer.status_code == 200, answer.text
    line = request_line(log)
    assert line["dropped_blocks"] == 3
    assert dropped_blocks() - before == 3
    named = ["store"] if client != "anthropic-messages" else []
    if not stream:
        named += ["answer.executableCode", "answer.file"]
    assert answer.headers.get("x-triway-dropped", "") == ", ".join(named)
    assert line.get("dropped", []) == named


async def test_a_client_of_the_same_api_is_told_nothing() -> None:
    async with gateway_to("gemini-generate", gemini_answer(RAN, FILE)) as (_, gateway), gateway.http() as http:
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        answer = await http.post("/v1beta/models/m:generateContent", json=body)
    assert answer.status_code == 200
    assert "x-triway-dropped" not in answer.headers
