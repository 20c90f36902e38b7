"""Requests of other APIs as Converse bodies: what botocore's model of the service takes, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import botocore.session
import msgspec
import pytest
from botocore.validate import ParamValidator

from providers.errors import RequestError, UnsupportedParameterError
from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    LLMRequest,
    Message,
    OpaquePart,
    Part,
    Reasoning,
    ReasoningPart,
    RequestMetadata,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from providers.wire.base import Translation
from providers.wire.bedrock_converse import WIRE, encode_count_request

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-lite-v1:0"
NOVA_2 = "global.amazon.nova-2-lite-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"

HI = Message(role="user", content=[TextPart(text="hi")])
SERVICE = botocore.session.Session().get_service_model("bedrock-runtime")


def request_of(*messages: Message, api: str = "openai-chat", **fields: Any) -> LLMRequest:
    return LLMRequest(model="m", messages=list(messages) or [HI], metadata=RequestMetadata(api=api), **fields)


def user(*parts: Part) -> LLMRequest:
    return request_of(Message(role="user", content=list(parts)))


def encoded(request: LLMRequest, model: str = CLAUDE, *, drop: bool = False) -> tuple[dict[str, Any], list[str]]:
    result = WIRE.encode_request(request, model, Translation("bedrock-converse", drop_unsupported=drop))
    body = msgspec.json.decode(result.body)
    assert_valid(body)
    return body, result.dropped


def assert_valid(body: dict[str, Any]) -> None:
    """As botocore would check it before it sent it. Blobs are base64 on the wire and anything bytes-like for it."""
    shape = SERVICE.operation_model("Converse").input_shape
    report = ParamValidator().validate({**body, "modelId": "m"}, shape)
    assert not report.has_errors(), report.generate_report()


TOOL = Tool(name="t", parameters={"properties": {"a": {"type": "string"}}})


def test_a_simple_request() -> None:
    assert encoded(request_of()) == ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, [])


@pytest.mark.parametrize("model", [CLAUDE, NOVA])
def test_betas_of_an_anthropic_client(model: str) -> None:
    thinking, long = "interleaved-thinking-2025-05-14", "context-1m-2025-08-07"
    flags = f"claude-code-20250219,{thinking}, {long},{thinking}"
    request = request_of(api="anthropic-messages")
    request.metadata.headers = {"anthropic-beta": flags}
    body, dropped = encoded(request, model)
    if model == CLAUDE:
        assert body["additionalModelRequestFields"] == {"anthropic_beta": [thinking, long]}
    else:
        assert "additionalModelRequestFields" not in body
    assert dropped == ["anthropic-beta"]
    request.metadata.headers = {"anthropic-beta": thinking}
    assert encoded(request, model)[1] == ([] if model == CLAUDE else ["anthropic-beta"])


def test_sampling_goes_into_the_inference_config() -> None:
    body, dropped = encoded(request_of(max_tokens=9, temperature=0.5, top_p=0.9, stop=["END"], seed=1), LLAMA)
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    assert dropped == ["seed"]
    assert "additionalModelResponseFieldPaths" not in body


def test_claude_is_asked_which_stop_sequence_matched() -> None:
    assert encoded(request_of(stop=["END"]))[0]["additionalModelResponseFieldPaths"] == ["/stop_sequence"]


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (CLAUDE, {"top_k": 5}),
        (NOVA, {"inferenceConfig": {"topK": 5}}),
        ("mistral.mistral-large-2407-v1:0", {"top_k": 5}),
        ("cohere.command-r-plus-v1:0", {"k": 5}),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x", {"top_k": 5}),
    ],
)
def test_top_k_is_the_familys_own_field(model: str, fields: dict[str, Any]) -> None:
    assert encoded(request_of(top_k=5), model)[0]["additionalModelRequestFields"] == fields


@pytest.mark.parametrize(
    ("model", "reasoning", "own", "output"),
    [
        (CLAUDE, Reasoning(effort="low"), {"thinking": {"type": "enabled", "budget_tokens": 2048}}, None),
        (CLAUDE, Reasoning(enabled=False), {"thinking": {"type": "disabled"}}, None),
        ("anthropic.claude-opus-4-7", Reasoning(effort="high"), {"thinking": {"type": "adaptive"}}, "high"),
        (
            NOVA_2,
            Reasoning(effort="minimal"),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            None,
        ),
        (NOVA_2, Reasoning(effort="none"), {"reasoningConfig": {"type": "disabled"}}, None),
        (GPT_OSS, Reasoning(budget_tokens=4000), {"reasoning_effort": "medium"}, None),
        (LLAMA, Reasoning(effort="xhigh"), None, "xhigh"),
        (LLAMA, Reasoning(enabled=True), None, "medium"),
    ],
)
def test_reasoning_in_the_familys_words(
    model: str, reasoning: Reasoning, own: dict[str, Any] | None, output: str | None
) -> None:
    body, dropped = encoded(request_of(reasoning=reasoning), model)
    assert body.get("additionalModelRequestFields") == own
    assert body.get("outputConfig", {}).get("effort") == output
    assert dropped == []


def test_claudes_limit_leaves_room_for_its_thinking() -> None:
    body, _ = encoded(request_of(reasoning=Reasoning(effort="high"), max_tokens=1000))
    assert body["inferenceConfig"]["maxTokens"] == 17384
    assert "inferenceConfig" not in encoded(request_of(reasoning=Reasoning(effort="high")))[0]


def test_reasoning_that_cannot_be_switched_off_is_named() -> None:
    assert encoded(request_of(reasoning=Reasoning(enabled=False)), GPT_OSS)[1] == ["reasoning"]


def test_turns_alternate_and_begin_with_results() -> None:
    body, dropped = encoded(
        request_of(
            Message(role="system", content=[TextPart(text="Be brief.")]),
            Message(role="user", name="Ann", content=[TextPart(text="a"), TextPart(text=" \n")]),
            Message(role="user", content=[TextPart(text="b")]),
            Message(role="assistant", content=[ToolCallPart(id="functions.f:0", name="f", arguments='{"x": 1.50}')]),
            Message(role="user", content=[TextPart(text="c")]),
            Message(role="tool", content=[ToolResultPart(tool_call_id="functions.f:0", content=[TextPart(text="r")])]),
            Message(role="assistant", content=[]),
            Message(role="developer", content=[TextPart(text="Be kind.")]),
            Message(role="user", content=[TextPart(text="d")]),
            tools=[TOOL],
        )
    )
    assert body["system"] == [{"text": "Be brief."}, {"text": "Be kind."}]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    call = {"toolUseId": "functions.f:0", "name": "f", "input": {"x": 1.5}}
    assert body["messages"][1]["content"] == [{"toolUse": call}]
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "functions.f:0", "content": [{"text": "r"}]}},
        {"text": "c"},
        {"text": "d"},
    ]
    assert dropped == ["messages.name"]


def test_an_id_that_the_service_refuses_is_written_alike_in_call_and_result() -> None:
    for call_id in ("call/1 ü", "x" * 65):
        call = Message(role="assistant", content=[ToolCallPart(id=call_id, name="f")])
        result = Message(role="tool", content=[ToolResultPart(tool_call_id=call_id, is_error=True)])
        body, _ = encoded(request_of(HI, call, result, tools=[TOOL]))
        used = body["messages"][1]["content"][0]["toolUse"]
        given = body["messages"][2]["content"][0]["toolResult"]
        assert used["toolUseId"] == given["toolUseId"]
        assert len(used["toolUseId"]) <= 64
        assert (used["input"], given["status"]) == ({}, "error")


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (None, None),
        (ToolChoice(mode="auto"), {"auto": {}}),
        (ToolChoice(mode="required"), {"any": {}}),
        (ToolChoice(mode="tool", name="t"), {"tool": {"name": "t"}}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, wire: dict[str, Any] | None) -> None:
    tool = Tool(name="t", description="", parameters={"properties": {}}, strict=True)
    config = encoded(request_of(tools=[tool], tool_choice=choice))[0]["toolConfig"]
    assert config.get("toolChoice") == wire
    schema = {"type": "object", "properties": {}}
    assert config["tools"] == [{"toolSpec": {"name": "t", "inputSchema": {"json": schema}, "strict": True}}]


def test_no_tools_are_no_tools_until_the_conversation_has_used_some() -> None:
    none = ToolChoice(mode="none")
    assert "toolConfig" not in encoded(request_of(tools=[TOOL], tool_choice=none))[0]
    used = Message(role="assistant", content=[ToolCallPart(id="1", name="t")])
    body, dropped = encoded(request_of(HI, used, tools=[TOOL], tool_choice=none))
    assert (list(body["toolConfig"]), dropped) == (["tools"], ["tool_choice"])


def test_tools_of_the_conversation_are_defined_if_no_others_are() -> None:
    calls = [ToolCallPart(id="1", name="t"), ToolCallPart(id="2", name="u"), ToolCallPart(id="3", name="t")]
    used = Message(role="assistant", content=list(calls))
    body, dropped = encoded(request_of(HI, used))
    schema = {"json": {"type": "object", "properties": {}}}
    assert body["toolConfig"] == {"tools": [{"toolSpec": {"name": name, "inputSchema": schema}} for name in "tu"]}
    assert dropped == []


@pytest.mark.parametrize(
    ("choice", "own"),
    [
        (None, {"type": "auto"}),
        (ToolChoice(mode="required"), {"type": "any"}),
        (ToolChoice(mode="tool", name="t"), {"type": "tool", "name": "t"}),
    ],
)
def test_claude_calls_one_tool_at_a_time_if_asked(choice: ToolChoice | None, own: dict[str, Any]) -> None:
    body, _ = encoded(request_of(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False))
    wanted = {"tool_choice": {**own, "disable_parallel_tool_use": True}}
    assert body["additionalModelRequestFields"] == wanted
    assert "toolChoice" not in body["toolConfig"]


def test_structured_output_is_a_schema_as_text() -> None:
    form = ResponseFormat(kind="json_schema", name="City", description="d", schema={"type": "object"})
    assert encoded(request_of(response_format=form))[0]["outputConfig"] == {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "City", "description": "d"}},
        }
    }


def test_images_documents_videos_and_audio() -> None:
    body, _ = encoded(
        user(
            ImagePart(url="data:image/jpg;base64,AAAA"),
            ImagePart(url="s3://bucket/tide.webp"),
            FilePart(
                data="AAAA", media_type="application/pdf", filename="Tide_table: 2026.pdf", context="c", citations=True
            ),
            FilePart(data="AAAA", filename="Tide_table: 2026.pdf"),
            FilePart(text="plain", filename="notes.txt"),
            FilePart(data="data:text/csv;base64,AAAA"),
            FilePart(data="AAAA", media_type="video/mp4"),
            FilePart(url="s3://bucket/x.docx"),
            AudioPart(data="AAAA", format="mp3"),
        )
    )
    inline = {"bytes": "AAAA"}
    assert body["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": inline}},
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/tide.webp"}}}},
        {
            "document": {
                "format": "pdf",
                "name": "Tide-table- 2026-pdf",
                "source": inline,
                "context": "c",
                "citations": {"enabled": True},
            }
        },
        {"document": {"format": "pdf", "name": "Tide-table- 2026-pdf 2", "source": inline}},
        {"document": {"format": "txt", "name": "notes-txt", "source": {"bytes": base64.b64encode(b"plain").decode()}}},
        {"document": {"format": "csv", "name": "document", "source": inline}},
        {"video": {"format": "mp4", "source": inline}},
        {"document": {"format": "docx", "name": "document 2", "source": {"s3Location": {"uri": "s3://bucket/x.docx"}}}},
        {"audio": {"format": "mp3", "source": inline}},
    ]


def test_cache_points_stand_after_what_they_cache_where_the_model_can() -> None:
    mark, hour = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
    request = request_of(
        Message(role="system", content=[TextPart(text="s", cache_control=hour)]),
        Message(role="user", content=[TextPart(text="u", cache_control=mark)]),
        tools=[Tool(name="t", cache_control=mark)],
        api="anthropic-messages",
    )
    body, dropped = encoded(request)
    point = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["messages"][0]["content"] == [{"text": "u"}, point]
    assert body["toolConfig"]["tools"][1] == point
    assert dropped == []
    body, dropped = encoded(request, LLAMA)
    assert (body["system"], dropped) == ([{"text": "s"}], ["cache_control"])


def test_only_signed_reasoning_goes_back() -> None:
    parts: list[Part] = [
        ReasoningPart(text="a", signature="sig", format="anthropic-claude-v1"),
        ReasoningPart(redacted="EqQB", format="anthropic-claude-v1"),
        ReasoningPart(redacted="/w==", format="bedrock-converse-v1"),
        ReasoningPart(text="unsigned"),
        ReasoningPart(text="b", signature="sig", format="google-gemini-v1"),
        ReasoningPart(redacted="x", format="openai-responses-v1"),
        OpaquePart(kind="web_search_call", api="openai-responses", raw=msgspec.Raw(b"{}")),
        TextPart(text="y"),
    ]
    body, dropped = encoded(request_of(HI, Message(role="assistant", content=parts)))
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "a", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"EqQB").decode()}},
        {"reasoningContent": {"redactedContent": "/w=="}},
        {"text": "y"},
    ]
    assert dropped == ["messages[].content[web_search_call]", "messages.reasoning"]


FOREIGN = msgspec.Raw(b"1")
CUSTOM_CALL = ToolCallPart(id="c", name="t", arguments="free text", kind="custom")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (request_of(temperature=1.5), "temperature"),
        (request_of(frequency_penalty=0.1), "frequency_penalty"),
        (request_of(logit_bias={"1": 5}), "logit_bias"),
        (request_of(logprobs=True), "logprobs"),
        (request_of(n=2), "n"),
        (request_of(top_k=5), "top_k"),
        (request_of(tools=[TOOL], parallel_tool_calls=False), "parallel_tool_calls"),
        (request_of(response_format=ResponseFormat(kind="json_object")), "response_format"),
        (request_of(tools=[Tool(name="t", kind="custom", api="openai-chat", raw={})]), "tools"),
        (request_of(extra={"modalities": FOREIGN}), "modalities"),
        (user(ImagePart(url="https://x/y.png")), "messages.content.image_url"),
        (user(ImagePart(file_id="f")), "messages.content.image.file_id"),
        (user(ImagePart(data="AA==", media_type="image/tiff")), "messages.content.image"),
        (user(FilePart(url="https://x/y.pdf")), "messages.content.file.url"),
        (user(FilePart(file_id="f")), "messages.content.file.file_id"),
        (user(FilePart(data="AA==", media_type="application/zip")), "messages.content.file"),
        (user(AudioPart(data="AA==", format="g711")), "messages.content.input_audio.format"),
        (request_of(HI, Message(role="assistant", content=[CUSTOM_CALL])), "messages.tool_calls.custom"),
        (request_of(Message(role="system", content=[ImagePart(data="AA==")])), "messages.content"),
    ],
)
def test_what_would_change_the_answer_is_refused_or_dropped_by_name(request_: LLMRequest, param: str) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        encoded(request_, LLAMA)
    assert caught.value.param == param
    request_.messages.append(HI)
    assert encoded(request_, LLAMA, drop=True)[1] == [param]


def test_what_asks_for_nothing_is_not_named() -> None:
    asked = request_of(
        temperature=1.0, frequency_penalty=0, logit_bias={}, logprobs=False, n=1, parallel_tool_calls=True
    )
    assert encoded(asked)[1] == []


def test_labels_and_hints() -> None:
    request = request_of(hints={"store": FOREIGN})
    request.metadata.user_id = "user-7"
    assert encoded(request)[0]["requestMetadata"] == {"user_id": "user-7"}
    request.metadata.user_id = '{"json": "no label"}'
    assert sorted(encoded(request)[1]) == ["store", "user"]


@pytest.mark.parametrize("arguments", ["{", "[1]", "null"])
def test_arguments_that_are_no_object_are_named(arguments: str) -> None:
    call = Message(role="assistant", content=[ToolCallPart(id="c1", name="f", arguments=arguments)])
    with pytest.raises(RequestError, match="'c1' of 'f'"):
        encoded(request_of(HI, call), drop=True)


def test_a_conversation_without_a_turn_is_refused() -> None:
    with pytest.raises(RequestError, match="at least one user message"):
        encoded(request_of(Message(role="system", content=[TextPart(text="only this")])))


def test_only_input_is_counted() -> None:
    request = request_of(
        Message(role="system", content=[TextPart(text="s")]), HI, tools=[TOOL], max_tokens=5, stop=["x"], seed=3
    )
    result = encode_count_request(request, CLAUDE, Translation("bedrock-converse"))
    counted = msgspec.json.decode(result.body)
    shape = SERVICE.operation_model("CountTokens").input_shape
    assert not ParamValidator().validate({**counted, "modelId": "m"}, shape).has_errors()
    assert sorted(counted["input"]["converse"]) == ["messages", "system", "toolConfig"]
