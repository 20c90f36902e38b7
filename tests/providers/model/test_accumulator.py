"""Chunks fold into the response they tell, whatever the order of parts, calls, choices and usage."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.model import (
    Accumulator,
    AudioPart,
    Choice,
    Citation,
    Delta,
    ImagePart,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenDetails,
    ToolCallPart,
    Usage,
    finish_chunk,
    reasoning_chunk,
    text_chunk,
    text_response,
    tool_call_chunk,
)


def fold(*chunks: LLMResponse) -> LLMResponse:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


def content(response: LLMResponse, choice: int = 0) -> list[Part]:
    message = response.choices[choice].message
    assert message is not None
    return message.content


def part(part: Part, choice: int = 0) -> LLMResponse:
    return LLMResponse(choices=[Choice(index=choice, delta=Delta(content=[part]))])


def test_text_pieces_are_joined() -> None:
    assert content(fold(text_chunk("to"), text_chunk("get"), text_chunk("her"))) == [TextPart(text="together")]


def test_parts_keep_the_order_in_which_they_began() -> None:
    response = fold(
        reasoning_chunk("hm", index=0),
        text_chunk("a", index=1),
        tool_call_chunk("{", index=2, id="t1", name="f"),
        text_chunk("b", index=1),
        tool_call_chunk("}", index=2),
        reasoning_chunk("m", index=0, signature="s1"),
        reasoning_chunk("", index=0, signature="s2"),
    )
    assert content(response) == [
        ReasoningPart(index=0, text="hmm", signature="s1s2"),
        TextPart(index=1, text="ab"),
        ToolCallPart(index=2, id="t1", name="f", arguments="{}"),
    ]


def test_interleaved_tool_calls_do_not_mix() -> None:
    response = fold(
        tool_call_chunk('{"a":', index=0, id="t1", name="f"),
        tool_call_chunk('{"b":', index=1, id="t2", name="g"),
        tool_call_chunk("1}", index=0),
        tool_call_chunk("2}", index=1),
    )
    assert [(c.id, c.arguments) for c in content(response) if isinstance(c, ToolCallPart)] == [
        ("t1", '{"a":1}'),
        ("t2", '{"b":2}'),
    ]


def test_another_id_under_the_same_index_is_another_call() -> None:
    response = fold(
        tool_call_chunk("{}", index=0, id="t1", name="f"),
        tool_call_chunk("{}", index=0, id="t2", name="f"),
        tool_call_chunk("", index=0, id="t2"),
    )
    assert [c.id for c in content(response) if isinstance(c, ToolCallPart)] == ["t1", "t2"]


def test_a_name_that_comes_late_is_taken() -> None:
    response = fold(tool_call_chunk(index=0, id="t1"), tool_call_chunk("{}", index=0, name="f"))
    assert content(response) == [ToolCallPart(id="t1", name="f", arguments="{}")]


def test_other_parts() -> None:
    citation = Citation(kind="url_citation", url="u")
    response = fold(
        part(RefusalPart(index=0, text="no")),
        part(RefusalPart(index=0, text="pe")),
        part(TextPart(index=1, text="x", citations=[citation])),
        part(OpaquePart(index=2, kind="server_tool_use", api="a", raw=msgspec.Raw(b"{}"))),
        part(OpaquePart(index=2, input='{"q":1}')),
        part(AudioPart(index=3, data="AA", transcript="h")),
        part(AudioPart(index=3, data="BB", transcript="i", id="au")),
        part(ImagePart(index=4, url="i")),
        part(ReasoningPart(index=5, redacted="zz")),
    )
    refusal, text, opaque, audio, image, reasoning = content(response)
    assert refusal == RefusalPart(text="nope")
    assert text == TextPart(index=1, text="x", citations=[citation])
    assert isinstance(opaque, OpaquePart)
    assert opaque.input == '{"q":1}'
    assert opaque.kind == "server_tool_use"
    assert audio == AudioPart(index=3, data="AABB", transcript="hi", id="au")
    assert image == ImagePart(index=4, url="i")
    assert reasoning == ReasoningPart(index=5, redacted="zz")


def test_choices_are_apart_and_in_order() -> None:
    response = fold(part(TextPart(text="two"), 1), part(TextPart(text="one"), 0), part(TextPart(text="!"), 1))
    assert [choice.index for choice in response.choices] == [0, 1]
    assert content(response, 0) == [TextPart(text="one")]
    assert content(response, 1) == [TextPart(text="two!")]


@pytest.mark.parametrize("place", ["first", "last", "both"])
def test_usage_counts_once_wherever_it_comes(place: str) -> None:
    early = LLMResponse(usage=Usage(prompt_tokens=3, completion_tokens=1))
    late = LLMResponse(usage=Usage(prompt_tokens=3, completion_tokens=9, details=TokenDetails(reasoning_tokens=4)))
    chunks = {"first": [late, text_chunk("x")], "last": [text_chunk("x"), late], "both": [early, text_chunk("x"), late]}
    usage = fold(*chunks[place]).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 9)
    assert usage.details is not None
    assert usage.details.reasoning_tokens == 4


def test_usage_keeps_a_field_that_is_not_reported_again() -> None:
    first = LLMResponse(usage=Usage(prompt_tokens=3, details=TokenDetails(cached_tokens=2)))
    second = LLMResponse(usage=Usage(completion_tokens=5, details=TokenDetails(reasoning_tokens=1)))
    usage = fold(first, second).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 5)
    assert usage.details == TokenDetails(cached_tokens=2, reasoning_tokens=1)
    assert first.usage == Usage(prompt_tokens=3, details=TokenDetails(cached_tokens=2)), "a chunk was changed"


def test_finish_reason_head_and_logprobs() -> None:
    with_logprobs = text_chunk("a")
    with_logprobs.choices[0].logprobs = {"content": [{"token": "a"}]}
    response = fold(
        LLMResponse(id="x", model="m", created=5, choices=with_logprobs.choices),
        LLMResponse(id="y", choices=with_logprobs.choices),
        finish_chunk("length"),
    )
    assert (response.id, response.model, response.created) == ("x", "m", 5)
    assert response.choices[0].finish_reason == "length"
    assert response.choices[0].logprobs == {"content": [{"token": "a"}, {"token": "a"}]}


def test_a_whole_response_folds_into_itself() -> None:
    whole = text_response("hello", model="m", usage=Usage(prompt_tokens=1))
    assert fold(whole) == whole


@settings(deadline=None, max_examples=100)
@given(text=st.text(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=8))
def test_any_cut_of_the_text_folds_into_the_text(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    chunks = [text_chunk(text[a:b]) for a, b in itertools.pairwise(places)]
    assert "".join(p.text for p in content(fold(*chunks)) if isinstance(p, TextPart)) == text
