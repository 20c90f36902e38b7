"""Requests out: an `LLMRequest` from any client API to a Messages body. Imports the model and its neighbours.

What the API cannot say is refused if leaving it out would change the answer's meaning, else dropped and named. Into
`system` and turns: see `turns`; reasoning: see `thinking`.
"""

from __future__ import annotations

import msgspec

from providers.model import LLMRequest, ResponseFormat, Tool, ToolChoice
from providers.wire.anthropic_messages.structs import API
from providers.wire.anthropic_messages.thinking import (
    choice_that_fits,
    encode_thinking,
    max_tokens_for,
    resumes_without,
    with_sampling_that_fits,
)
from providers.wire.anthropic_messages.turns import encode_turns
from providers.wire.base import EncodedRequest, Translation
from providers.wire.json_text import FIELDS
from providers.wire.leftovers import choice_among, only_allowed, refuse_parameters, refuse_unknown

Fields = dict[str, object]


def encode_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body for `model`.

    Raises `UnsupportedParameterError` for a parameter that `translation` refuses, and `RequestError` for one that no
    body could hold (tool arguments that are not a JSON object, a conversation without a turn).
    """
    fields = request_fields(request, model, translation)
    return EncodedRequest(body=msgspec.json.encode(fields), dropped=translation.dropped)


def request_fields(request: LLMRequest, model: str, translation: Translation) -> Fields:
    """The body's fields, in the order of the API's reference."""
    request = only_allowed(request, translation)
    system, messages = encode_turns(request, translation)
    resumed = resumes_without(map(_outline, messages))
    thinking, effort = encode_thinking(request, model, translation, is_resumed_without=resumed)
    request = with_sampling_that_fits(request, model, thinking, translation)
    fields: Fields = {
        "model": model,
        "max_tokens": max_tokens_for(request, thinking, effort),
        "messages": messages,
    }
    if system:
        fields["system"] = system
    _sampling(request, fields, translation)
    _tools(request, model, fields, translation)
    if thinking is not None:
        fields["thinking"] = thinking
    if (config := _output_config(request, effort, translation)) is not None:
        fields["output_config"] = config
    if request.metadata.user_id is not None:
        fields["metadata"] = {"user_id": request.metadata.user_id}
    _own_parameters(request, fields, translation)
    if request.stream:
        fields["stream"] = True
    return fields


def _outline(turn: Fields) -> tuple[str, bool, bool]:
    """A turn as `resumes_without` asks for it. Blocks that only this API has come as raw JSON, and begin no turn."""
    kinds = [block.get("type") if isinstance(block, dict) else None for block in _as_list(turn["content"])]
    wanted = ("thinking", "redacted_thinking") if turn["role"] == "assistant" else ("tool_result",)
    return str(turn["role"]), bool(kinds) and kinds[0] in wanted, any(kind not in wanted for kind in kinds)


def _as_list(content: object) -> list[object]:
    return content if isinstance(content, list) else []


def _sampling(request: LLMRequest, fields: Fields, translation: Translation) -> None:
    if request.temperature is not None:
        if request.temperature > 1 and request.metadata.api != API:
            translation.refuse("temperature", "its range is 0 to 1")
        else:
            fields["temperature"] = request.temperature
    if request.top_p is not None:
        fields["top_p"] = request.top_p
    if request.top_k is not None:
        fields["top_k"] = request.top_k
    if request.stop:
        fields["stop_sequences"] = request.stop
    refuse_parameters(
        request,
        translation,
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "n",
    )
    if request.seed is not None:  # no API promises that a seed repeats an answer
        translation.drop("seed")


def _tools(request: LLMRequest, model: str, fields: Fields, translation: Translation) -> None:
    tools = [wire for tool in request.tools if (wire := _tool(tool, translation)) is not None]
    if not tools:
        return
    fields["tools"] = tools
    wanted = choice_among(request, {str(wire.get("name")) for wire in tools}, translation)
    wanted = choice_that_fits(wanted, request, model, translation)
    if (choice := _tool_choice(wanted, request.parallel_tool_calls)) is not None:
        fields["tool_choice"] = choice


def _tool_choice(wanted: ToolChoice | None, parallel: bool | None) -> Fields | None:
    wire: Fields | None = None
    if wanted is not None:
        wire = {"type": "any" if wanted.mode == "required" else wanted.mode}
        if wanted.mode == "tool":
            wire["name"] = wanted.name
    # Several calls at once are the API's default, and `none` has no such field.
    if parallel is False and (wanted is None or wanted.mode != "none"):
        wire = {**(wire or {"type": "auto"}), "disable_parallel_tool_use": True}
    return wire


def _tool(tool: Tool, translation: Translation) -> Fields | None:
    wire: Fields
    if tool.kind == "opaque" and tool.api == API and tool.raw is not None:
        wire = dict(tool.raw)
    elif tool.kind != "function":
        translation.refuse("tools", f"it has no tool like '{tool.name}'")
        return None
    else:
        # Fields that only this API has come back from `raw`; what the model has a field for is taken from there.
        wire = dict(tool.raw) if tool.api == API and tool.raw is not None else {}
        wire["name"] = tool.name
        wire["input_schema"] = {"type": "object", **(tool.parameters or {"properties": {}})}
        if tool.description is not None:
            wire["description"] = tool.description
        if tool.strict:
            wire["strict"] = True
    if tool.cache_control is not None:
        wire["cache_control"] = tool.cache_control
    return wire


def _output_config(request: LLMRequest, effort: str | None, translation: Translation) -> Fields | None:
    config: Fields = {}
    if request.metadata.api == API and (rest := request.extra.get("output_config")) is not None:
        config.update(FIELDS.decode(rest))
    if effort is not None:
        config["effort"] = effort
    if request.response_format is not None and (wire := _format(request.response_format, translation)) is not None:
        config["format"] = wire
    return config or None


def _format(form: ResponseFormat, translation: Translation) -> Fields | None:
    if form.kind == "text":
        return None
    if form.kind == "json_schema" and form.schema is not None:
        if form.description is not None:
            translation.drop("response_format.description")
        return {"type": "json_schema", "schema": form.schema}
    translation.refuse("response_format", "it takes a JSON Schema, not just any JSON")
    return None


def _own_parameters(request: LLMRequest, fields: Fields, translation: Translation) -> None:
    """Parameters that the model in the middle has no field for: back to this API, never to another."""
    if request.metadata.api != API:
        refuse_unknown(request, translation)
        return
    for name, raw in (*request.extra.items(), *request.hints.items()):
        if name == "metadata":
            fields["metadata"] = {**FIELDS.decode(raw), **_as_fields(fields.get("metadata"))}
        elif name != "output_config":  # part of it is in `fields` already
            fields[name] = raw


def _as_fields(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
