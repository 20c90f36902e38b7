"""A client's request body as a request of the model. Does no I/O.

Strict on what the model in the middle understands: a wrong type there is the client's mistake, told with the field's
place. Lossless on the rest: what has no field is kept by what it means to other APIs (see `parameters`), and the body
itself in `raw`. Null means "not given".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Raw

from providers.errors import RequestError
from providers.model import (
    LLMRequest,
    Message,
    RawBody,
    Reasoning,
    RequestMetadata,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value, not_json, required
from providers.wire.openai_responses import request_structs as wire
from providers.wire.openai_responses.api import API
from providers.wire.openai_responses.input_decoder import InputDecoder
from providers.wire.openai_responses.parameters import BOUND, DEFAULTS, FREE_INCLUDES, HINTS, KEPT

_Decoder = msgspec.json.Decoder

_TOP = _Decoder(dict[str, Raw])
_STRING = _Decoder(str)
_INTEGER = _Decoder(int)
_NUMBER = _Decoder(float)
_BOOLEAN = _Decoder(bool)
_STRINGS = _Decoder(list[str])
_INSTRUCTIONS = _Decoder(str | list[Raw])
_TOOLS = _Decoder(list[wire.WireTool])
_RAW_TOOLS = _Decoder(list[dict[str, Any]])
_TOOL_CHOICE = _Decoder(str | wire.WireToolChoice)
_TEXT = _Decoder(wire.TextOptions)
_REASONING = _Decoder(wire.WireReasoning)

_PLAIN: dict[str, tuple[str, _Decoder[Any]]] = {
    "stream": ("stream", _BOOLEAN),
    "max_output_tokens": ("max_tokens", _INTEGER),
    "temperature": ("temperature", _NUMBER),
    "top_p": ("top_p", _NUMBER),
    "parallel_tool_calls": ("parallel_tool_calls", _BOOLEAN),
}
"""Parameters that are a field of the model, and that field."""

_DONE = frozenset({"model", "input", "instructions"})


def decode_request(body: bytes) -> LLMRequest:
    """The request, with `raw` set. Raises `RequestError` that names the field that is wrong."""
    return read_request(body, needs_input=True)


def read_request(body: bytes, *, needs_input: bool) -> LLMRequest:
    """`decode_request`. `needs_input`: there must be something to answer."""
    try:
        top = _TOP.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError("the request body must be a JSON object", code="invalid_json") from error
    except (ValueError, RecursionError) as error:
        raise not_json(error) from error
    request = LLMRequest(
        model=_model(top.get("model")),
        metadata=RequestMetadata(api=API),
        raw=RawBody(API, body),
    )
    if _is_given(top.get("instructions")):
        _read_instructions(request, top["instructions"])
    if _is_given(top.get("input")):
        InputDecoder(request).decode(top["input"])
    elif needs_input and not _is_given(top.get("prompt")) and not _is_given(top.get("previous_response_id")):
        raise required("input")
    for name, raw in top.items():
        if name not in _DONE and _is_given(raw):
            _read_parameter(request, name, raw)
    return request


def _read_parameter(request: LLMRequest, name: str, raw: Raw) -> None:
    plain = _PLAIN.get(name)
    if plain is not None:
        setattr(request, plain[0], decode_parameter(plain[1], name, raw))
        return
    read = _READERS.get(name)
    if read is not None:
        read(request, raw)
    elif name in KEPT or bytes(raw) == DEFAULTS.get(name):
        request.kept[name] = raw
    elif name in HINTS:
        request.hints[name] = raw
    else:
        request.extra[name] = raw
        if name in BOUND:
            request.bound[name] = BOUND[name]


def _is_given(raw: Raw | None) -> bool:
    return raw is not None and bytes(raw) != b"null"


def _model(raw: Raw | None) -> str:
    if raw is None or not _is_given(raw):
        raise required("model")
    model = decode_parameter(_STRING, "model", raw)
    if not model:
        raise required("model")
    return model


def _read_instructions(request: LLMRequest, raw: Raw) -> None:
    instructions = decode_parameter(_INSTRUCTIONS, "instructions", raw)
    if isinstance(instructions, str):
        message = Message(role="system", content=[TextPart(text=instructions)], is_instructions=True)
        request.messages.append(message)
        return
    InputDecoder(request).decode(raw)  # a list of items, as answers echo it
    for message in request.messages:
        message.is_instructions = True


def _read_user(request: LLMRequest, raw: Raw) -> None:
    request.metadata.user_id = decode_parameter(_STRING, "user", raw)


def _read_include(request: LLMRequest, raw: Raw) -> None:
    wanted = decode_parameter(_STRINGS, "include", raw)
    if "message.output_text.logprobs" in wanted:
        request.logprobs = True
    kept = request.kept if FREE_INCLUDES.issuperset(wanted) else request.hints
    kept["include"] = raw


def _read_top_logprobs(request: LLMRequest, raw: Raw) -> None:
    count = decode_parameter(_INTEGER, "top_logprobs", raw)
    if count:
        request.top_logprobs = count
        request.logprobs = True
    else:
        request.kept["top_logprobs"] = raw


def _read_reasoning(request: LLMRequest, raw: Raw) -> None:
    options = decode_parameter(_REASONING, "reasoning", raw)
    request.reasoning = Reasoning(effort=options.effort)
    if options.effort == "none":
        request.reasoning.enabled = False
    for name, value in decode_parameter(_TOP, "reasoning", raw).items():
        if name != "effort" and _is_given(value):
            # `summary`, `generate_summary`, `context` ...: how reasoning is shown and kept.
            request.hints[f"reasoning.{name}"] = value


def _read_text(request: LLMRequest, raw: Raw) -> None:
    options = decode_parameter(_TEXT, "text", raw)
    if _is_given(options.verbosity) and bytes(options.verbosity):
        request.hints["text.verbosity"] = options.verbosity
    form = options.format
    if form is None:
        return
    if form.type == "text":
        request.response_format = ResponseFormat(kind="text")
    elif form.type == "json_object":
        request.response_format = ResponseFormat(kind="json_object")
    elif form.type == "json_schema":
        if form.schema is None:
            raise required("text.format.schema")
        request.response_format = ResponseFormat(
            kind="json_schema", name=form.name, description=form.description, schema=form.schema, strict=form.strict
        )
    else:
        request.extra["text"] = raw


def _read_tools(request: LLMRequest, raw: Raw) -> None:
    tools = decode_parameter(_TOOLS, "tools", raw)
    raws = decode_parameter(_RAW_TOOLS, "tools", raw)
    for index, (tool, own) in enumerate(zip(tools, raws, strict=True)):
        if tool.type not in ("function", "custom"):
            request.tools.append(Tool(name=tool.type, kind="opaque", api=API, raw=own))
            continue
        if not tool.name:
            raise required(f"tools[{index}].name")
        request.tools.append(
            Tool(
                name=tool.name,
                description=tool.description,
                parameters=tool.parameters,
                strict=tool.strict,
                kind="custom" if tool.type == "custom" else "function",
                api=API,
                raw=own,
            )
        )


def _read_tool_choice(request: LLMRequest, raw: Raw) -> None:
    choice = decode_parameter(_TOOL_CHOICE, "tool_choice", raw)
    if isinstance(choice, str):
        request.tool_choice = ToolChoice(mode=_choice_mode("tool_choice", choice))
    elif choice.type in ("function", "custom"):
        if not choice.name:
            raise required("tool_choice.name")
        request.tool_choice = ToolChoice(mode="tool", name=choice.name)
    elif choice.type == "allowed_tools":
        tools = choice.tools or []
        names = [tool.name for tool in tools if tool.type in ("function", "custom") and tool.name]
        request.tool_choice = ToolChoice.among(_choice_mode("tool_choice.mode", choice.mode or "auto"), names)
        if not names or len(names) < len(tools):
            request.extra["tool_choice"] = raw
    else:  # a tool that the provider runs itself: only it knows what that means
        request.extra["tool_choice"] = raw


def _choice_mode(param: str, mode: str) -> Literal["auto", "none", "required"]:
    choice = _CHOICE_MODES.get(mode)
    if choice is None:
        raise invalid_value(param, "one of 'none', 'auto', 'required'", repr(mode))
    return choice


_CHOICE_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}


_READERS: dict[str, Callable[[LLMRequest, Raw], None]] = {
    "user": _read_user,
    "include": _read_include,
    "top_logprobs": _read_top_logprobs,
    "reasoning": _read_reasoning,
    "text": _read_text,
    "tools": _read_tools,
    "tool_choice": _read_tool_choice,
}
