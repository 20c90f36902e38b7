"""Thinking, and what goes with it, for clients of other APIs: what each Claude takes, by Anthropic and by Bedrock."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from providers.errors import UnsupportedParameterError
from providers.model import (
    LLMRequest,
    Message,
    Part,
    Reasoning,
    ReasoningPart,
    RequestMetadata,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from providers.wire import load_wire
from providers.wire.anthropic_messages.models import Claude, claude_of
from providers.wire.base import Translation

BUDGET, ADAPTIVE, LATER = "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-8"
LOW = Reasoning(effort="low")
ENABLED = {"type": "enabled", "budget_tokens": 2048}


def user(*parts: Part | str) -> Message:
    return Message(role="user", content=[TextPart(text=part) if isinstance(part, str) else part for part in parts])


def assistant(*parts: Part) -> Message:
    return Message(role="assistant", content=list(parts))


def asked(*messages: Message, api: str = "openai-chat", **fields: Any) -> LLMRequest:
    fields = {"reasoning": LOW, **fields}
    return LLMRequest(model="m", messages=list(messages) or [user("hi")], metadata=RequestMetadata(api=api), **fields)


def sent(request: LLMRequest, model: str = BUDGET) -> tuple[dict[str, Any], list[str]]:
    encoded = load_wire("anthropic-messages").encode_request(request, model, Translation("anthropic-messages"))
    return msgspec.json.decode(encoded.body), encoded.dropped


def sent_to_bedrock(request: LLMRequest, model: str = BUDGET) -> tuple[dict[str, Any], list[str]]:
    """The same fields, out of Converse's places for them."""
    encoded = load_wire("bedrock-converse").encode_request(
        request, f"eu.anthropic.{model}-v1:0", Translation("bedrock-converse")
    )
    body = msgspec.json.decode(encoded.body)
    fields = {**body.get("inferenceConfig", {}), **body.get("additionalModelRequestFields", {})}
    return {"top_p" if name == "topP" else name: value for name, value in fields.items()}, encoded.dropped


# --- models ----------------------------------------------------------------------------------------------------------

THREE = ("low", "medium", "high")
FIVE = (*THREE, "xhigh", "max")


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (
            ("claude-2.1", "claude-instant-1.2", "anthropic.claude-v2:1", "claude-3-haiku-20240307"),
            Claude(thinks=False, efforts=THREE),
        ),
        (
            ("claude-3-5-sonnet-20241022", "anthropic/claude-3.5-haiku", "eu.anthropic.claude-3-5-haiku-20241022-v1:0"),
            Claude(thinks=False, efforts=THREE),
        ),
        (
            ("claude-3-7-sonnet-latest", "anthropic/claude-3.7-sonnet", "claude-sonnet-4@20250514", "claude-opus-4-0"),
            Claude(efforts=THREE),
        ),
        (
            ("claude-opus-4-1-20250805", "claude-haiku-4-5", "us.anthropic.claude-opus-4-5-20251101-v1:0"),
            Claude(efforts=THREE, takes_one_sampler=True),
        ),
        (
            ("claude-sonnet-4-6", "anthropic/claude-4.6-opus"),
            Claude(is_adaptive=True, efforts=(*THREE, "max"), takes_one_sampler=True),
        ),
        (("claude-opus-4-7",), Claude(is_adaptive=True, efforts=FIVE, samples=False, takes_one_sampler=True)),
        (
            ("claude-opus-4-8", "claude-sonnet-5", "claude-opus-5", "claude-haiku-5-5"),
            Claude(is_adaptive=True, efforts=FIVE, samples=False, takes_one_sampler=True, is_forced_thinking=True),
        ),
        (("claude-mythos-preview",), Claude(is_adaptive=True, efforts=(*THREE, "max"), off=None, samples=False)),
        (("kimi-k2", "deepseek-reasoner", "my-claude"), Claude()),
    ],
)
def test_models_by_name(names: tuple[str, ...], known: Claude) -> None:
    for name in names:
        found = claude_of(name)
        assert sorted(found.efforts) == sorted(known.efforts), name
        assert msgspec.structs.replace(found, efforts=known.efforts) == known, name


@pytest.mark.parametrize(
    ("model", "off"),
    [
        ("claude-opus-5", "disabled"),
        ("claude-haiku-5-5", "disabled"),
        ("claude-sonnet-5-5", "between_tools"),
        ("claude-opus-5-5", None),
        ("claude-fable-5", None),
        ("claude-mythos-5-1", None),
    ],
)
def test_switched_off_as_far_as_it_goes(model: str, off: str | None) -> None:
    body, dropped = sent(asked(reasoning=Reasoning(enabled=False)), model)
    if off is not None:
        assert (body["thinking"], dropped) == ({"type": off}, [])
    else:
        assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
        assert dropped == ["reasoning"]


@pytest.mark.parametrize(
    ("model", "effort", "level"),
    [
        ("claude-opus-4-6", "minimal", "low"),
        ("claude-opus-4-6", "high", "high"),
        ("claude-opus-4-6", "xhigh", "high"),
        ("claude-sonnet-4-6", "max", "max"),
        ("claude-opus-4-7", "xhigh", "xhigh"),
        ("claude-mythos-preview", "xhigh", "high"),
        ("claude-sonnet-5", "max", "max"),
    ],
)
def test_efforts_are_those_that_the_model_has(model: str, effort: str, level: str) -> None:
    assert sent(asked(reasoning=Reasoning(effort=effort)), model)[0]["output_config"] == {"effort": level}


@pytest.mark.parametrize("send", [sent, sent_to_bedrock])
def test_a_model_that_does_not_think_is_not_asked_to(send: Any) -> None:
    for model in ("claude-3-5-sonnet-20241022", "claude-3-haiku-20240307"):
        body, dropped = send(asked(), model)
        assert ("thinking" in body, dropped) == (False, ["reasoning"])
        body, dropped = send(asked(reasoning=Reasoning(effort="none")), model)
        assert ("thinking" in body, dropped) == (False, [])


def test_a_budget_left_to_the_model_is_one_for_models_without_adaptive_thinking() -> None:
    adaptive = Reasoning(enabled=True, adaptive=True)
    assert sent(asked(reasoning=adaptive))[0]["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    assert sent(asked(reasoning=adaptive), "kimi-k2")[0]["thinking"] == {"type": "adaptive"}


# --- what is refused beside thinking ---------------------------------------------------------------------------------


@pytest.mark.parametrize("send", [sent, sent_to_bedrock])
@pytest.mark.parametrize(
    ("model", "reasoning", "given", "left_out"),
    [
        (BUDGET, LOW, {"temperature": 0.2}, ["temperature"]),
        (BUDGET, LOW, {"temperature": 1.5}, ["temperature"]),
        (BUDGET, LOW, {"temperature": 1}, []),
        (BUDGET, LOW, {"top_k": 5}, ["top_k"]),
        (BUDGET, LOW, {"top_p": 0.9}, ["top_p"]),
        (BUDGET, LOW, {"top_p": 0.95}, []),
        (BUDGET, LOW, {"temperature": 0.2, "top_p": 0.97}, ["temperature"]),
        (ADAPTIVE, LOW, {"temperature": 0.2, "top_k": 5, "top_p": 0.9}, ["temperature", "top_k", "top_p"]),
        (BUDGET, None, {"temperature": 0.2}, []),
        (BUDGET, Reasoning(enabled=False), {"top_k": 5, "top_p": 0.9}, []),
        (BUDGET, None, {"temperature": 0.2, "top_p": 0.9}, ["top_p"]),
        (BUDGET, None, {"temperature": 1, "top_p": 0.9}, ["temperature"]),
        ("claude-sonnet-4-20250514", None, {"temperature": 0.2, "top_p": 0.9}, []),
        (LATER, None, {"temperature": 0.2, "top_k": 5, "top_p": 1}, ["temperature", "top_k", "top_p"]),
    ],
)
def test_sampling(send: Any, model: str, reasoning: Reasoning | None, given: Any, left_out: list[str]) -> None:
    body, dropped = send(asked(reasoning=reasoning, **given), model)
    assert dropped == left_out
    assert {name: body[name] for name in given if name in body} == {
        name: value for name, value in given.items() if name not in left_out
    }


def test_what_an_anthropic_client_says_stays() -> None:
    own = asked(
        api="anthropic-messages",
        reasoning=Reasoning(enabled=True, budget_tokens=2048),
        temperature=0.2,
        top_k=5,
        tools=[Tool(name="f")],
        tool_choice=ToolChoice(mode="required"),
    )
    body, dropped = sent(own)
    assert (body["thinking"], body["temperature"], body["top_k"], dropped) == (ENABLED, 0.2, 5, [])


@pytest.mark.parametrize("send", [sent, sent_to_bedrock])
@pytest.mark.parametrize("choice", [ToolChoice(mode="required"), ToolChoice(mode="tool", name="f")])
def test_a_forced_tool_goes_before_thinking(send: Any, choice: ToolChoice) -> None:
    request = asked(tools=[Tool(name="f")], tool_choice=choice, temperature=0.2)
    body, dropped = send(request)
    assert ("thinking" in body, body["temperature"], dropped) == (False, 0.2, ["reasoning"])
    body, dropped = send(request, ADAPTIVE)
    assert ("thinking" in body, dropped) == (False, ["thinking"])
    body, dropped = send(request, LATER)
    assert (body["thinking"], dropped) == ({"type": "adaptive"}, ["temperature"])
    body, dropped = send(msgspec.structs.replace(request, temperature=None, tool_choice=ToolChoice(mode="auto")))
    assert (body["thinking"], dropped) == (ENABLED, [])


@pytest.mark.parametrize("api", ["anthropic-messages", "bedrock-converse"])
@pytest.mark.parametrize(
    ("model", "is_taken"),
    [
        ("anthropic.claude-opus-5-v1:0", True),
        ("anthropic.claude-haiku-5-5", True),
        ("anthropic.claude-fable-5", True),
        ("anthropic.claude-opus-5-5", False),
        ("anthropic.claude-sonnet-5-5", False),
        ("anthropic.claude-fable-5-1", False),
    ],
)
def test_a_tool_is_forced_where_that_is_taken(api: str, model: str, is_taken: bool) -> None:
    request = asked(reasoning=None, tools=[Tool(name="f")], tool_choice=ToolChoice(mode="required"))
    translation = Translation(api, drop_unsupported=True)
    body = load_wire(api).encode_request(request, model, translation).body
    assert (b'"any"' in body) == is_taken
    assert translation.dropped == ([] if is_taken else ["tool_choice"])
    if not is_taken:
        with pytest.raises(UnsupportedParameterError, match="cannot be made to call a tool"):
            load_wire(api).encode_request(request, model, Translation(api))


THOUGHT = ReasoningPart(text="hm", signature="c2ln", format="anthropic-claude-v1")
FOREIGN = ReasoningPart(text="hm", signature="c2ln", format="openai-responses-v1")
CALL, AGAIN = ToolCallPart(id="1", name="f"), ToolCallPart(id="2", name="f")
RESULT = Message(role="tool", content=[ToolResultPart(tool_call_id="1", content=[TextPart(text="r")])])
MORE = Message(role="tool", content=[ToolResultPart(tool_call_id="2", content=[TextPart(text="r")])])
SAID = TextPart(text="so")


@pytest.mark.parametrize("send", [sent, sent_to_bedrock])
@pytest.mark.parametrize(
    ("rest", "is_asked"),
    [
        ([assistant(THOUGHT, CALL), RESULT], True),
        ([assistant(ReasoningPart(redacted="eHh4"), CALL), RESULT], True),
        ([assistant(CALL), RESULT], False),
        ([assistant(SAID, THOUGHT, CALL), RESULT], False),
        ([assistant(FOREIGN, CALL), RESULT], False),
        # The model thinks once in a turn, before its first call.
        ([assistant(THOUGHT, CALL), RESULT, assistant(AGAIN), MORE], True),
        ([assistant(CALL), RESULT, assistant(THOUGHT, AGAIN), MORE], False),
        # What the user says ends the turn.
        ([assistant(CALL), RESULT, assistant(SAID), user("and?")], True),
        ([assistant(CALL), RESULT, assistant(SAID), user("and?"), assistant(THOUGHT, AGAIN), MORE], True),
        ([assistant(THOUGHT, CALL), RESULT, assistant(SAID), user("and?"), assistant(AGAIN), MORE], False),
        ([assistant(SAID), user("and?")], True),
        # Results and words at once: one turn of the user's.
        ([assistant(CALL), RESULT, user("and?")], False),
        ([assistant(THOUGHT, CALL), RESULT, user("and?")], True),
        ([assistant(THOUGHT, CALL), RESULT, user("and?"), assistant(AGAIN), MORE], False),
        # The beginning of the answer.
        ([assistant(SAID)], False),
    ],
)
def test_a_turn_that_began_without_thinking_goes_on_without(send: Any, rest: list[Message], is_asked: bool) -> None:
    body, dropped = send(asked(user("hi"), *rest))
    assert body.get("thinking") == (ENABLED if is_asked else None)
    assert ("reasoning" in dropped) == (not is_asked)
    assert send(asked(user("hi"), *rest), ADAPTIVE)[0]["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize("send", [sent, sent_to_bedrock])
def test_an_anthropic_client_goes_on_from_a_turn_of_another_provider(send: Any) -> None:
    said = Reasoning(enabled=True, budget_tokens=2048)
    began = [user("hi"), assistant(FOREIGN, CALL), RESULT]
    body, dropped = send(asked(*began, api="anthropic-messages", reasoning=said))
    assert ("thinking" in body, dropped) == (False, ["messages.reasoning", "reasoning"])
    body, _ = send(asked(*began, user("and?"), api="anthropic-messages", reasoning=said))
    assert "thinking" not in body
    body, _ = send(asked(*began, assistant(SAID), user("and?"), api="anthropic-messages", reasoning=said))
    assert body["thinking"] == ENABLED


def test_an_anthropic_clients_own_turn_stays() -> None:
    reasoning = Reasoning(enabled=True, budget_tokens=2048)
    body, dropped = sent(asked(user("hi"), assistant(CALL), RESULT, api="anthropic-messages", reasoning=reasoning))
    assert (body["thinking"], dropped) == (ENABLED, [])
