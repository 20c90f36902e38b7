"""A vendor's dialect, in both lanes: what it answers with an error goes, what it takes stays as it was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import UnsupportedParameterError
from providers.model import LLMRequest, Message, Reasoning, ReasoningPart, RequestMetadata, TextPart, ToolChoice
from providers.model.request import ResponseFormat
from providers.wire.base import EncodedRequest, Translation
from providers.wire.openai_chat import WIRE
from providers.wire.openai_chat.dialect import Dialect
from providers.wire.openai_chat.dialect_request import encode_in_dialect, relay_in_dialect
from providers.wire.openai_chat.request_decoder import _PLAIN, _READERS

KNOWN = frozenset({*_PLAIN, *_READERS, "model", "messages", "max_completion_tokens"})
"""Parameters whose types are checked before."""

HI: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def relay_bytes(dialect: Dialect, body: bytes, *, drop_unsupported: bool = False) -> EncodedRequest:
    request = WIRE.decode_request(body)
    return relay_in_dialect(request, "m", Translation("vendor", drop_unsupported=drop_unsupported), dialect)


def relay(dialect: Dialect, drop_unsupported: bool = False, **parameters: Any) -> tuple[dict[str, Any], list[str]]:
    """The lossless lane: an OpenAI client's request."""
    encoded = relay_bytes(dialect, json.dumps({**HI, **parameters}).encode(), drop_unsupported=drop_unsupported)
    return json.loads(encoded.body), encoded.dropped


def translate(dialect: Dialect, drop_unsupported: bool = False, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """As the Anthropic codec decodes a client's request."""
    fields.setdefault("messages", [Message(role="user", content=[TextPart(text="hi")])])
    request = LLMRequest(model="claude", metadata=RequestMetadata(api="anthropic-messages"), **fields)
    translation = Translation("vendor", drop_unsupported=drop_unsupported)
    encoded = encode_in_dialect(request, "m", translation, dialect)
    return json.loads(encoded.body), encoded.dropped


def test_a_request_that_needs_no_change_is_relayed_byte_for_byte() -> None:
    body = b'{ "messages": [ {"role":"user","content":"h\\u00e9"} ],\n "temperature": 1.0, "model":"m", "odd": [1e2] }'
    everything = Dialect(
        max_tokens="max_tokens",
        developer_role="system",
        message_names=False,
        renames={"seed": "random_seed"},
        refuses=frozenset({"n"}),
        drops=frozenset({"user"}),
    )
    encoded = relay_bytes(everything, body)
    assert encoded.body == body
    assert encoded.dropped == []


def test_what_is_not_changed_keeps_its_bytes_and_its_place() -> None:
    messages = b'[{"role":"user","content":"h\\u00e9"}]'
    body = b'{"a":[1e2, "\\u00e9"],"max_completion_tokens":7,"model":"m","messages":%b}' % messages
    encoded = relay_bytes(Dialect(max_tokens="max_tokens"), body)
    assert encoded.body == body.replace(b"max_completion_tokens", b"max_tokens")


def test_the_limit_has_the_vendors_name() -> None:
    dialect = Dialect(max_tokens="max_tokens")
    assert relay(dialect, max_completion_tokens=5)[0]["max_tokens"] == 5
    assert relay(dialect, max_tokens=5)[0]["max_tokens"] == 5
    both = relay(dialect, max_tokens=5, max_completion_tokens=6)[0]
    assert (both["max_tokens"], "max_completion_tokens" in both) == (6, False)
    assert translate(dialect, max_tokens=5)[0]["max_tokens"] == 5
    assert translate(Dialect(), max_tokens=5)[0]["max_completion_tokens"] == 5


def test_a_parameter_answered_with_an_error_is_refused_in_both_lanes() -> None:
    dialect = Dialect(refuses=frozenset({"logit_bias", "n"}))
    with pytest.raises(UnsupportedParameterError) as refused:
        relay(dialect, logit_bias={"1": 2})
    assert refused.value.param == "logit_bias"
    with pytest.raises(UnsupportedParameterError):
        translate(dialect, n=2)
    body, dropped = relay(dialect, drop_unsupported=True, logit_bias={"1": 2}, n=2)
    assert body == HI
    assert dropped == ["logit_bias", "n"]


@pytest.mark.parametrize("parameter", [{"n": 1}, {"n": None}, {"logit_bias": {}}, {"logprobs": False}])
def test_a_refused_parameter_that_says_nothing_just_goes(parameter: dict[str, Any]) -> None:
    dialect = Dialect(refuses=frozenset({"n", "logit_bias", "logprobs"}))
    assert relay(dialect, **parameter) == (HI, [])


def test_a_harmless_one_is_dropped_and_named() -> None:
    dialect = Dialect(drops=frozenset({"service_tier"}))
    assert relay(dialect, service_tier="flex") == (HI, ["service_tier"])


def test_what_has_no_effect_is_refused_to_clients_of_other_apis_only() -> None:
    dialect = Dialect(ignores=frozenset({"frequency_penalty"}))
    assert relay(dialect, frequency_penalty=1.5)[0]["frequency_penalty"] == 1.5
    with pytest.raises(UnsupportedParameterError) as refused:
        translate(dialect, frequency_penalty=1.5)
    assert refused.value.param == "frequency_penalty"


def test_a_closed_list_lets_nothing_else_through() -> None:
    dialect = Dialect(accepts=frozenset({"temperature"}))
    body, dropped = relay(dialect, temperature=1, user="u", store=True)
    assert body == {**HI, "temperature": 1}
    assert dropped == ["user", "store"]
    with pytest.raises(UnsupportedParameterError) as refused:
        relay(dialect, web_search_options={})
    assert refused.value.param == "web_search_options"


def test_choices_are_checked_for_clients_of_other_apis_only() -> None:
    dialect = Dialect(tool_choices=frozenset({"auto"}), response_formats=frozenset({"text"}))
    tools = [{"type": "function", "function": {"name": "f"}}]
    asked = {"tools": tools, "tool_choice": "required", "response_format": {"type": "json_object"}}
    assert relay(dialect, **asked)[0] == {**HI, **asked}
    tool = WIRE.decode_request(json.dumps({**HI, "tools": tools}).encode()).tools
    with pytest.raises(UnsupportedParameterError, match="only 'auto'"):
        translate(dialect, tools=tool, tool_choice=ToolChoice(mode="required"))
    assert "tool_choice" in translate(dialect, tools=tool, tool_choice=ToolChoice(mode="auto"))[0]
    with pytest.raises(UnsupportedParameterError, match="response_format"):
        translate(dialect, response_format=ResponseFormat(kind="json_object"))


def test_stream_options_go_only_where_they_are_taken() -> None:
    assert relay(Dialect(), stream=True)[0]["stream_options"] == {"include_usage": True}
    silent = Dialect(stream_options=False)
    assert "stream_options" not in relay(silent, stream=True, stream_options={"include_usage": True})[0]
    assert "stream_options" not in translate(silent, stream=True)[0]


def test_a_developer_message_goes_under_the_role_that_is_known() -> None:
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "name": "ann", "content": "hi"}]
    body, dropped = relay(Dialect(developer_role="system"), messages=messages)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][1] == messages[1]
    assert dropped == []


def test_names_of_messages_are_dropped_where_they_are_an_error() -> None:
    messages = [{"role": "user", "name": "ann", "content": "hi", "odd": 1.50}]
    body, dropped = relay(Dialect(message_names=False), messages=messages)
    assert body["messages"] == [{"role": "user", "content": "hi", "odd": 1.50}]
    assert dropped == ["messages[].name"]


THOUGHT = Message(
    role="assistant", content=[ReasoningPart(text="Hm.", signature="sig"), TextPart(index=1, text="Yes.")]
)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("reasoning_content", {"content": "Yes.", "reasoning_content": "Hm."}),
        ("reasoning", {"content": "Yes.", "reasoning": "Hm."}),
        (
            "thinking",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                    {"type": "text", "text": "Yes."},
                ]
            },
        ),
        (None, {"content": "Yes."}),
    ],
)
def test_reasoning_of_earlier_turns_goes_where_the_vendor_wants_it(field: Any, expected: dict[str, Any]) -> None:
    body, dropped = translate(Dialect(reasoning_returned=field), messages=[THOUGHT])
    assert body["messages"] == [{"role": "assistant", **expected}]
    assert dropped == ([] if field else ["messages[].content[thinking]"])


def test_signed_reasoning_goes_back_whole_in_details() -> None:
    body, _ = translate(Dialect(reasoning_returned="reasoning_details"), messages=[THOUGHT])
    assert body["messages"][0]["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm.", "signature": "sig", "index": 0}
    ]


@pytest.mark.parametrize(
    ("asked", "reasoning", "expected", "dropped"),
    [
        ("reasoning_effort", Reasoning(enabled=True, budget_tokens=4000), {"reasoning_effort": "medium"}, []),
        (
            "reasoning",
            Reasoning(enabled=True, budget_tokens=4000),
            {"reasoning": {"enabled": True, "max_tokens": 4000}},
            [],
        ),
        ("thinking", Reasoning(enabled=False), {"thinking": {"type": "disabled"}}, []),
        (
            "thinking",
            Reasoning(enabled=True, budget_tokens=4000),
            {"thinking": {"type": "enabled"}},
            ["thinking.budget_tokens"],
        ),
        (
            "thinking",
            Reasoning(effort="high"),
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
            [],
        ),
        (
            "enable_thinking",
            Reasoning(enabled=True, budget_tokens=4000),
            {"enable_thinking": True, "thinking_budget": 4000},
            [],
        ),
        ("enable_thinking", Reasoning(enabled=False), {"enable_thinking": False}, []),
    ],
)
def test_reasoning_is_asked_for_in_the_vendors_words(
    asked: Any, reasoning: Reasoning, expected: dict[str, Any], dropped: list[str]
) -> None:
    body, named = translate(Dialect(reasoning_asked=asked), reasoning=reasoning)
    assert body == {**HI, **expected}
    assert named == dropped


def test_top_k_goes_where_it_is_known() -> None:
    with pytest.raises(UnsupportedParameterError):
        translate(Dialect(), top_k=40)
    assert translate(Dialect(beyond=frozenset({"top_k"})), top_k=40)[0]["top_k"] == 40


def test_cache_breakpoints_of_another_api_go_where_they_are_known() -> None:
    ephemeral = {"type": "ephemeral"}
    messages = [Message(role="user", content=[TextPart(text="hi", cache_control=ephemeral)])]
    body, dropped = translate(Dialect(beyond=frozenset({"cache_control"})), messages=messages)
    assert body["messages"][0]["content"] == [{"type": "text", "text": "hi", "cache_control": ephemeral}]
    assert dropped == []
    assert translate(Dialect(), messages=messages)[1] == ["messages[].content[].cache_control"]


def test_a_function_without_parameters_gets_those_of_no_arguments_where_they_are_demanded() -> None:
    bare = {"type": "function", "function": {"name": "now"}}
    full = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "odd": 1.0}}}
    body, _ = relay(Dialect(tool_parameters=True), tools=[bare, full])
    nothing = {"type": "object", "properties": {}}
    assert body["tools"] == [{"type": "function", "function": {"name": "now", "parameters": nothing}}, full]
    assert relay(Dialect(), tools=[bare])[0]["tools"] == [bare]


def test_only_a_user_right_after_a_tool_changes_the_order_of_messages() -> None:
    said = [{"role": "user", "content": "hi"}, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    dialect = Dialect(assistant_after_tool=True)
    assert relay(dialect, messages=said)[0]["messages"] == said
    body, _ = relay(dialect, messages=[*said, said[0]])
    assert [message["role"] for message in body["messages"]] == ["user", "tool", "assistant", "user"]
    assert relay(Dialect(), messages=[*said, said[0]])[0]["messages"] == [*said, said[0]]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(more=st.dictionaries(st.text().filter(lambda name: name not in KNOWN), JSON, max_size=4))
def test_whatever_openai_may_come_to_know_is_relayed_to_its_like(more: dict[str, Any]) -> None:
    body = json.dumps({**HI, **more}, indent=1).encode()
    assert relay_bytes(Dialect(), body).body == body
