"""Requests of clients: what is wrong is named, and a changed one reaches a provider of this API with all it said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.errors import RequestError
from providers.replay.recording import load_recordings
from providers.wire.base import Translation
from providers.wire.openai_responses import WIRE
from tests.support.recordings import SHARED

RICH: dict[str, Any] = {
    "model": "gpt-x",
    "instructions": "Be brief.",
    "input": [
        {"role": "developer", "content": "Times in CET."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look:"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                {"type": "input_image", "file_id": "file_1", "detail": "auto"},
                {"type": "input_file", "file_url": "http://f"},
                {"type": "input_future", "x": [1]},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": "gAAA",
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBBB"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"role": "assistant", "content": "I look.", "phase": "commentary"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1.0}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "free"},
        {"type": "function_call_output", "call_id": "c1", "output": "20:14"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_image", "image_url": "http://i", "detail": "auto"}],
        },
        {"type": "item_reference", "id": "msg_9"},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True, "defer_loading": True},
        {"type": "custom", "name": "g", "format": {"type": "text"}},
        {"type": "web_search", "filters": {}},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]},
    "reasoning": {"effort": "low", "summary": "auto", "context": "all_turns"},
    "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    "include": ["reasoning.encrypted_content", "file_search_call.results"],
    "max_output_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_logprobs": 2,
    "parallel_tool_calls": False,
    "previous_response_id": "resp_0",
    "store": True,
    "background": False,
    "metadata": {"a": "b"},
    "user": "u",
    "future": {"x": [1]},
    "stream": True,
    "stream_options": {"include_obfuscation": False},
}


def again(body: dict[str, Any]) -> Any:
    """The body after a change: encoded from the fields."""
    request = WIRE.decode_request(json.dumps(body).encode())
    request.raw = None
    translation = Translation("openai-responses")
    encoded = WIRE.encode_request(request, body["model"], translation)
    assert translation.dropped == []
    return json.loads(encoded.body)


def test_a_rich_request_comes_back_the_same() -> None:
    came_back = again(RICH)
    came_back["include"].remove("message.output_text.logprobs")  # asked for by top_logprobs
    assert came_back == RICH


def test_recorded_requests_come_back_saying_the_same() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared recordings are not here")
    bodies = [take.request.body for take in load_recordings(SHARED, api="openai-responses") if take.request]
    for body in bodies:
        came_back = again(body)
        for name in {name for name in body if body[name] is not None} - {"input", "tools", "stream"}:
            assert came_back[name] == body[name], name
        if isinstance(body["input"], list):
            kinds = [item.get("type", "message") for item in body["input"]]
            assert [item.get("type", "message") for item in came_back["input"]] == kinds


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": 7}, "input", "invalid_type"),
        ({"input": [{"content": "x"}]}, "input[0].type", "missing_required_parameter"),
        ({"input": [{"role": "conductor", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text", None),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url", None),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id", None),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", None),
        ({"tool_choice": "sometimes"}, "tool_choice", "invalid_value"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", None),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str, code: str | None) -> None:
    body = {name: value for name, value in {"model": "m", "input": "hi", **fields}.items() if value is not None}
    with pytest.raises(RequestError) as caught:
        WIRE.decode_request(json.dumps(body).encode())
    assert caught.value.status == 400
    assert caught.value.param == param
    assert code is None or caught.value.code == code
