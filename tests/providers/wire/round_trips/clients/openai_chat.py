"""Requests of OpenAI Chat clients."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from providers.model import ReasoningPart
from tests.providers.wire.round_trips.clients.drawing import (
    BLANK,
    BLOCKS,
    BUDGETS,
    CACHE,
    COUNTS,
    DATA,
    FILE_TYPES,
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
    data_urls,
    listed,
    maybe,
    merged,
    name_of_tool,
    some,
    tools_and_choice,
    wire,
)

_TEXT = wire({"type": "text", "text": TEXTS}, cache_control=CACHE)
_IMAGE = wire({"url": IMAGE_URLS | data_urls(IMAGE_TYPES)}, detail=st.sampled_from(["auto", "low", "high"]))
_FILE = wire({"file_data": data_urls(FILE_TYPES)}, filename=TEXTS) | st.sampled_from(
    [{"file_id": "file_1"}, {"file_data": "AA=="}, {"file_data": "https://h/a.pdf"}]
)
_PART = st.one_of(
    _TEXT,
    wire({"type": "image_url", "image_url": _IMAGE}, cache_control=CACHE, fps=st.just(2)),
    wire({"type": "file", "file": _FILE}, cache_control=CACHE),
    st.just({"type": "video_url", "video_url": {"url": "https://h/v.mp4"}, "fps": 2}),
    wire({"type": "input_audio", "input_audio": wire({"data": DATA, "format": st.sampled_from(["wav", "mp3"])})}),
)
_ASKS = chained(
    maybe(wire({"role": st.sampled_from(["system", "developer"]), "content": TEXTS | some(_TEXT)}, name=NAMES)),
    some(wire({"role": "user", "content": TEXTS | BLANK | some(_PART)}, name=NAMES)),
    listed(wire({"role": "user", "content": TEXTS})),
)


def _call(call: Call) -> Some[Wire]:
    if call.is_custom:
        return wire({"id": call.id, "type": "custom", "custom": wire({"name": call.name, "input": TEXTS})})
    function = wire({"name": call.name, "arguments": OBJECTS.map(json.dumps) | st.just("")}, hint=TEXTS)
    return wire({"id": call.id, "type": "function", "function": function})


def _signed_call(call: Call) -> Some[Wire]:
    """As Google's own endpoint of this API gives it."""
    signature = {"extra_content": {"google": {"thought_signature": "Z29v"}}}
    return _call(call) if call.is_custom else _call(call).map(lambda drawn: {**drawn, **signature})


def _details(blocks: list[ReasoningPart]) -> Wires:
    return [
        {"type": "reasoning.encrypted", "data": block.redacted, "format": block.format}
        if block.redacted
        else {"type": "reasoning.text", "text": block.text, "signature": block.signature, "format": block.format}
        for block in blocks
    ]


_CONTENT = TEXTS | some(_TEXT)
_REASONING = wire({}, reasoning_content=TEXTS) | wire({"reasoning_details": BLOCKS.map(_details)})
_BEYOND = wire({}, images=st.just([{"b64": "AA=="}]), prefix=st.just(True))
_SAID = wire({"role": "assistant", "content": _CONTENT}, name=NAMES)
_OTHERWISE = wire({"role": "assistant", "content": None, "refusal": TEXTS}) | st.just(
    {"role": "assistant", "audio": {"id": "audio_1"}}
)


def _answers(calls: list[Call]) -> Some[Wires]:
    if not calls:
        return listed(merged(_SAID, _REASONING, _BEYOND) | _OTHERWISE)
    called = wire({"role": "assistant", "tool_calls": listed(*map(_call, calls))}, content=_CONTENT, name=NAMES)
    signed = wire({"role": "assistant", "tool_calls": listed(*map(_signed_call, calls))}, content=_CONTENT)
    return listed(merged(called, _REASONING) | signed)


def _result(call: Call) -> Some[Wire]:
    return wire({"role": "tool", "tool_call_id": call.id, "content": _CONTENT}, name=st.just(call.name))


def _results(calls: list[Call]) -> Some[Wires]:
    return listed(*map(_result, calls))


_FUNCTION = wire({"name": NAMES}, description=TEXTS, parameters=SCHEMAS, strict=YES_OR_NO)
_GRAMMAR = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
_CUSTOM = wire({"name": st.just("shell")}, description=TEXTS, format=st.sampled_from([{"type": "text"}, _GRAMMAR]))
_TOOL = st.one_of(
    wire({"type": "function", "function": _FUNCTION}, cache_control=CACHE),
    wire({"type": "custom", "custom": _CUSTOM}),
    st.just({"type": "hosted_search", "depth": 3}),
)


def _choice(tool: Wire) -> Some[Wire]:
    modes: Some[object] = st.sampled_from(["auto", "none", "required"])
    kind = tool["type"]
    named = st.just({"type": kind, kind: {"name": name_of_tool(tool)}})
    if kind not in tool:
        return wire({}, tool_choice=modes, parallel_tool_calls=YES_OR_NO)
    other = {"type": "function", "function": {"name": "send"}}
    mode = st.sampled_from(["auto", "required"])
    allowed = wire({"mode": mode, "tools": listed(named) | listed(named, st.just(other))})
    among = wire({"type": "allowed_tools", "allowed_tools": allowed})
    return wire({}, tool_choice=modes | named | among, parallel_tool_calls=YES_OR_NO)


_FORMAT = st.sampled_from([{"type": "text"}, {"type": "json_object"}]) | wire(
    {
        "type": "json_schema",
        "json_schema": wire({"name": NAMES, "schema": SCHEMAS}, description=TEXTS, strict=YES_OR_NO),
    }
)
_EFFORTS = st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"])

BODIES = merged(
    wire(
        {
            "model": "m",
            "messages": conversations(_ASKS, _answers, _results, custom=True),
            "max_completion_tokens": TOKENS,
        },
        temperature=FRACTIONS | st.just(1.5),
        top_p=FRACTIONS,
        top_k=COUNTS,
        stop=STOPS,
        seed=COUNTS,
        frequency_penalty=FRACTIONS,
        presence_penalty=FRACTIONS,
        logit_bias=st.just({"50": -1}),
        n=st.integers(1, 2),
        response_format=_FORMAT,
        user=TEXTS,
    ),
    wire({}, logprobs=YES_OR_NO) | wire({"logprobs": True, "top_logprobs": COUNTS}),
    wire({}, reasoning_effort=_EFFORTS)
    | wire({"reasoning": wire({"effort": _EFFORTS}, exclude=st.just(True)) | wire({"max_tokens": BUDGETS})}),
    tools_and_choice(_TOOL, _choice),
    wire(
        {},
        metadata=st.just({"a": "b"}),
        store=YES_OR_NO,
        service_tier=st.just("flex"),
        verbosity=st.just("low"),
        prompt_cache_key=TEXTS,
        prompt_cache_options=st.just({"mode": "implicit"}),
        prediction=st.just({"type": "content", "content": "x"}),
        min_p=FRACTIONS,
    ),
    st.just({})
    | wire({"stream": True, "stream_options": wire({"include_usage": True}, include_obfuscation=st.just(False))}),
)
