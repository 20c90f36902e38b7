"""Requests in: a Messages body to an `LLMRequest`. Imports the model, the errors and its neighbours.

A field is read by the decoder that `_READERS` names for its name; every other parameter goes by the table in
`parameters`. A wrong field is named as Anthropic does it: `messages.2.content.0.type`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from providers.errors import RequestError
from providers.model import (
    JSONObject,
    LLMRequest,
    Message,
    RawBody,
    Reasoning,
    RequestMetadata,
    ResponseFormat,
    Tool,
    ToolChoice,
    ToolResultPart,
)
from providers.wire.anthropic_messages.fields import one_of, read, read_open, refuse
from providers.wire.anthropic_messages.parameters import HINTS
from providers.wire.anthropic_messages.request_blocks import decode_content
from providers.wire.anthropic_messages.structs import API, OBJECT
from providers.wire.extra_fields import OpenReader
from providers.wire.json_text import FIELDS, UNREADABLE


class _Message(Struct):
    role: str
    content: Raw


class _Function(Struct):
    name: str
    input_schema: JSONObject
    description: str | None = None
    strict: bool | None = None
    cache_control: JSONObject | None = None


class _ServerTool(Struct):
    type: str | None = None
    name: str | None = None
    mcp_server_name: str | None = None
    cache_control: JSONObject | None = None


class _ToolChoice(Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Metadata(Struct):
    user_id: str | None = None


class _Format(Struct):
    type: str
    schema: JSONObject | None = None


_STR = msgspec.json.Decoder(str)
_INT = msgspec.json.Decoder(int)
_FLOAT = msgspec.json.Decoder(float)
_BOOL = msgspec.json.Decoder(bool)
_STRINGS = msgspec.json.Decoder(list[str])
_RAWS = msgspec.json.Decoder(list[Raw])
_MESSAGE = OpenReader(_Message)
_FUNCTION = msgspec.json.Decoder(_Function)
_SERVER_TOOL = msgspec.json.Decoder(_ServerTool)
_TOOL_CHOICE = msgspec.json.Decoder(_ToolChoice)
_THINKING = msgspec.json.Decoder(_Thinking)
_METADATA = msgspec.json.Decoder(_Metadata)
_FORMAT = msgspec.json.Decoder(_Format)

_FUNCTION_FIELDS = frozenset({"type", *_Function.__struct_fields__})
_MODES: dict[str, Literal["auto", "none", "required", "tool"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "tool",
    "none": "none",
}


def decode_request(body: bytes) -> LLMRequest:
    """A client's body, with `raw` set. Raises `RequestError` that names the field and says what was expected.

    A user message is split where results of tools begin and end: they become messages of role `tool`. A `null` counts
    as a parameter left out. Ranges are for the provider to check.
    """
    return read_request(body, required=("model", "messages", "max_tokens"))


def read_request(body: bytes, *, required: tuple[str, ...]) -> LLMRequest:
    """`decode_request`, with the parameters that must be there."""
    try:
        fields = FIELDS.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError("the request body: expected a JSON object") from error
    except UNREADABLE as error:
        raise RequestError("the request body is not valid JSON in UTF-8") from error
    for name in required:
        if name not in fields:
            refuse(name, "field required")
    request = LLMRequest(model="", raw=RawBody(API, body), metadata=RequestMetadata(api=API))
    # `system` stands before the messages, wherever the client wrote it.
    if "system" in fields:
        fields = {"system": fields.pop("system"), **fields}
    for name, raw in fields.items():
        if bytes(memoryview(raw)[:4]) == b"null" and name not in required:
            continue
        reader = _READERS.get(name)
        if reader is not None:
            reader(request, raw)
        elif name in HINTS:
            request.hints[name] = raw
        else:
            request.extra[name] = raw
    return request


def _model(request: LLMRequest, raw: Raw) -> None:
    request.model = read(_STR, raw, "model")
    if not request.model:
        refuse("model", "must not be empty")


def _max_tokens(request: LLMRequest, raw: Raw) -> None:
    request.max_tokens = read(_INT, raw, "max_tokens")
    if request.max_tokens < 0:  # 0 is allowed: it only fills the prompt cache
        refuse("max_tokens", f"expected 0 or more, got {request.max_tokens}")


def _temperature(request: LLMRequest, raw: Raw) -> None:
    request.temperature = read(_FLOAT, raw, "temperature")


def _top_p(request: LLMRequest, raw: Raw) -> None:
    request.top_p = read(_FLOAT, raw, "top_p")


def _top_k(request: LLMRequest, raw: Raw) -> None:
    request.top_k = read(_INT, raw, "top_k")


def _stop(request: LLMRequest, raw: Raw) -> None:
    request.stop = read(_STRINGS, raw, "stop_sequences")


def _stream(request: LLMRequest, raw: Raw) -> None:
    request.stream = read(_BOOL, raw, "stream")


def _system(request: LLMRequest, raw: Raw) -> None:
    content = decode_content(raw, "system", "system")
    if content:
        request.messages.append(Message(role="system", content=content))


def _messages(request: LLMRequest, raw: Raw) -> None:
    items = read(_RAWS, raw, "messages")
    if not items:
        refuse("messages", "at least one message is required")
    for index, item in enumerate(items):
        param = f"messages.{index}"
        message, extra = read_open(_MESSAGE, item, param)
        role = one_of(message.role, ("user", "assistant", "system"), f"{param}.role")
        content = decode_content(message.content, role, f"{param}.content")
        if role == "user":
            _split_turn(request.messages, Message(role="user", content=content, extra=extra))
        else:
            turn = Message(role="system" if role == "system" else "assistant", content=content, extra=extra)
            request.messages.append(turn)


def _split_turn(messages: list[Message], turn: Message) -> None:
    """Add a user's turn, its results of tools as messages of their own, in order."""
    if not any(isinstance(part, ToolResultPart) for part in turn.content):
        messages.append(turn)
        return
    current: Message | None = None
    for part in turn.content:
        role: Literal["tool", "user"] = "tool" if isinstance(part, ToolResultPart) else "user"
        if current is None or current.role != role:
            current = Message(role=role, extra=turn.extra if current is None else None)
            messages.append(current)
        part.index = len(current.content)
        current.content.append(part)


def _tools(request: LLMRequest, raw: Raw) -> None:
    items = read(_RAWS, raw, "tools")
    for index, item in enumerate(items):
        param = f"tools.{index}"
        tool = read(_SERVER_TOOL, item, param)
        if tool.type not in (None, "custom"):
            request.tools.append(
                Tool(
                    name=tool.name or tool.mcp_server_name or tool.type or "",
                    kind="opaque",
                    cache_control=tool.cache_control,
                    api=API,
                    raw=read(OBJECT, item, param),
                )
            )
            continue
        function = read(_FUNCTION, item, param)
        whole = read(OBJECT, item, param)
        # Fields that only this API has (`defer_loading`, `input_examples` ...) are kept for the way back to it.
        own = whole if not whole.keys() <= _FUNCTION_FIELDS else None
        request.tools.append(
            Tool(
                name=function.name,
                description=function.description,
                parameters=function.input_schema,
                strict=function.strict,
                cache_control=function.cache_control,
                api=API if own is not None else "",
                raw=own,
            )
        )


def _tool_choice(request: LLMRequest, raw: Raw) -> None:
    choice = read(_TOOL_CHOICE, raw, "tool_choice")
    mode = _MODES[one_of(choice.type, _MODES, "tool_choice.type")]
    if mode == "tool" and choice.name is None:
        refuse("tool_choice.name", "field required")
    request.tool_choice = ToolChoice(mode=mode, name=choice.name if mode == "tool" else None)
    if choice.disable_parallel_tool_use is not None:
        request.parallel_tool_calls = not choice.disable_parallel_tool_use


def _thinking(request: LLMRequest, raw: Raw) -> None:
    thinking = read(_THINKING, raw, "thinking")
    if thinking.type not in ("enabled", "disabled", "adaptive"):
        request.extra["thinking"] = raw
        return
    if thinking.type == "enabled" and thinking.budget_tokens is None:
        refuse("thinking.budget_tokens", "field required")
    reasoning = _reasoning_of(request)
    reasoning.enabled = thinking.type != "disabled"
    reasoning.adaptive = thinking.type == "adaptive"
    reasoning.budget_tokens = thinking.budget_tokens if thinking.type == "enabled" else None
    reasoning.display = thinking.display


def _output_config(request: LLMRequest, raw: Raw) -> None:
    config = read(FIELDS, raw, "output_config")
    if (effort := config.pop("effort", None)) is not None and bytes(effort) != b"null":
        _reasoning_of(request).effort = read(_STR, effort, "output_config.effort")
    if (form := config.pop("format", None)) is not None and not _format(request, form, "output_config.format"):
        config["format"] = form
    if config:
        request.extra["output_config"] = Raw(msgspec.json.encode(config))


def _output_format(request: LLMRequest, raw: Raw) -> None:
    if not _format(request, raw, "output_format"):
        request.extra["output_format"] = raw


def _format(request: LLMRequest, raw: Raw, param: str) -> bool:
    """Read a format for the answer; False if it is of a kind that the model in the middle does not have."""
    if bytes(raw) == b"null":
        return True
    form = read(_FORMAT, raw, param)
    if form.type != "json_schema":
        return False
    if form.schema is None:
        refuse(f"{param}.schema", "field required")
    request.response_format = ResponseFormat(kind="json_schema", schema=form.schema)
    return True


def _metadata(request: LLMRequest, raw: Raw) -> None:
    request.metadata.user_id = read(_METADATA, raw, "metadata").user_id
    if read(FIELDS, raw, "metadata").keys() - {"user_id"}:
        request.hints["metadata"] = raw


def _reasoning_of(request: LLMRequest) -> Reasoning:
    if request.reasoning is None:
        request.reasoning = Reasoning()
    return request.reasoning


_READERS: dict[str, Callable[[LLMRequest, Raw], None]] = {
    "model": _model,
    "messages": _messages,
    "max_tokens": _max_tokens,
    "system": _system,
    "temperature": _temperature,
    "top_p": _top_p,
    "top_k": _top_k,
    "stop_sequences": _stop,
    "stream": _stream,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "thinking": _thinking,
    "output_config": _output_config,
    "output_format": _output_format,
    "metadata": _metadata,
}
