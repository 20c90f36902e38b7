"""A request of the model as a body of this API: for requests that came through another API, or were changed.

What only this API knows (`extra`, `hints`, `kept`) goes out again if the request came through it, or was made by hand;
from another API's client `extra` is refused and `hints` are dropped, but for those that Chat Completions shares.
Clients of other APIs keep their conversation themselves: nothing is to be stored for them, and encrypted reasoning is
asked for, which they can give back. Does no I/O.

| model | here |
|---|---|
| max_tokens | max_output_tokens |
| logprobs | include: message.output_text.logprobs |
| stop, top_k, n, penalties, logit_bias | refused |
| reasoning.effort | reasoning.effort |
| reasoning.budget_tokens | reasoning.effort, by `effort_of_budget` |
| reasoning that is asked for to be read (Anthropic's `thinking`) | reasoning.summary: auto |
| reasoning switched off by a client of another API | dropped: models that cannot think reject the parameter |
| function tools of another API | `strict: false` unless they say otherwise: here it is the default |
| tools that another API defines | refused |
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from providers.model import LLMRequest, Message, Reasoning, ResponseFormat, TextPart, Tool, ToolChoice
from providers.wire.base import EncodedRequest, Translation
from providers.wire.effort import effort_of_budget
from providers.wire.leftover_parts import messages_for
from providers.wire.leftovers import choice_among, refuse_parameters, refuse_tool, refuse_unknown
from providers.wire.openai_chat.api import API as CHAT
from providers.wire.openai_responses.api import API
from providers.wire.openai_responses.input_encoder import InputEncoder

_ENCODER = msgspec.json.Encoder()
_ANY = msgspec.json.Decoder(dict[str, msgspec.Raw])

_SHARED_HINTS = {
    "metadata": "metadata",
    "prompt_cache_key": "prompt_cache_key",
    "prompt_cache_options": "prompt_cache_options",
    "prompt_cache_retention": "prompt_cache_retention",
    "safety_identifier": "safety_identifier",
    "service_tier": "service_tier",
    "store": "store",
}
"""Hints of Chat Completions that this API has under a name of its own."""

_THINKS = re.compile(r"(?:^|[/.])(?:o\d|gpt-5(?!-chat)|gpt-oss|codex|computer-use)")
"""Names of OpenAI's models that reason. The others refuse to be asked for encrypted reasoning."""

WireObject = dict[str, Any]


def encode_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body for `model`. Raises `UnsupportedParameterError` through `translation`."""
    own = request.metadata.api in ("", API)
    body: WireObject = {"model": model}
    messages = messages_for(API, request, translation)
    if (instructions := _instructions(messages)) is not None:
        body["instructions"] = instructions
        messages = messages[1:]
    if messages or not request.bound:
        body["input"] = InputEncoder(translation, own=own).encode(messages)
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    for name in ("temperature", "top_p", "top_logprobs"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    refuse_parameters(request, translation, "frequency_penalty", "presence_penalty", "logit_bias", "n", "top_k")
    if request.stop:
        translation.refuse("stop", "it has no stop sequences")
    if request.seed is not None:  # no API promises that a seed repeats an answer
        translation.drop("seed")
    if request.reasoning is not None:
        _add_reasoning(request.reasoning, body, translation, own=own)
    _add_tools(request, body, translation)
    if request.response_format is not None:
        body["text"] = {"format": _text_format(request.response_format)}
    if request.metadata.user_id is not None:
        body["user"] = request.metadata.user_id
    if own:
        _add_own(request, body)
    else:
        _add_foreign(request, body, translation)
    if request.logprobs:
        _include(body, "message.output_text.logprobs")
    if request.stream:
        body["stream"] = True
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))


def _instructions(messages: list[Message]) -> str | None:
    """`instructions`, if the client gave them, as the one text that they are."""
    if not messages or not messages[0].is_instructions or (len(messages) > 1 and messages[1].is_instructions):
        return None
    content = messages[0].content
    return content[0].text if len(content) == 1 and isinstance(content[0], TextPart) else None


def _add_own(request: LLMRequest, body: WireObject) -> None:
    """What the client of this API gave and the model has no field for."""
    for name, value in (*request.kept.items(), *request.hints.items(), *request.extra.items()):
        first, _, second = name.partition(".")
        if second:  # part of an object, the rest of which the model has fields for
            body.setdefault(first, {})[second] = value
        elif name == "text":
            body["text"] = {**body.get("text", {}), **_ANY.decode(value)}
        elif name == "include":
            body["include"] = msgspec.json.decode(value)
        else:
            body[name] = value


def _add_foreign(request: LLMRequest, body: WireObject, translation: Translation) -> None:
    """What a client of another API gave, and what this API must be told for it."""
    body["store"] = False
    if _THINKS.search(body["model"]) or "reasoning" in body:
        _include(body, "reasoning.encrypted_content")
    hints = dict(request.hints)
    if request.metadata.api == CHAT:
        for name, here in _SHARED_HINTS.items():
            if name in hints:
                body[here] = hints.pop(name)
        if "verbosity" in hints:
            body.setdefault("text", {})["verbosity"] = hints.pop("verbosity")
    refuse_unknown(msgspec.structs.replace(request, hints=hints), translation)


def _include(body: WireObject, wanted: str) -> None:
    included = body.setdefault("include", [])
    if wanted not in included:
        included.append(wanted)


def _add_reasoning(reasoning: Reasoning, body: WireObject, translation: Translation, *, own: bool) -> None:
    options: WireObject = {}
    if reasoning.effort is not None:
        options["effort"] = reasoning.effort
    elif reasoning.enabled is False:
        translation.drop("thinking")
    elif reasoning.budget_tokens is not None:
        options["effort"] = effort_of_budget(reasoning.budget_tokens)
    is_to_be_read = reasoning.enabled or reasoning.adaptive or reasoning.budget_tokens is not None
    if not own and is_to_be_read and reasoning.display != "omitted":
        options["summary"] = "auto"
    if options:
        body["reasoning"] = options


def _add_tools(request: LLMRequest, body: WireObject, translation: Translation) -> None:
    tools: list[WireObject] = []
    sent: set[str] = set()
    for index, tool in enumerate(request.tools):
        wire = _tool(tool)
        if wire is None:
            refuse_tool(index, tool, translation)
            continue
        if tool.cache_control is not None:
            translation.drop("tools[].cache_control")
        tools.append(wire)
        sent.add(tool.name)
    if not tools:
        return
    body["tools"] = tools
    if (choice := choice_among(request, sent, translation)) is not None:
        body["tool_choice"] = _tool_choice(choice, request.tools)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls


def _tool(tool: Tool) -> WireObject | None:
    wire: WireObject = dict(tool.raw) if tool.api == API and tool.raw is not None else {}
    if tool.kind == "opaque":
        return wire or None
    wire |= {"type": tool.kind, "name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    if tool.kind == "custom":
        if tool.api == CHAT and (form := _custom_format(tool.raw or {})) is not None:
            wire["format"] = form
        return wire
    wire["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict is not None or tool.api != API:
        wire["strict"] = bool(tool.strict)
    return wire


def _custom_format(raw: WireObject) -> WireObject | None:
    """The format of a custom tool's input; Chat Completions has a grammar one level deeper."""
    custom = raw.get("custom")
    form = custom.get("format") if isinstance(custom, dict) else None
    if not isinstance(form, dict):
        return None
    grammar = form.get("grammar")
    return {"type": "grammar", **grammar} if isinstance(grammar, dict) else form


def _tool_choice(choice: ToolChoice, tools: list[Tool]) -> str | WireObject:
    custom = {tool.name for tool in tools if tool.kind == "custom"}

    def named(name: str | None) -> WireObject:
        return {"type": "custom" if name in custom else "function", "name": name}

    if choice.allowed:
        return {"type": "allowed_tools", "mode": choice.mode, "tools": [named(name) for name in choice.allowed]}
    return named(choice.name) if choice.mode == "tool" else choice.mode


def _text_format(wanted: ResponseFormat) -> WireObject:
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    form: WireObject = {"type": "json_schema", "name": wanted.name or "response"}
    for name in ("description", "schema", "strict"):
        value = getattr(wanted, name)
        if value is not None:
            form[name] = value
    return form
