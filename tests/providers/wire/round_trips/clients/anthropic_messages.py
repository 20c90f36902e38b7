"""Requests of Anthropic clients."""

from __future__ import annotations

from hypothesis import strategies as st

from providers.model import ReasoningPart
from providers.wire.anthropic_messages.structs import SIGNATURE_FORMAT
from providers.wire.seals import seal
from tests.providers.wire.round_trips.clients.drawing import (
    BLOCKS,
    BUDGETS,
    CACHE,
    COUNTS,
    DATA,
    FILE_URLS,
    FRACTIONS,
    IMAGE_TYPES,
    IMAGE_URLS,
    NAMES,
    OBJECTS,
    SCHEMAS,
    STOPS,
    TEXTS,
    TOKENS,
    YES_OR_NO,
    Call,
    Some,
    Wire,
    Wires,
    chained,
    conversations,
    listed,
    maybe,
    merged,
    some,
    tools_and_choice,
    wire,
)

_TEXT = wire({"type": "text", "text": TEXTS}, cache_control=CACHE)
_STORED = st.just({"type": "file", "file_id": "file_1"})
_IMAGE_SOURCE = (
    wire({"type": "base64", "media_type": IMAGE_TYPES, "data": DATA})
    | wire({"type": "url", "url": IMAGE_URLS})
    | _STORED
)
_IMAGE = wire({"type": "image", "source": _IMAGE_SOURCE}, cache_control=CACHE, new=TEXTS)
_DOCUMENT_SOURCE = (
    wire({"type": "base64", "media_type": "application/pdf", "data": DATA})
    | wire({"type": "text", "media_type": "text/plain", "data": TEXTS})
    | wire({"type": "url", "url": FILE_URLS})
    | _STORED
    | st.just({"type": "content", "content": [{"type": "text", "text": "in"}]})
)
_DOCUMENT = wire(
    {"type": "document", "source": _DOCUMENT_SOURCE},
    title=TEXTS,
    context=TEXTS,
    citations=wire({"enabled": YES_OR_NO}),
    cache_control=CACHE,
)
_SEARCH_RESULT = st.just(
    {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "r"}]}
)


def _user(content: Some[object]) -> Some[Wires]:
    return listed(wire({"role": "user", "content": content}))


_ASKS = _user(TEXTS | chained(maybe(_DOCUMENT), maybe(_TEXT | _IMAGE | _SEARCH_RESULT), listed(_TEXT)))


def _thinking(blocks: list[ReasoningPart]) -> Wires:
    return [
        {"type": "redacted_thinking", "data": seal(block, (SIGNATURE_FORMAT,))}
        if block.redacted
        else {"type": "thinking", "thinking": block.text, "signature": seal(block, (SIGNATURE_FORMAT,))}
        for block in blocks
    ]


_CITATION = {"type": "page_location", "cited_text": "c", "document_index": 0}
_SAID = wire({"type": "text", "text": TEXTS}, citations=st.just([_CITATION]), cache_control=CACHE)
_SEARCHED = st.just({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "q"}})


def _call(call: Call) -> Some[Wire]:
    block = {"type": "tool_use", "id": call.id, "name": call.name, "input": OBJECTS}
    return wire(block, cache_control=CACHE, caller=st.just({"type": "direct"}))


def _answers(calls: list[Call]) -> Some[Wires]:
    content = chained(
        BLOCKS.map(_thinking),
        some(_SAID | _SEARCHED) if not calls else st.lists(_SAID | _SEARCHED, max_size=2),
        listed(*map(_call, calls)),
    )
    return listed(wire({"role": "assistant", "content": content}))


def _result(call: Call) -> Some[Wire]:
    return wire(
        {"type": "tool_result", "tool_use_id": call.id},
        content=TEXTS | some(_TEXT | _IMAGE | _DOCUMENT),
        is_error=st.just(True),
        cache_control=CACHE,
    )


def _results(calls: list[Call]) -> Some[Wires]:
    return _user(chained(listed(*map(_result, calls)), maybe(_TEXT)))


_TOOL = st.one_of(
    wire(
        {"name": NAMES, "input_schema": SCHEMAS},
        description=TEXTS,
        strict=st.just(True),
        cache_control=CACHE,
        input_examples=st.just([{"a": 1}]),
    ),
    wire({"type": "web_search_20250305", "name": "web_search"}, max_uses=COUNTS, cache_control=CACHE),
)


def _choice(tool: Wire) -> Some[Wire]:
    one_at_a_time = st.just(True)
    mode = wire({"type": st.sampled_from(["auto", "any"])}, disable_parallel_tool_use=one_at_a_time)
    named = wire({"type": "tool", "name": tool["name"]}, disable_parallel_tool_use=one_at_a_time)
    choice = named if "type" in tool else mode | named | st.just({"type": "none"})
    return wire({"tool_choice": choice}) | st.just({})


_DISPLAYS = st.sampled_from(["summarized", "omitted"])
_THINKING = st.just({"type": "disabled"}) | wire({"type": "enabled", "budget_tokens": BUDGETS}, display=_DISPLAYS)
_ADAPTIVE = wire({"type": "adaptive"}, display=_DISPLAYS)
_OUTPUT = {
    "format": wire({"type": "json_schema", "schema": SCHEMAS}),
    "task_budget": st.just({"type": "tokens", "total": 9}),
}
_EFFORTS = st.sampled_from(["low", "medium", "high", "max"])

BODIES = merged(
    wire(
        {"model": "m", "max_tokens": TOKENS, "messages": conversations(_ASKS, _answers, _results)},
        system=TEXTS | some(_TEXT),
        temperature=FRACTIONS,
        top_p=FRACTIONS,
        top_k=COUNTS,
        stop_sequences=STOPS,
        metadata=wire({"user_id": TEXTS}, other=st.just(1)),
        service_tier=st.just("standard_only"),
        cache_control=CACHE,
        mcp_servers=st.just([{"type": "url", "url": "https://h", "name": "s"}]),
        stream=st.just(True),
    ),
    wire({}, thinking=_THINKING, output_config=wire({}, **_OUTPUT))
    | wire({"output_config": wire({"effort": _EFFORTS}, **_OUTPUT)}, thinking=_ADAPTIVE),
    tools_and_choice(_TOOL, _choice),
)
