"""Requests out: an `LLMRequest` from any client API to a body of /api/chat. Imports the model and its neighbours.

| model | here |
|---|---|
| sampling, max_tokens, stop, seed | options (num_predict, temperature, top_p, top_k ...) |
| logprobs, top_logprobs | the same |
| tool_choice none | no tools; required, or one tool: refused, since the server cannot force a call |
| parallel_tool_calls false | refused |
| response_format | format: `json`, or the schema |
| reasoning | think: true or false; an effort for gpt-oss, the only models that take one |
| n, logit_bias | refused |
| metadata.user_id | dropped |
"""

from __future__ import annotations

import msgspec

from providers.model import LLMRequest, Reasoning, Tool
from providers.wire.base import EncodedRequest, Translation
from providers.wire.effort import effort_of_budget
from providers.wire.leftovers import only_allowed, refuse_parameters, refuse_unknown
from providers.wire.ollama_chat.request_messages import MessageEncoder, WireObject

_ENCODER = msgspec.json.Encoder()

_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def encode_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body for `model`.

    Raises `UnsupportedParameterError` for a parameter that `translation` refuses, and `RequestError` for one that no
    body could hold.
    """
    body: WireObject = {
        "model": model,
        "messages": MessageEncoder(translation).encode(request),
        "stream": request.stream,  # left out, it would stream
    }
    _tools(request, body, translation)
    form = request.response_format
    if form is not None and form.kind != "text":
        body["format"] = "json" if form.schema is None else form.schema
    if request.reasoning is not None:
        body["think"] = _think(request.reasoning, model)
        if request.reasoning.display is not None:
            translation.drop("thinking.display")
    for name in ("logprobs", "top_logprobs"):
        if (value := getattr(request, name)) is not None:
            body[name] = value
    if options := _options(request):
        body["options"] = options
    refuse_parameters(request, translation, "logit_bias", "n")
    if request.metadata.user_id is not None:
        translation.drop("user")
    refuse_unknown(request, translation)
    return EncodedRequest(body=_ENCODER.encode(body), dropped=translation.dropped)


def _options(request: LLMRequest) -> WireObject:
    options = {
        "num_predict": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "seed": request.seed,
        "stop": request.stop or None,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
    }
    return {name: value for name, value in options.items() if value is not None}


def _tools(request: LLMRequest, body: WireObject, translation: Translation) -> None:
    request = only_allowed(request, translation)
    wanted = request.tool_choice
    if wanted is not None and wanted.mode == "none":
        return
    tools = [wire for tool in request.tools if (wire := _tool(tool, translation)) is not None]
    if not tools:
        return
    body["tools"] = tools
    if wanted is not None and wanted.mode != "auto":
        translation.refuse("tool_choice", "the model cannot be made to call a tool")
    if request.parallel_tool_calls is False:
        translation.refuse("parallel_tool_calls", "the model may always call several tools")


def _tool(tool: Tool, translation: Translation) -> WireObject | None:
    if tool.kind != "function":
        translation.refuse("tools", f"it has no tool like '{tool.name}'")
        return None
    if tool.cache_control is not None:
        translation.drop("cache_control")
    if tool.strict:
        translation.drop("tools.strict")
    function: WireObject = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = {"type": "object", **(tool.parameters or {"properties": {}})}
    return {"type": "function", "function": function}


def _think(reasoning: Reasoning, model: str) -> bool | str:
    if reasoning.enabled is False or reasoning.effort == "none":
        return False
    if "gpt-oss" not in model.lower():
        return True
    if reasoning.effort is not None:
        return _LEVELS.get(reasoning.effort, reasoning.effort)
    return "medium" if reasoning.budget_tokens is None else effort_of_budget(reasoning.budget_tokens)
