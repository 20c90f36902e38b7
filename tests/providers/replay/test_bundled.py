"""What must hold for the bundled recordings: they are good wire, and the official SDKs read them."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest

from conformance.oracles.gemini_generate import read as read_gemini
from conformance.replay import Play, ReplayServer
from conformance.wires.gemini_generate import facts_of_answers as read_facts
from providers.replay.events import has_data, split_events
from providers.replay.recording import BUNDLED, Recording, load_recording, load_recordings
from tests.support.recordings import SHARED

SDKS: dict[str, Any] = {"openai-chat": openai, "openai-responses": openai, "anthropic-messages": anthropic}

ALL = load_recordings(BUNDLED)
STREAMS = [recording for recording in ALL if recording.kind == "stream"]
TWINS = [recording for recording in ALL if recording.kind == "json"]
ERRORS = [recording for recording in ALL if recording.kind == "error"]


def name(recording: Recording) -> str:
    return f"{recording.api}-{recording.name}"


def documents(recording: Recording) -> list[dict[str, Any]]:
    blocks = [block for block in split_events(recording.response.body, recording.content_type) if has_data(block)]
    datas = [block.split(b"data: ", 1)[1] for block in blocks]
    return [json.loads(data) for data in datas if data.strip() != b"[DONE]"]


def messages_of(recording: Recording) -> Any:
    assert recording.request is not None
    body = recording.request.body
    return body["input"] if recording.api == "openai-responses" else body["messages"]


OF_SSE = [recording for recording in STREAMS if recording.api in (*SDKS, "gemini-generate")]
"""The other APIs' recordings are held against their SDKs beside their codecs and in the conformance suite."""


@pytest.mark.parametrize("recording", OF_SSE, ids=name)
def test_every_event_is_json_and_of_one_answer(recording: Recording) -> None:
    assert recording.response.body.endswith((b"\n\n", b"\r\n\r\n"))
    events = documents(recording)
    if recording.api == "openai-chat":
        assert recording.response.body.endswith(b"data: [DONE]\n\n")
        assert len({event["id"] for event in events if event["id"]}) == 1
        assert {event["object"] for event in events if event["id"]} == {"chat.completion.chunk"}
        indices = {choice["index"] for event in events for choice in event["choices"]}
        finished = [c["index"] for event in events for c in event["choices"] if c["finish_reason"]]
        assert sorted(finished) == sorted(indices)
    elif recording.api == "gemini-generate":
        assert len({event["responseId"] for event in events}) == 1
        candidates = [candidate for event in events for candidate in event.get("candidates", ())]
        finished = [c.get("index", 0) for c in candidates if "finishReason" in c]
        assert sorted(finished) == sorted({c.get("index", 0) for c in candidates})
    elif recording.api == "openai-responses":
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
        assert events[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
        assert len({event["response"]["id"] for event in events if "response" in event}) == 1
        names = [line[7:] for line in recording.response.body.decode().splitlines() if line.startswith("event: ")]
        assert names == [event["type"] for event in events]
    else:
        assert [event["type"] for event in (events[0], events[-2], events[-1])] == [
            "message_start",
            "message_delta",
            "message_stop",
        ]
        names = [line[7:] for line in recording.response.body.decode().splitlines() if line.startswith("event: ")]
        assert names == [event["type"] for event in events]
        started = [event["index"] for event in events if event["type"] == "content_block_start"]
        stopped = [event["index"] for event in events if event["type"] == "content_block_stop"]
        assert started == stopped == list(range(len(started)))


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_the_content_is_our_own(recording: Recording) -> None:
    assert recording.source["author"] == "triway"
    assert recording.request is not None


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here")
def test_no_body_is_a_shared_one() -> None:
    shared = {recording.response.body for recording in load_recordings(SHARED)}
    assert not shared & {recording.response.body for recording in ALL}


@pytest.mark.parametrize("recording", [r for r in STREAMS if r.api == "openai-chat"], ids=name)
async def test_the_openai_sdk_reads_the_stream(recording: Recording) -> None:
    text: dict[int, str] = {}
    async with ReplayServer(Play(recording)) as server:
        async with openai.AsyncOpenAI(api_key="sk-x", base_url=f"{server.url}/v1", max_retries=0) as client:
            stream = await client.chat.completions.create(model="m", messages=messages_of(recording), stream=True)
            chunks = [chunk async for chunk in stream]
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        text[choice.index] = text.get(choice.index, "") + (choice.delta.content or choice.delta.refusal or "")
    twin = next((twin for twin in TWINS if (twin.api, twin.name) == (recording.api, recording.name)), None)
    if twin is not None:
        assert text[0] == (json.loads(twin.response.body)["choices"][0]["message"]["content"] or "")
    assert all(said for said in text.values()) or recording.name == "tools"
    assert chunks[-1].usage is not None or recording.name == "usage-in-extension"


@pytest.mark.parametrize("recording", [r for r in STREAMS if r.api == "anthropic-messages"], ids=name)
async def test_the_anthropic_sdk_reads_the_stream(recording: Recording) -> None:
    async with ReplayServer(Play(recording)) as server:
        async with anthropic.AsyncAnthropic(api_key="sk-x", base_url=server.url, max_retries=0) as client:
            async with client.messages.stream(model="m", max_tokens=9, messages=messages_of(recording)) as stream:
                message = await stream.get_final_message()
    said = json.loads(message.model_dump_json(warnings=False))
    twin = next((twin for twin in TWINS if (twin.api, twin.name) == (recording.api, recording.name)), None)
    if twin is not None:
        whole = json.loads(twin.response.body)
        # The SDK adds fields of its own; those of the wire must be the same.
        assert [
            {key: block[key] for key in wire} for wire, block in zip(whole["content"], said["content"], strict=True)
        ] == (whole["content"])
        assert said["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
    assert said["stop_reason"] is not None
    assert message.content


@pytest.mark.parametrize("recording", [r for r in STREAMS if r.api == "openai-responses"], ids=name)
async def test_the_openai_sdk_reads_the_response(recording: Recording) -> None:
    async with ReplayServer(Play(recording)) as server:
        async with openai.AsyncOpenAI(api_key="sk-x", base_url=f"{server.url}/v1", max_retries=0) as client:
            async with client.responses.stream(model="m", input=messages_of(recording)) as stream:
                if recording.name == "failed":
                    with pytest.raises(openai.APIError, match="had an error"):
                        await stream.get_final_response()
                    return
                events: list[Any] = [event async for event in stream]
    last = documents(recording)[-1]["response"]
    assert [item["type"] for item in last["output"]] == [item.type for item in events[-1].response.output]
    twin = next((twin for twin in TWINS if (twin.api, twin.name) == (recording.api, recording.name)), None)
    if twin is not None:
        assert json.loads(twin.response.body) == last
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text


@pytest.mark.parametrize("recording", [r for r in (*STREAMS, *TWINS, *ERRORS) if r.api == "gemini-generate"], ids=name)
async def test_the_google_sdk_reads_it(recording: Recording) -> None:
    async with ReplayServer(Play(recording)) as server:
        reading = await read_gemini(server.url, "m", "hi", recording.kind == "stream")
    if recording.kind == "error":
        assert reading.status == recording.response.status
        assert reading.error is not None
        assert reading.error[1] == json.loads(recording.response.body)["error"]["message"]
        return
    assert reading.error is None
    twin = next((twin for twin in TWINS if twin.name == recording.name and twin.api == recording.api), None)
    if twin is not None:
        said = read_facts([json.loads(twin.response.body)])
        assert reading.facts == said
    assert reading.facts.text or reading.facts.tool_calls or recording.name == "blocked-prompt"


@pytest.mark.parametrize("recording", [r for r in ERRORS if r.api in SDKS], ids=name)
async def test_the_sdks_know_the_error(recording: Recording) -> None:
    sdk = SDKS[recording.api]
    expected = {400: sdk.BadRequestError, 429: sdk.RateLimitError}.get(recording.response.status, sdk.APIStatusError)
    async with ReplayServer(Play(recording)) as server:
        if sdk is openai:
            async with openai.AsyncOpenAI(api_key="sk-x", base_url=f"{server.url}/v1", max_retries=0) as client:
                with pytest.raises(expected) as caught:
                    if recording.api == "openai-chat":
                        await client.chat.completions.create(model="m", messages=[])
                    else:
                        await client.responses.create(model="m", input="Hi")
        else:
            async with anthropic.AsyncAnthropic(api_key="sk-x", base_url=server.url, max_retries=0) as messages:
                with pytest.raises(expected) as caught:
                    await messages.messages.create(model="m", max_tokens=9, messages=[])
    assert caught.value.status_code == recording.response.status
    document = json.loads(recording.response.body)
    assert document["error"]["message"] in str(caught.value)
    assert caught.value.response.headers.get("retry-after") == recording.response.headers.get("retry-after")


def test_parallel_tool_calls_are_whole_json() -> None:
    calls: dict[int, str] = {}
    for event in documents(load_recording(BUNDLED / "openai-chat" / "stream" / "tools.json")):
        for choice in event["choices"]:
            for call in choice["delta"].get("tool_calls", ()):
                calls[call["index"]] = calls.get(call["index"], "") + call["function"]["arguments"]
    assert [sorted(json.loads(arguments)) for arguments in calls.values()] == [
        ["date", "harbour"],
        ["after", "station"],
    ]


def test_the_readme_lists_every_recording() -> None:
    readme = (BUNDLED / "README.md").read_text()
    assert [recording.name for recording in ALL if f"`{recording.name}`" not in readme] == []


def test_no_name_is_both_an_answer_and_an_error() -> None:
    answers = {(recording.api, recording.name) for recording in (*STREAMS, *TWINS)}
    assert not answers & {(recording.api, recording.name) for recording in ERRORS}
