"""Requests of OpenAI Responses clients that keep their conversation themselves."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from providers.model import ReasoningPart
from providers.wire.openai_responses.api import OWN_FORMATS
from providers.wire.seals import seal
from tests.providers.wire.round_trips.clients.drawing import (
    BLANK,
    BLOCK,
    COUNTS,
    DATA,
    FILE_TYPES,
    FILE_URLS,
    FRACTIONS,
    IMAGE_TYPES,
    IMAGE_URLS,
    NAMES,
    OBJECTS,
    SCHEMAS,
    TEXTS,
    TOKENS,
    YES_OR_NO,
    Call,
    Some,
    Wire,
    Wires,
    chained,
    conversations,
    data_urls,
    listed,
    maybe,
    merged,
    name_of_tool,
    some,
    tools_and_choice,
    wire,
)

_TEXT = wire({"type": "input_text", "text": TEXTS})
_DETAILS = st.sampled_from(["auto", "low", "high"])
_IMAGE = wire({"type": "input_image", "detail": _DETAILS, "image_url": IMAGE_URLS | data_urls(IMAGE_TYPES)}) | wire(
    {"type": "input_image", "detail": _DETAILS, "file_id": "file_1"}
)
_FILE = st.one_of(
    wire({"type": "input_file", "file_data": data_urls(FILE_TYPES)}, filename=TEXTS, detail=st.just("high")),
    wire({"type": "input_file", "file_data": DATA}),
    wire({"type": "input_file", "file_url": FILE_URLS}),
    wire({"type": "input_file", "file_id": "file_1"}),
)
_ASKS = chained(
    maybe(wire({"role": st.sampled_from(["system", "developer"]), "content": TEXTS | some(_TEXT)})),
    some(wire({"role": "user", "content": TEXTS | BLANK | some(_TEXT | _IMAGE | _FILE)})),
    listed(wire({"role": "user", "content": TEXTS})),
)


def _reasoning(block: ReasoningPart) -> Wire:
    sealed = seal(block, OWN_FORMATS)
    summary = [] if block.redacted else [{"type": "summary_text", "text": block.text}]
    return {"type": "reasoning", "summary": summary, "encrypted_content": sealed}


_SUMMARIES = some(wire({"type": "summary_text", "text": TEXTS}))
_THOUGHT = (
    BLOCK.map(_reasoning)
    | wire({"type": "reasoning", "id": "rs_1", "summary": _SUMMARIES}, encrypted_content=st.just("ZW5j"))
    | wire({"type": "reasoning", "summary": [], "content": some(wire({"type": "reasoning_text", "text": TEXTS}))})
)
_CITATION = {"type": "url_citation", "url": "https://h", "title": "t", "start_index": 0, "end_index": 1}
_OUTPUT = wire({"type": "output_text", "text": TEXTS, "annotations": maybe(st.just(_CITATION))})
_SAID = wire(
    {"role": "assistant", "content": TEXTS | some(_OUTPUT) | some(wire({"type": "refusal", "refusal": TEXTS}))},
    phase=st.sampled_from(["commentary", "final_answer"]),
)
_SEARCHED = st.just({"type": "web_search_call", "id": "ws_1", "status": "completed"})


def _call(call: Call) -> Some[Wire]:
    if call.is_custom:
        return wire({"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": TEXTS})
    function = {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": OBJECTS.map(json.dumps)}
    return wire(function, id=st.just("fc_1"), status=st.just("completed"), namespace=NAMES)


def _answers(calls: list[Call]) -> Some[Wires]:
    return chained(
        maybe(_THOUGHT),
        some(_SAID | _SEARCHED) if not calls else st.lists(_SAID | _SEARCHED, max_size=2),
        listed(*map(_call, calls)),
    )


def _result(call: Call) -> Some[Wire]:
    kind = "custom_tool_call_output" if call.is_custom else "function_call_output"
    return wire({"type": kind, "call_id": call.id, "output": TEXTS | some(_TEXT | _IMAGE | _FILE)})


def _results(calls: list[Call]) -> Some[Wires]:
    return listed(*map(_result, calls))


_FUNCTION = wire(
    {"type": "function", "name": NAMES, "parameters": SCHEMAS},
    description=TEXTS,
    strict=YES_OR_NO,
    defer_loading=st.just(True),
)
_GRAMMAR = {"type": "grammar", "syntax": "regex", "definition": "a+"}
_FORMATS = st.sampled_from([{"type": "text"}, _GRAMMAR])
_CUSTOM = wire({"type": "custom", "name": "shell"}, description=TEXTS, format=_FORMATS)
_TOOL = st.one_of(_FUNCTION, _CUSTOM, wire({"type": "web_search"}, filters=st.just({})))


def _choice(tool: Wire) -> Some[Wire]:
    modes: Some[object] = st.sampled_from(["auto", "none", "required"])
    named = st.just({"type": tool["type"], "name": name_of_tool(tool)})
    if "name" not in tool:
        return wire({}, tool_choice=modes, parallel_tool_calls=YES_OR_NO)
    other = st.just({"type": "function", "name": "send"})
    tools = listed(named) | listed(named, other)
    among = wire({"type": "allowed_tools", "mode": st.sampled_from(["auto", "required"]), "tools": tools})
    return wire({}, tool_choice=modes | named | among, parallel_tool_calls=YES_OR_NO)


_FORMAT = st.sampled_from([{"type": "text"}, {"type": "json_object"}]) | wire(
    {"type": "json_schema", "name": NAMES, "schema": SCHEMAS}, description=TEXTS, strict=YES_OR_NO
)
_EFFORTS = st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"])
_LOGPROBS = "message.output_text.logprobs"

BODIES = merged(
    wire(
        {"model": "m", "input": conversations(_ASKS, _answers, _results, custom=True), "max_output_tokens": TOKENS},
        instructions=TEXTS,
        temperature=FRACTIONS | st.just(1.5),
        top_p=FRACTIONS,
        text=wire({}, format=_FORMAT, verbosity=st.just("low")),
        user=TEXTS,
        stream=st.just(True),
    ),
    wire({}, include=st.just(["reasoning.encrypted_content"]))
    | wire({"include": [_LOGPROBS, "file_search_call.results"]}, top_logprobs=COUNTS),
    wire({}, reasoning=wire({"effort": _EFFORTS}, summary=st.just("auto")) | st.just({"summary": "auto"})),
    tools_and_choice(_TOOL, _choice),
    wire(
        {},
        metadata=st.just({"a": "b"}),
        store=YES_OR_NO,
        service_tier=st.just("flex"),
        prompt_cache_key=TEXTS,
        prompt_cache_options=st.just({"mode": "implicit"}),
        truncation=st.sampled_from(["auto", "disabled"]),
        future=COUNTS,
    ),
)
