"""A request of the model as a body of this API: for requests that came through another API, or were changed.

`metadata.api` says where a request came from. What only this API knows (`extra`, `hints`, `reasoning_details`,
`cache_control` as OpenRouter takes it) goes out again if the request came through it, or was made by hand; from another
API's client, `extra` is refused and `hints` are dropped. Does no I/O.

| model | here |
|---|---|
| max_tokens | max_completion_tokens: OpenAI's reasoning models refuse the old name |
| metadata.user_id | user |
| top_k | refused, unless the client spoke this API (its vendors know it) |
| reasoning.effort | reasoning_effort |
| reasoning.budget_tokens of another API | reasoning_effort: up to 2048 low, up to 8192 medium, else high |
| reasoning switched off by a client of another API | dropped: models that cannot think reject the parameter |
| tools that another provider runs itself | refused |
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from providers.model import LLMRequest, Reasoning, ResponseFormat, Tool, ToolChoice
from providers.wire.base import EncodedRequest, Translation
from providers.wire.effort import effort_of_budget
from providers.wire.leftover_parts import messages_for
from providers.wire.leftovers import choice_among, refuse_tool, refuse_unknown
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.message_encoder import MessageEncoder
from providers.wire.openai_chat.relay import with_usage

_ENCODER = msgspec.json.Encoder()

_SAME = (
    "temperature",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "n",
)
"""Parameters that are spelled like the model's fields."""

_RESPONSES = "openai-responses"

_SHARED_HINTS = {
    "prompt_cache_key": "prompt_cache_key",
    "prompt_cache_options": "prompt_cache_options",
    "prompt_cache_retention": "prompt_cache_retention",
    "safety_identifier": "safety_identifier",
    "service_tier": "service_tier",
    "text.verbosity": "verbosity",
}
"""Hints of OpenAI Responses and what they are called here. Not `store` and `metadata`, which goes with it: what is
stored here could not be fetched there."""

WireObject = dict[str, Any]


def encode_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body for `model`. Raises `UnsupportedParameterError` through `translation`."""
    own = is_own(request)
    body = encode_body(request, model, translation, MessageEncoder(translation, own=own))
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))


def is_own(request: LLMRequest) -> bool:
    """Whether the request came through this API, or was made by hand."""
    return request.metadata.api in ("", API)


def encode_body(
    request: LLMRequest,
    model: str,
    translation: Translation,
    messages: MessageEncoder,
    *,
    beyond: Collection[str] = (),
    spell_reasoning: Callable[[Reasoning, Translation], WireObject] | None = None,
) -> WireObject:
    """The same, before it is JSON.

    `beyond`: the parameters outside of OpenAI's API that the target takes. `spell_reasoning`: how the target is asked
    to think, for a client of another API; default: as OpenAI is.
    """
    own = is_own(request)
    body: WireObject = {"model": model, "messages": messages.encode(messages_for(API, request, translation))}
    if request.max_tokens is not None:
        body["max_completion_tokens"] = request.max_tokens
    for name in _SAME:
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.stop:
        body["stop"] = request.stop
    if request.top_k is not None:
        if own or "top_k" in beyond:
            body["top_k"] = request.top_k
        else:
            translation.refuse("top_k")
    if request.reasoning is not None:
        spell = _spell_own_reasoning if own else spell_reasoning or spell_foreign_reasoning
        body |= spell(request.reasoning, translation)
    _add_tools(request, body, translation, cache_control=own or "cache_control" in beyond)
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format)
    if request.metadata.user_id is not None:
        body["user"] = request.metadata.user_id
    _add_unknown(request, body, translation, own=own)
    if request.stream:
        body["stream"] = True
        body["stream_options"] = with_usage(request.hints.get("stream_options") if own else None)
    return body


def _add_unknown(request: LLMRequest, body: WireObject, translation: Translation, *, own: bool) -> None:
    if own:
        for name, value in request.hints.items():
            body.setdefault(name, value)
        # These say more than the fields that were read from them (a choice among hosted tools).
        body.update(request.extra)
        body.pop("stream_options", None)
        return
    hints = dict(request.hints)
    if request.metadata.api == _RESPONSES:
        for name, here in _SHARED_HINTS.items():
            if name in hints:
                body[here] = hints.pop(name)
    refuse_unknown(msgspec.structs.replace(request, hints=hints), translation)


def _spell_own_reasoning(reasoning: Reasoning, _: Translation) -> WireObject:
    """As a client of this API said it; `reasoning` is OpenRouter's spelling."""
    only_effort = reasoning.budget_tokens is None and reasoning.display is None
    if only_effort and (reasoning.enabled is None or reasoning.effort == "none"):
        return {} if reasoning.effort is None else {"reasoning_effort": reasoning.effort}
    return {"reasoning": openrouter_reasoning(reasoning)}


def openrouter_reasoning(reasoning: Reasoning) -> WireObject:
    """OpenRouter's `reasoning` (https://openrouter.ai/docs/use-cases/reasoning-tokens)."""
    options: WireObject = {
        "effort": reasoning.effort,
        "max_tokens": reasoning.budget_tokens,
        "enabled": reasoning.enabled,
        "exclude": True if reasoning.display == "omitted" else None,
    }
    return {name: value for name, value in options.items() if value is not None}


def spell_foreign_reasoning(reasoning: Reasoning, translation: Translation) -> WireObject:
    """What another API's client wants, as OpenAI takes it."""
    if reasoning.display is not None:
        translation.drop("thinking.display")
    if reasoning.effort is not None:
        return {"reasoning_effort": reasoning.effort}
    if reasoning.enabled is False:
        translation.drop("thinking")
    elif reasoning.budget_tokens is not None:
        return {"reasoning_effort": effort_of_budget(reasoning.budget_tokens)}
    return {}


def _add_tools(request: LLMRequest, body: WireObject, translation: Translation, *, cache_control: bool) -> None:
    tools: list[WireObject] = []
    sent: set[str] = set()
    for index, tool in enumerate(request.tools):
        wire = _tool(tool)
        if wire is None:
            refuse_tool(index, tool, translation)
            continue
        if tool.cache_control is not None:
            if cache_control:
                wire["cache_control"] = tool.cache_control
            else:
                translation.drop("tools[].cache_control")
        tools.append(wire)
        sent.add(tool.name)
    if not tools:
        # OpenAI rejects the choice between no tools.
        return
    body["tools"] = tools
    if (choice := choice_among(request, sent, translation)) is not None:
        body["tool_choice"] = _tool_choice(choice, request.tools)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls


def _tool(tool: Tool) -> WireObject | None:
    if tool.kind != "function" and tool.api == API and tool.raw is not None:
        return dict(tool.raw)
    if tool.kind == "opaque":
        return None
    if tool.kind == "custom":
        custom: WireObject = {"name": tool.name}
        if tool.description is not None:
            custom["description"] = tool.description
        if tool.api == _RESPONSES and (form := _custom_format(tool.raw or {})) is not None:
            custom["format"] = form
        return {"type": "custom", "custom": custom}
    function: WireObject = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    own = dict(tool.raw or {}) if tool.api == API else {}
    return {"type": "function", "function": function | own.pop("function", {})} | own


def _custom_format(raw: WireObject) -> WireObject | None:
    """The format of a custom tool's input as OpenAI Responses has it; a grammar is one level deeper here."""
    form = raw.get("format")
    if not isinstance(form, dict) or form.get("type") != "grammar":
        return form if isinstance(form, dict) else None
    return {"type": "grammar", "grammar": {name: value for name, value in form.items() if name != "type"}}


def _tool_choice(choice: ToolChoice, tools: list[Tool]) -> str | WireObject:
    custom = {tool.name for tool in tools if tool.kind == "custom"}

    def named(name: str | None) -> WireObject:
        kind = "custom" if name in custom else "function"
        return {"type": kind, kind: {"name": name}}

    if choice.allowed:
        allowed = {"mode": choice.mode, "tools": [named(name) for name in choice.allowed]}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    return named(choice.name) if choice.mode == "tool" else choice.mode


def _response_format(wanted: ResponseFormat) -> WireObject:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    schema: WireObject = {"name": wanted.name or "response"}
    for name in ("description", "schema", "strict"):
        value = getattr(wanted, name)
        if value is not None:
            schema[name] = value
    return {"type": "json_schema", "json_schema": schema}
