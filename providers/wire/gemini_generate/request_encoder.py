"""A request of the model as a body of this API: for requests that came through another API, or were changed.

`metadata.api` says where a request came from. What only this API knows (`extra`, `hints`, `kept`, a tool's `raw`) goes
out again if the request came through it; from another API's client, `extra` is refused and `hints` are dropped.
Messages: see `content_encoder`; reasoning: see `thinking`. Does no I/O.

| model | here |
|---|---|
| a tool's or the answer's JSON Schema | `parametersJsonSchema`, `responseJsonSchema` |
| tool_choice `tool` | mode ANY with one allowed name |
| tool_choice `auto` with allowed tools | mode VALIDATED: AUTO takes no names |
| parallel_tool_calls false | refused: there is no such switch |
| a tool's `strict`, the description of the answer's JSON Schema | dropped |
| metadata.user_id | dropped |
| logit_bias | refused |
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import LLMRequest, ResponseFormat, Tool, ToolChoice
from providers.wire.base import EncodedRequest, Translation
from providers.wire.gemini_generate.content_encoder import ContentEncoder
from providers.wire.gemini_generate.structs import API
from providers.wire.gemini_generate.thinking import encode_thinking
from providers.wire.json_text import FIELDS
from providers.wire.leftover_parts import messages_for
from providers.wire.leftovers import choice_among, refuse_parameters, refuse_unknown

WireObject = dict[str, Any]

_SAME = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "n": "candidateCount",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
"""Fields of the model, and their names in `generationConfig`."""

SAMPLING = frozenset({*_SAME.values(), "stopSequences"})
"""What of `generationConfig` says only how the answer is made."""

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}


def encode_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body for `model` at AI Studio, which it does not name.

    Raises `UnsupportedParameterError` for a parameter that `translation` refuses, and `RequestError` for one that no
    body could hold (tool arguments that are not a JSON object, a result of a call that is not there).
    """
    return _encoded(request_fields(request, model, translation, on_vertex=False), translation)


def encode_vertex_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """`encode_request` for a model at Vertex AI."""
    return _encoded(request_fields(request, model, translation, on_vertex=True), translation)


def _encoded(fields: WireObject, translation: Translation) -> EncodedRequest:
    return EncodedRequest(body=msgspec.json.encode(fields), dropped=list(translation.dropped))


def request_fields(request: LLMRequest, model: str, translation: Translation, *, on_vertex: bool) -> WireObject:
    """The body's fields."""
    messages = messages_for(API, request, translation)
    system, contents = ContentEncoder(request, model, translation, on_vertex=on_vertex).encode(messages)
    fields: WireObject = {}
    if system:
        fields["systemInstruction"] = {"parts": system}
    fields["contents"] = contents
    _add_tools(request, fields, translation)
    config = _generation_config(request, model, translation)
    if config:
        fields["generationConfig"] = config
    if request.metadata.api in ("", API):
        _add_own(request, fields)
    else:
        if request.metadata.user_id is not None:
            translation.drop("user")
        refuse_unknown(request, translation)
    return fields


def _generation_config(request: LLMRequest, model: str, translation: Translation) -> WireObject:
    config: WireObject = {}
    for field, name in _SAME.items():
        value = getattr(request, field)
        if value is not None:
            config[name] = value
    if request.stop:
        config["stopSequences"] = request.stop
    refuse_parameters(request, translation, "logit_bias")
    if request.response_format is not None:
        config.update(_format(request.response_format, translation))
    if (thinking := encode_thinking(request, model)) is not None:
        config["thinkingConfig"] = thinking
    return config


def _format(form: ResponseFormat, translation: Translation) -> WireObject:
    if form.kind == "text":
        return {"responseMimeType": "text/plain"}
    config: WireObject = {"responseMimeType": "application/json"}
    if form.kind == "json_schema" and form.schema is not None:
        config["responseJsonSchema"] = form.schema
        if form.description is not None:
            translation.drop("response_format.description")
    return config


def _add_tools(request: LLMRequest, fields: WireObject, translation: Translation) -> None:
    tools: list[WireObject] = []
    functions: list[WireObject] = []
    for tool in request.tools:
        if tool.cache_control is not None:
            translation.drop("tools[].cache_control")
        if tool.kind == "function":
            if not functions:
                tools.append({"functionDeclarations": functions})
            functions.append(_function(tool, translation))
        elif tool.kind == "opaque" and tool.api == API and tool.raw is not None:
            tools.append(tool.raw)
        else:
            translation.refuse("tools", f"it has no tool like '{tool.name}'")
    if not tools:
        return
    fields["tools"] = tools
    if (choice := choice_among(request, {wire["name"] for wire in functions}, translation)) is not None:
        fields["toolConfig"] = {"functionCallingConfig": _function_calling(choice)}
    if request.parallel_tool_calls is False and functions:
        translation.refuse("parallel_tool_calls", "it may always call several tools at once")


def _function(tool: Tool, translation: Translation) -> WireObject:
    wire: WireObject = {"name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    if tool.parameters is not None:
        wire["parametersJsonSchema"] = tool.parameters
    if tool.strict:
        translation.drop("tools[].strict")
    return {**wire, **tool.raw} if tool.api == API and tool.raw is not None else wire


def _function_calling(choice: ToolChoice) -> WireObject:
    if choice.allowed:
        mode = "VALIDATED" if choice.mode == "auto" else "ANY"
        return {"mode": mode, "allowedFunctionNames": choice.allowed}
    wire: WireObject = {"mode": _MODES[choice.mode]}
    if choice.mode == "tool" and choice.name is not None:
        wire["allowedFunctionNames"] = [choice.name]
    return wire


def _add_own(request: LLMRequest, fields: WireObject) -> None:
    """Parameters that the model in the middle has no field for go back where they stood.

    Those of `toolConfig.functionCallingConfig` say more than the field that was read from them.
    """
    for name, raw in (*request.kept.items(), *request.hints.items(), *request.extra.items()):
        *path, last = name.split(".")
        at = fields
        for step in path:
            at = at.setdefault(step, {})
        known = at.get(last)
        at[last] = {**known, **FIELDS.decode(raw)} if isinstance(known, dict) else raw
