"""Requests out: an `LLMRequest` from any client API to a Converse body. Imports the model and its neighbours.

The model's name is in the path, not in the body; here it only tells the family, whose own parameters go into
`additionalModelRequestFields`. What cannot be said is refused if leaving it out would change the answer's meaning, else
dropped and named.

| model | here |
|---|---|
| temperature above 1 | refused |
| top_k | the family's own field; refused for a family without one |
| no tools in a conversation that has called some | these, of any arguments: the service demands them |
| tool_choice none | no tools at all; dropped if the conversation holds tool calls, since then tools are demanded |
| parallel_tool_calls false | Claude's own `tool_choice`; refused for other families |
| response_format json_schema | outputConfig.textFormat; json_object is refused |
| reasoning | see `request_reasoning` |
| stop | stopSequences; Claude is asked to tell which one matched |
| metadata.user_id | requestMetadata, which goes to the account's own logs, if it fits |
| seed | dropped |
| the header anthropic-beta | Claude's own `anthropic_beta`, as far as it is taken (see `betas`); else dropped |
"""

from __future__ import annotations

import re

import msgspec

from providers.model import LLMRequest, ResponseFormat, Tool
from providers.wire.anthropic_messages.thinking import choice_that_fits
from providers.wire.base import EncodedRequest, Translation
from providers.wire.bedrock_converse.betas import HEADER, betas_of
from providers.wire.bedrock_converse.families import CLAUDE, Family, family_of
from providers.wire.bedrock_converse.media import Block
from providers.wire.bedrock_converse.request_messages import MessageEncoder
from providers.wire.bedrock_converse.request_reasoning import add_reasoning
from providers.wire.leftovers import choice_among, only_allowed, refuse_parameters, refuse_unknown

_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
"""What the service takes as a value of `requestMetadata`."""

_COUNTED = frozenset({"messages", "system", "toolConfig", "additionalModelRequestFields"})


def encode_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body for `model`.

    Raises `UnsupportedParameterError` for a parameter that `translation` refuses, and `RequestError` for one that no
    body could hold.
    """
    fields = request_fields(request, model, translation)
    return EncodedRequest(body=msgspec.json.encode(fields), dropped=translation.dropped)


def encode_count_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """The body of CountTokens: what of the request is input. The rest is not named as dropped."""
    fields = request_fields(request, model, translation)
    counted = {name: value for name, value in fields.items() if name in _COUNTED}
    return EncodedRequest(body=msgspec.json.encode({"input": {"converse": counted}}), dropped=translation.dropped)


def request_fields(request: LLMRequest, model: str, translation: Translation) -> Block:
    """The body's fields, in the order of the API's reference."""
    request = only_allowed(request, translation)
    family = family_of(model)
    messages = MessageEncoder(family, translation)
    own: Block = {}
    output_config: Block = {}
    fields: Block = {}
    system, turns = messages.encode(request)
    fields["messages"] = turns
    if system:
        fields["system"] = system
    request = add_reasoning(request, model, family, turns, own, output_config, translation)
    if inference := _inference(request, family, own, translation):
        fields["inferenceConfig"] = inference
    if (tools := _tools(request, model, family, own, messages, translation)) is not None:
        fields["toolConfig"] = tools
    if request.response_format is not None:
        _format(request.response_format, output_config, translation)
    if output_config:
        fields["outputConfig"] = output_config
    if family is CLAUDE and (betas := betas_of(request, translation)):
        own["anthropic_beta"] = betas
    if own:
        fields["additionalModelRequestFields"] = own
    if request.stop and family is CLAUDE:
        fields["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if (user := request.metadata.user_id) is not None:
        if _LABEL.fullmatch(user):
            fields["requestMetadata"] = {"user_id": user}
        else:
            translation.drop("user")
    refuse_unknown(request, translation, told=(HEADER,) if family is CLAUDE else ())
    return fields


def _inference(request: LLMRequest, family: Family, own: Block, translation: Translation) -> Block:
    config: Block = {}
    if request.max_tokens is not None:
        config["maxTokens"] = request.max_tokens
    if request.temperature is not None:
        if request.temperature > 1:
            translation.refuse("temperature", "its range is 0 to 1")
        else:
            config["temperature"] = request.temperature
    if request.top_p is not None:
        config["topP"] = request.top_p
    if request.stop:
        config["stopSequences"] = request.stop
    if request.top_k is not None:
        _top_k(request.top_k, family, own, translation)
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
    return config


def _top_k(top_k: int, family: Family, own: Block, translation: Translation) -> None:
    if not family.top_k:
        translation.refuse("top_k", "this model has none")
        return
    value: object = top_k
    for step in reversed(family.top_k[1:]):
        value = {step: value}
    own[family.top_k[0]] = value


def _tools(
    request: LLMRequest, model: str, family: Family, own: Block, messages: MessageEncoder, translation: Translation
) -> Block | None:
    tools: list[Block] = []
    for tool in request.tools:
        if (wire := _tool(tool, translation)) is not None:
            tools += [wire, *messages.cache_point(tool.cache_control)]
    if not tools:
        return {"tools": [_called(name) for name in messages.called]} if messages.called else None
    config: Block = {"tools": tools}
    wanted = choice_among(request, {tool.name for tool in request.tools if tool.kind == "function"}, translation)
    if family is CLAUDE:
        wanted = choice_that_fits(wanted, request, model, translation)
    mode = wanted.mode if wanted is not None else None
    if mode == "none":
        if not messages.called:
            return None
        translation.drop("tool_choice")
    elif request.parallel_tool_calls is False and family is CLAUDE:
        # The family's own field has to say all of the choice.
        choice: Block = {"type": {"required": "any"}.get(mode or "", mode or "auto"), "disable_parallel_tool_use": True}
        own["tool_choice"] = {**choice, "name": wanted.name} if wanted is not None and mode == "tool" else choice
    elif wanted is not None:
        config["toolChoice"] = {"tool": {"name": wanted.name}} if mode == "tool" else {_CHOICES[wanted.mode]: {}}
    if request.parallel_tool_calls is False and family is not CLAUDE:
        translation.refuse("parallel_tool_calls", "this model may always call several tools")
    return config


_CHOICES = {"auto": "auto", "required": "any"}


def _called(name: str) -> Block:
    """A tool that the conversation has called, and of which no more is known."""
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}}


def _tool(tool: Tool, translation: Translation) -> Block | None:
    if tool.kind != "function":
        translation.refuse("tools", f"it has no tool like '{tool.name}'")
        return None
    spec: Block = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": {"type": "object", **(tool.parameters or {"properties": {}})}}
    if tool.strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _format(form: ResponseFormat, output_config: Block, translation: Translation) -> None:
    if form.kind == "text":
        return
    if form.kind != "json_schema" or form.schema is None:
        translation.refuse("response_format", "it takes a JSON Schema, not just any JSON")
        return
    schema: Block = {"schema": msgspec.json.encode(form.schema).decode()}
    if form.name is not None:
        schema["name"] = form.name
    if form.description is not None:
        schema["description"] = form.description
    output_config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
