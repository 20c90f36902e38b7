"""Mistral's dialect: its closed lists, reasoning as a part of the content, and nine-character ids of tool calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import UnsupportedParameterError
from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    LLMRequest,
    Message,
    ReasoningPart,
    RequestMetadata,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.base import Translation
from providers.wire.openai_chat import WIRE
from providers.wire.openai_chat.dialect_request import encode_in_dialect, relay_in_dialect
from providers.wire.openai_chat.mistral import DIALECT, call_id, patch_message


def relay(messages: list[dict[str, Any]], **parameters: Any) -> tuple[dict[str, Any], list[str]]:
    body = json.dumps({"model": "m", "messages": messages, **parameters}).encode()
    encoded = relay_in_dialect(WIRE.decode_request(body), "m", Translation("mistral"), DIALECT, patch_message)
    return json.loads(encoded.body), encoded.dropped


def translate(*messages: Message, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    request = LLMRequest(
        model="claude", messages=list(messages), metadata=RequestMetadata(api="anthropic-messages"), **fields
    )
    encoded = encode_in_dialect(request, "m", Translation("mistral"), DIALECT, patch_message)
    return json.loads(encoded.body), encoded.dropped


HI = [{"role": "user", "content": "hi"}]


def test_its_own_words_go_on_byte_for_byte() -> None:
    body = json.dumps(
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": "https://x/y.png"}]},
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True}],
                    "tool_calls": [{"id": "AbCdE1234", "function": {"name": "f", "arguments": {"a": 1.0}}}],
                },
                {"role": "tool", "tool_call_id": "AbCdE1234", "name": "f", "content": "1"},
                {"role": "assistant", "content": "So ", "prefix": True},
            ],
            "random_seed": 1,
            "safe_prompt": True,
            "prompt_mode": "reasoning",
            "max_tokens": 5,
        },
        indent=1,
    ).encode()
    encoded = relay_in_dialect(WIRE.decode_request(body), "m", Translation("mistral"), DIALECT, patch_message)
    assert encoded.body == body


def test_openais_words_become_its_own() -> None:
    body, dropped = relay(HI, seed=7, max_completion_tokens=9, user="u", stream=True, parallel_tool_calls=False)
    assert body == {
        "model": "m",
        "messages": HI,
        "random_seed": 7,
        "max_tokens": 9,
        "stream": True,
        "parallel_tool_calls": False,
    }
    assert dropped == ["user"]


def test_a_parameter_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(UnsupportedParameterError) as refused:
        relay(HI, logit_bias={"5": 1})
    assert refused.value.param == "logit_bias"


def test_what_an_sdk_sends_back_of_an_answer_is_cut_to_what_it_knows() -> None:
    answer = {
        "role": "assistant",
        "content": "Yes.",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
        "reasoning_content": "Hm.",
    }
    body, dropped = relay([*HI, answer])
    assert body["messages"][1] == {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
            {"type": "text", "text": "Yes."},
        ],
        "tool_calls": None,
    }
    assert dropped == []


def test_thinking_comes_and_goes_as_a_part_of_the_content() -> None:
    answer = {
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True},
                        {"type": "text", "text": "Yes."},
                    ],
                },
            }
        ]
    }
    [choice] = WIRE.decode_response(json.dumps(answer).encode()).choices
    assert choice.message is not None
    assert [type(part) for part in choice.message.content] == [ReasoningPart, TextPart]
    said = Message(role="assistant", content=choice.message.content)
    body, dropped = translate(said, Message(role="user", content=[TextPart(text="hi")]))
    assert body["messages"] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                {"type": "text", "text": "Yes."},
            ],
        },
        *HI,
    ]
    assert dropped == []


def test_ids_of_calls_and_results_are_changed_alike() -> None:
    calls = [
        {"id": "call_00000000000000000000001", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "keepThis1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    messages = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": calls[0]["id"], "content": "1"},
        {"role": "tool", "tool_call_id": calls[1]["id"], "content": "2"},
    ]
    body, _ = relay(messages)
    sent = [call["id"] for call in body["messages"][1]["tool_calls"]]
    assert sent == [message["tool_call_id"] for message in body["messages"][2:]]
    assert sent == [call_id("call_00000000000000000000001"), "keepThis1"]
    assert body["messages"][1]["tool_calls"][0]["function"] == calls[0]["function"]
    translated, _ = translate(
        Message(role="assistant", content=[ToolCallPart(id="toolu_1", name="f", arguments="{}")]),
        Message(role="tool", content=[ToolResultPart(tool_call_id="toolu_1", content=[TextPart(text="1")])]),
    )
    assert translated["messages"][0]["tool_calls"][0]["id"] == translated["messages"][1]["tool_call_id"]


@given(st.text(min_size=1), st.text(min_size=1))
def test_an_id_always_fits_and_stays_itself(one: str, other: str) -> None:
    assert len(call_id(one)) == 9
    assert call_id(one).isascii()
    assert call_id(one).isalnum()
    assert call_id(call_id(one)) == call_id(one)
    assert (call_id(one) == call_id(other)) == (one == other)


def test_documents_and_audio_in_its_form() -> None:
    body, dropped = translate(
        Message(
            role="user",
            content=[
                FilePart(index=0, url="https://x/y.pdf"),
                FilePart(index=1, data="QQ==", media_type="application/pdf", filename="a.pdf"),
                AudioPart(index=2, data="UklG", format="wav"),
            ],
        )
    )
    assert body["messages"][0]["content"] == [
        {"type": "document_url", "document_url": "https://x/y.pdf"},
        {"type": "document_url", "document_url": "data:application/pdf;base64,QQ==", "document_name": "a.pdf"},
        {"type": "input_audio", "input_audio": "UklG"},
    ]
    assert dropped == []


def test_a_call_of_the_old_kind_is_refused() -> None:
    with pytest.raises(UnsupportedParameterError, match="function_call"):
        relay([*HI, {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}])


CALLED = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "AbCdE1234", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "AbCdE1234", "content": "1"}
BRIDGE = {"role": "assistant", "content": "Done."}


def test_the_assistant_speaks_between_a_tool_and_a_user() -> None:
    said = [*HI, CALLED, RESULT, *HI, CALLED, RESULT, *HI]
    bridged = [*HI, CALLED, RESULT, BRIDGE, *HI, CALLED, RESULT, BRIDGE, *HI]
    assert relay(said)[0]["messages"] == bridged
    assert relay(bridged)[0]["messages"] == bridged


def test_pictures_of_a_result_come_after_the_assistants_word() -> None:
    picture = ToolResultPart(tool_call_id="AbCdE1234", content=[ImagePart(url="https://h/a.png")])
    call = Message(role="assistant", content=[ToolCallPart(id="AbCdE1234", name="f")])
    body, dropped = translate(
        Message(role="user", content=[TextPart(text="hi")]), call, Message(role="tool", content=[picture])
    )
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "assistant", "user"]
    assert (body["messages"][3], dropped) == (BRIDGE, [])


def test_the_beginning_of_the_answer_is_a_prefix() -> None:
    hi, so = Message(role="user", content=[TextPart(text="hi")]), [TextPart(text="So")]
    body, _ = translate(hi, Message(role="assistant", content=list(so)), hi, Message(role="assistant", content=so))
    assert [message.get("prefix") for message in body["messages"]] == [None, None, None, True]
    call = Message(role="assistant", content=[ToolCallPart(id="AbCdE1234", name="f")])
    assert "prefix" not in translate(hi, call)[0]["messages"][-1]
    # A client of Mistral's own API says it itself.
    assert relay([*HI, {"role": "assistant", "content": "So"}])[0]["messages"][-1] == {
        "role": "assistant",
        "content": "So",
    }
