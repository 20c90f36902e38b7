"""`generationConfig`, `tools` and `toolConfig` of a client's request. Imports the model and its neighbours.

Numbers are taken as protobuf's JSON takes them: as strings too, and whole numbers with a fraction of zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Raw

from providers.model import JSONObject, LLMRequest, Reasoning, ResponseFormat, Tool, ToolChoice
from providers.wire.gemini_generate.content_decoder import decode_list
from providers.wire.gemini_generate.parameters import HINTS, KEPT
from providers.wire.gemini_generate.schema import json_schema
from providers.wire.gemini_generate.structs import API, NULL
from providers.wire.json_text import FIELDS
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value

_Decoder = msgspec.json.Decoder


class _Thinking(msgspec.Struct, rename="camel"):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class _FunctionCalling(msgspec.Struct, rename="camel"):
    mode: str | None = None
    allowed_function_names: list[str] | None = None
    stream_function_call_arguments: bool | None = None


class _Declaration(msgspec.Struct, rename="camel"):
    name: str
    description: str | None = None
    parameters: JSONObject | None = None
    parameters_json_schema: JSONObject | None = None


_INTEGER = _Decoder(int, strict=False)
_NUMBER = _Decoder(float, strict=False)
_BOOLEAN = _Decoder(bool, strict=False)
_STRING = _Decoder(str)
_STRINGS = _Decoder(list[str])
_OBJECT = _Decoder(JSONObject)
_THINKING = _Decoder(_Thinking, strict=False)
_FUNCTION_CALLING = _Decoder(_FunctionCalling, strict=False)
_DECLARATION = _Decoder(_Declaration)

_PLAIN: dict[str, tuple[str, _Decoder[Any]]] = {
    "candidateCount": ("n", _INTEGER),
    "frequencyPenalty": ("frequency_penalty", _NUMBER),
    "logprobs": ("top_logprobs", _INTEGER),
    "maxOutputTokens": ("max_tokens", _INTEGER),
    "presencePenalty": ("presence_penalty", _NUMBER),
    "responseLogprobs": ("logprobs", _BOOLEAN),
    "seed": ("seed", _INTEGER),
    "stopSequences": ("stop", _STRINGS),
    "temperature": ("temperature", _NUMBER),
    "topK": ("top_k", _INTEGER),
    "topP": ("top_p", _NUMBER),
}
"""Fields of `generationConfig` that are a field of the model by another name."""

_DECLARED = frozenset({"name", "description", "parameters", "parametersJsonSchema"})

_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "MODE_UNSPECIFIED": "auto",
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "required",
    "NONE": "none",
}

_UNSPECIFIED = "THINKING_LEVEL_UNSPECIFIED"


def keep(request: LLMRequest, name: str, raw: Raw) -> None:
    """A parameter without a field in the model, where the table says that it goes."""
    if name in KEPT:
        request.kept[name] = raw
    elif name in HINTS:
        request.hints[name] = raw
    else:
        request.extra[name] = raw


def read_generation_config(request: LLMRequest, raw: Raw) -> None:
    """The parameter `generationConfig`. Raises `RequestError` that names the field."""
    fields = decode_parameter(FIELDS, "generationConfig", raw)
    for name, value in fields.items():
        if value == NULL or name in _FORMAT:
            continue
        param = f"generationConfig.{name}"
        if name in _PLAIN:
            field, decoder = _PLAIN[name]
            setattr(request, field, decode_parameter(decoder, param, value))
        elif name in _READERS:
            _READERS[name](request, value, param)
        else:
            keep(request, param, value)
    _read_format(request, {name: fields[name] for name in _FORMAT if name in fields and fields[name] != NULL})


def _read_modalities(request: LLMRequest, raw: Raw, param: str) -> None:
    just_text = decode_parameter(_STRINGS, param, raw) in ([], ["TEXT"])
    (request.kept if just_text else request.extra)[param] = raw


def _read_thinking(request: LLMRequest, raw: Raw, param: str) -> None:
    """No budget is a switch, and -1 leaves it to the model. Thoughts are shown only to who asks for them."""
    wire = decode_parameter(_THINKING, param, raw)
    reasoning = Reasoning()
    if wire.thinking_level is not None and wire.thinking_level != _UNSPECIFIED:
        reasoning.effort = wire.thinking_level.lower()
    if wire.thinking_budget is not None:
        reasoning.enabled = wire.thinking_budget != 0
        reasoning.adaptive = wire.thinking_budget < 0
        reasoning.budget_tokens = wire.thinking_budget if wire.thinking_budget > 0 else None
    if wire.include_thoughts:
        reasoning.display = "summarized"
        reasoning.enabled = reasoning.enabled is not False
    elif wire.include_thoughts is False:
        reasoning.display = "omitted"
    if reasoning != Reasoning():
        request.reasoning = reasoning


_READERS: dict[str, Callable[[LLMRequest, Raw, str], None]] = {
    "responseModalities": _read_modalities,
    "thinkingConfig": _read_thinking,
}

_FORMAT = ("responseMimeType", "responseSchema", "responseJsonSchema")


def _read_format(request: LLMRequest, fields: dict[str, Raw]) -> None:
    """The three fields that say together what form the answer has."""
    if not fields:
        return
    names = {name: f"generationConfig.{name}" for name in _FORMAT}
    kind = "text/plain"
    if "responseMimeType" in fields:
        kind = decode_parameter(_STRING, names["responseMimeType"], fields["responseMimeType"])
    schema: JSONObject | None = None
    if "responseJsonSchema" in fields:
        schema = decode_parameter(_OBJECT, names["responseJsonSchema"], fields["responseJsonSchema"])
    elif "responseSchema" in fields:
        schema = json_schema(decode_parameter(_OBJECT, names["responseSchema"], fields["responseSchema"]))
    if kind in ("", "text/plain") and schema is None:
        request.response_format = ResponseFormat(kind="text")
    elif kind == "application/json":
        request.response_format = ResponseFormat(kind="json_object" if schema is None else "json_schema", schema=schema)
    else:  # text/x.enum, or a schema for something else
        request.extra.update({names[name]: value for name, value in fields.items()})


def read_tools(request: LLMRequest, raw: Raw) -> None:
    """The parameter `tools`: lists of functions, and tools that Google runs, which are opaque."""
    for place, item in enumerate(decode_list(raw, "tools")):
        param = f"tools[{place}]"
        for name, value in decode_parameter(FIELDS, param, item).items():
            if name == "functionDeclarations":
                declarations = decode_list(value, f"{param}.{name}")
                for number, declaration in enumerate(declarations):
                    request.tools.append(_function(declaration, f"{param}.{name}[{number}]"))
            elif value != NULL:
                whole = {name: msgspec.json.decode(value)}
                request.tools.append(Tool(name=name, kind="opaque", api=API, raw=whole))


def _function(raw: Raw, param: str) -> Tool:
    wire = decode_parameter(_DECLARATION, param, raw)
    parameters = wire.parameters_json_schema
    if parameters is None and wire.parameters is not None:
        parameters = json_schema(wire.parameters)
    whole = decode_parameter(_OBJECT, param, raw)
    # What only this API has (`response`, `behavior`) is kept for the way back to it.
    own = {name: value for name, value in whole.items() if name not in _DECLARED}
    return Tool(
        name=wire.name,
        description=wire.description,
        parameters=parameters,
        api=API if own else "",
        raw=own or None,
    )


def read_tool_config(request: LLMRequest, raw: Raw) -> None:
    """The parameter `toolConfig`. Raises `RequestError` that names the field."""
    for name, value in decode_parameter(FIELDS, "toolConfig", raw).items():
        param = f"toolConfig.{name}"
        if name == "functionCallingConfig" and value != NULL:
            _read_function_calling(request, value, param)
        elif value != NULL:
            keep(request, param, value)


def _read_function_calling(request: LLMRequest, raw: Raw, param: str) -> None:
    wire = decode_parameter(_FUNCTION_CALLING, param, raw)
    word = wire.mode or "AUTO"
    mode = _MODES.get(word.upper())
    if mode is None:
        raise invalid_value(f"{param}.mode", "one of 'AUTO', 'ANY', 'NONE', 'VALIDATED'", repr(word))
    allowed = wire.allowed_function_names or []
    request.tool_choice = ToolChoice.among(mode, allowed)
    is_validated = word.upper() == "VALIDATED"
    if is_validated and not allowed:
        request.hints[param] = raw
    elif wire.stream_function_call_arguments is not None or (allowed and mode != "required" and not is_validated):
        request.kept[param] = raw
