"""A client's request body as a request of the model. Does no I/O.

Vendors have parameters, parts, roles and types that OpenAI does not define. What is not known goes to an `extra` or to
`hints` (see `parameters.py`). What is known, but of another type, goes to `extra` too, and to `unread`: to any other
API it is a mistake of the client's. A mistake to every vendor (`temperature: "hot"`, messages that are no objects) is
told at once, with the field's place. The body itself is kept in `raw`. Null means "not given", as everywhere here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from providers.errors import RequestError
from providers.model import LLMRequest, RawBody, Reasoning, RequestMetadata, ResponseFormat, ToolChoice
from providers.wire.openai_chat import request_structs as wire
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.message_decoder import decode_messages
from providers.wire.openai_chat.open_messages import OpenMessages
from providers.wire.openai_chat.parameters import HINTS
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value, not_json, note, required
from providers.wire.openai_chat.tool_decoder import decode_functions, decode_tools

_Decoder = msgspec.json.Decoder
_Reader = Callable[[LLMRequest, msgspec.Raw], None]

_TOP = _Decoder(dict[str, msgspec.Raw])
_STRING = _Decoder(str)
_INTEGER = _Decoder(int)
_NUMBER = _Decoder(float)
_BOOLEAN = _Decoder(bool)
_STOP = _Decoder(str | list[str])
_TOOL_CHOICE = _Decoder(str | wire.WireToolChoice)
_FUNCTION_CALL = _Decoder(str | wire.NamedTool)
_RESPONSE_FORMAT = _Decoder(wire.WireResponseFormat)
_REASONING = _Decoder(wire.WireReasoning)
_STREAM_OPTIONS = _Decoder(wire.StreamOptions)
_MODALITIES = _Decoder(list[str])

_PLAIN: dict[str, _Decoder[Any]] = {
    "stream": _BOOLEAN,
    "max_tokens": _INTEGER,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "top_k": _INTEGER,
    "seed": _INTEGER,
    "frequency_penalty": _NUMBER,
    "presence_penalty": _NUMBER,
    "n": _INTEGER,
}
"""Parameters that are a field of the same name, and of this type for every vendor."""

_USUALLY: dict[str, _Decoder[Any]] = {
    "logit_bias": _Decoder(dict[str, float]),
    "logprobs": _BOOLEAN,
    "top_logprobs": _INTEGER,
    "parallel_tool_calls": _BOOLEAN,
}
"""The same, but for vendors who take something else."""


def decode_request(body: bytes) -> LLMRequest:
    """The request, with `raw` set. Raises `RequestError` that names the field that is wrong."""
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
    _read_messages(request, _required(top, "messages"))
    for name, raw in top.items():
        if name in _DONE or _is_null(raw):
            continue
        decoder = _PLAIN.get(name)
        if decoder is not None:
            setattr(request, name, decode_parameter(decoder, name, raw))
            continue
        read = _READERS.get(name)
        if name == "stream_options":
            _read_stream_options(request, raw)
        elif read is not None:
            try:
                read(request, raw)
            except RequestError as error:
                if name == "tools":
                    raise  # no vendor takes anything but a list of objects
                note(error, request.unread)
                request.extra[name] = raw
        elif name in HINTS:
            request.hints[name] = raw
        else:
            request.extra[name] = raw
    # The newer name wins, wherever it stands.
    limit = top.get("max_completion_tokens")
    if limit is not None and not _is_null(limit):
        request.max_tokens = decode_parameter(_INTEGER, "max_completion_tokens", limit)
    return request


def _read_messages(request: LLMRequest, raw: msgspec.Raw) -> None:
    messages = decode_messages(raw)
    if messages is None:
        messages = OpenMessages(request.unread).decode(raw)
    if not messages:
        raise invalid_value("messages", "at least one message", "an empty array")
    request.messages = messages


_DONE = frozenset({"model", "messages", "max_completion_tokens"})


def _is_null(raw: msgspec.Raw) -> bool:
    return bytes(raw) == b"null" if len(raw) == 4 else False


def _required(top: dict[str, msgspec.Raw], name: str) -> msgspec.Raw:
    raw = top.get(name)
    if raw is None or _is_null(raw):
        raise required(name)
    return raw


def _model(raw: msgspec.Raw | None) -> str:
    if raw is None or _is_null(raw):
        raise required("model")
    model = decode_parameter(_STRING, "model", raw)
    if not model:
        raise required("model")
    return model


def _read_usually(name: str, decoder: _Decoder[Any]) -> _Reader:
    def read(request: LLMRequest, raw: msgspec.Raw) -> None:
        setattr(request, name, decode_parameter(decoder, name, raw))

    return read


def _read_stop(request: LLMRequest, raw: msgspec.Raw) -> None:
    stop = decode_parameter(_STOP, "stop", raw)
    request.stop = [stop] if isinstance(stop, str) else stop


def _read_stream_options(request: LLMRequest, raw: msgspec.Raw) -> None:
    options = decode_parameter(_STREAM_OPTIONS, "stream_options", raw)
    request.include_usage = bool(options.include_usage)
    if len(_TOP.decode(raw)) > (options.include_usage is not None):
        request.hints["stream_options"] = raw


def _read_user(request: LLMRequest, raw: msgspec.Raw) -> None:
    request.metadata.user_id = decode_parameter(_STRING, "user", raw)


def _read_modalities(request: LLMRequest, raw: msgspec.Raw) -> None:
    kept = request.hints if decode_parameter(_MODALITIES, "modalities", raw) == ["text"] else request.extra
    kept["modalities"] = raw


def _read_reasoning_effort(request: LLMRequest, raw: msgspec.Raw) -> None:
    effort = decode_parameter(_STRING, "reasoning_effort", raw)
    reasoning = request.reasoning or Reasoning()
    # `reasoning` says more, so it wins where both are given.
    if reasoning.effort is None:
        reasoning.effort = effort
    _set_reasoning(request, reasoning)


def _read_reasoning(request: LLMRequest, raw: msgspec.Raw) -> None:
    options = decode_parameter(_REASONING, "reasoning", raw)
    reasoning = request.reasoning or Reasoning()
    reasoning.effort = options.effort or reasoning.effort
    reasoning.budget_tokens = options.max_tokens
    reasoning.enabled = options.enabled
    if options.exclude:
        reasoning.display = "omitted"
    _set_reasoning(request, reasoning)


def _set_reasoning(request: LLMRequest, reasoning: Reasoning) -> None:
    if reasoning.effort == "none":
        reasoning.enabled = False
    request.reasoning = reasoning


def _read_response_format(request: LLMRequest, raw: msgspec.Raw) -> None:
    options = decode_parameter(_RESPONSE_FORMAT, "response_format", raw)
    if options.type == "text":
        request.response_format = ResponseFormat(kind="text")
    elif options.type == "json_object":
        request.response_format = ResponseFormat(kind="json_object")
    elif options.type == "json_schema":
        schema = options.json_schema
        if schema is None:
            raise required("response_format.json_schema")
        request.response_format = ResponseFormat(
            kind="json_schema",
            name=schema.name,
            description=schema.description,
            schema=schema.schema,
            strict=schema.strict,
        )
    else:
        request.extra["response_format"] = raw


def _read_tools(request: LLMRequest, raw: msgspec.Raw) -> None:
    request.tools += decode_tools(raw, request.unread)


def _read_functions(request: LLMRequest, raw: msgspec.Raw) -> None:
    request.tools += decode_functions(raw)


def _read_tool_choice(request: LLMRequest, raw: msgspec.Raw) -> None:
    choice = decode_parameter(_TOOL_CHOICE, "tool_choice", raw)
    if isinstance(choice, str):
        request.tool_choice = ToolChoice(mode=_choice_mode("tool_choice", choice))
        return
    if choice.type == "allowed_tools":
        if choice.allowed_tools is None:
            raise required("tool_choice.allowed_tools")
        chosen = _choice_mode("tool_choice.allowed_tools.mode", choice.allowed_tools.mode)
        names = [name for tool in choice.allowed_tools.tools or () if (name := tool.name) is not None]
        request.tool_choice = ToolChoice.among(chosen, names)
        if not names or len(names) < len(choice.allowed_tools.tools or ()):
            request.extra["tool_choice"] = raw
        return
    if choice.type not in ("function", "custom"):
        # A tool that the provider runs itself: only it knows the name.
        request.extra["tool_choice"] = raw
        return
    named = choice.function if choice.type == "function" else choice.custom
    if named is None:
        raise required(f"tool_choice.{choice.type}")
    request.tool_choice = ToolChoice(mode="tool", name=named.name)


def _read_function_call(request: LLMRequest, raw: msgspec.Raw) -> None:
    choice = decode_parameter(_FUNCTION_CALL, "function_call", raw)
    if isinstance(choice, str):
        request.tool_choice = ToolChoice(mode=_choice_mode("function_call", choice))
    else:
        request.tool_choice = ToolChoice(mode="tool", name=choice.name)


def _choice_mode(param: str, mode: str) -> Literal["auto", "none", "required"]:
    choice = _CHOICE_MODES.get(mode)
    if choice is None:
        raise invalid_value(param, "one of 'none', 'auto', 'required'", repr(mode))
    return choice


_CHOICE_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral's word
}


_READERS: dict[str, _Reader] = {
    **{name: _read_usually(name, decoder) for name, decoder in _USUALLY.items()},
    "stop": _read_stop,
    "user": _read_user,
    "modalities": _read_modalities,
    "reasoning_effort": _read_reasoning_effort,
    "reasoning": _read_reasoning,
    "response_format": _read_response_format,
    "tools": _read_tools,
    "functions": _read_functions,
    "tool_choice": _read_tool_choice,
    "function_call": _read_function_call,
}
