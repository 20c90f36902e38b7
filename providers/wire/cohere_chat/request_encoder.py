"""Requests out: an `LLMRequest` from any client API to a body of Cohere's chat. Imports the model and its neighbours.

| model | here |
|---|---|
| top_p, top_k, stop | p (kept between 0.01 and 0.99), k, stop_sequences |
| frequency_penalty, presence_penalty | the same, from 0 to 1; refused beyond |
| logprobs | the same; top_logprobs is refused |
| tool_choice of one tool | that tool alone, and REQUIRED; `auto` is what it does without any |
| strict tools | strict_tools, if all of them are |
| parallel_tool_calls false | refused |
| response_format json_schema, json_object | json_object, with or without its schema |
| reasoning | thinking: a budget for low efforts, none from `high` on; switched off only for models that think |
| n, logit_bias | refused |
| metadata.user_id | dropped |
"""

from __future__ import annotations

import msgspec

from providers.model import LLMRequest, Reasoning, ResponseFormat, Tool
from providers.wire.anthropic_messages.thinking import BUDGET_BY_EFFORT
from providers.wire.base import EncodedRequest, Translation
from providers.wire.cohere_chat.request_messages import MessageEncoder, WireObject
from providers.wire.leftovers import only_allowed, refuse_parameters, refuse_unknown

_ENCODER = msgspec.json.Encoder()

_UNBOUNDED = frozenset({"high", "xhigh", "max"})
_SMALLEST_P, _LARGEST_P = 0.01, 0.99


def encode_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body for `model`.

    Raises `UnsupportedParameterError` for a parameter that `translation` refuses, and `RequestError` for a conversation
    without a message.
    """
    thinks = "reasoning" in model.lower()
    messages = MessageEncoder(translation, thinks=thinks)
    body: WireObject = {"model": model, "messages": messages.encode(request), "stream": request.stream}
    if messages.documents:
        body["documents"] = messages.documents
    _sampling(request, body, translation)
    _tools(request, body, translation)
    if request.response_format is not None:
        _format(request.response_format, body)
    if request.reasoning is not None:
        _thinking(request.reasoning, body, translation, thinks=thinks)
    if request.metadata.user_id is not None:
        translation.drop("user")
    refuse_unknown(request, translation)
    return EncodedRequest(body=_ENCODER.encode(body), dropped=translation.dropped)


def _sampling(request: LLMRequest, body: WireObject, translation: Translation) -> None:
    same = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "k": request.top_k,
        "seed": request.seed,
        "logprobs": request.logprobs,
    }
    body.update({name: value for name, value in same.items() if value is not None})
    if request.top_p is not None and request.top_p < 1:
        body["p"] = max(_SMALLEST_P, min(_LARGEST_P, request.top_p))
    if request.stop:
        body["stop_sequences"] = request.stop
    for name in ("frequency_penalty", "presence_penalty"):
        penalty = getattr(request, name)
        if penalty is not None and not 0 <= penalty <= 1:
            translation.refuse(name, "its range is 0 to 1")
        elif penalty:
            body[name] = penalty
    refuse_parameters(request, translation, "logit_bias", "top_logprobs", "n")


def _tools(request: LLMRequest, body: WireObject, translation: Translation) -> None:
    request = only_allowed(request, translation)
    wanted = request.tool_choice
    offered = request.tools
    if wanted is not None and wanted.mode == "tool":
        offered = [tool for tool in offered if tool.name == wanted.name]
    tools = [wire for tool in offered if (wire := _tool(tool, translation)) is not None]
    if not tools:
        return
    body["tools"] = tools
    strict = [tool.name for tool in offered if tool.strict]
    if len(strict) == len(tools):
        body["strict_tools"] = True
    elif strict:
        translation.drop("tools.strict")
    if wanted is not None and wanted.mode != "auto":
        body["tool_choice"] = "NONE" if wanted.mode == "none" else "REQUIRED"
    if request.parallel_tool_calls is False:
        translation.refuse("parallel_tool_calls", "it may always call several tools")


def _tool(tool: Tool, translation: Translation) -> WireObject | None:
    if tool.kind != "function":
        translation.refuse("tools", f"it has no tool like '{tool.name}'")
        return None
    if tool.cache_control is not None:
        translation.drop("cache_control")
    function: WireObject = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = {"type": "object", **(tool.parameters or {"properties": {}})}
    return {"type": "function", "function": function}


def _format(form: ResponseFormat, body: WireObject) -> None:
    if form.kind == "text":
        return
    wire: WireObject = {"type": "json_object"}
    if form.schema is not None:
        wire["json_schema"] = form.schema
    body["response_format"] = wire


def _thinking(reasoning: Reasoning, body: WireObject, translation: Translation, *, thinks: bool) -> None:
    if reasoning.display is not None:
        translation.drop("thinking.display")
    if reasoning.enabled is False or reasoning.effort == "none":
        if thinks:
            body["thinking"] = {"type": "disabled"}
        else:
            translation.drop("reasoning")
        return
    thinking: WireObject = {"type": "enabled"}
    budget = reasoning.budget_tokens
    if budget is None and reasoning.effort is not None and reasoning.effort not in _UNBOUNDED:
        budget = BUDGET_BY_EFFORT.get(reasoning.effort, BUDGET_BY_EFFORT["medium"])
    if budget is not None:
        thinking["token_budget"] = budget
    body["thinking"] = thinking
