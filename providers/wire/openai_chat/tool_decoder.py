"""The tools of a client's request. Does no I/O.

Custom tools and those that a vendor runs itself keep their definition whole in `Tool.raw`; of a function `raw` holds
what the model has no field for.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from providers.errors import RequestError
from providers.model import JSONObject, Tool, Unread
from providers.wire.extra_fields import names_of, split_fields
from providers.wire.json_text import UNREADABLE
from providers.wire.openai_chat import request_structs as wire
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.request_errors import decode_parameter, note, required


class _Head(msgspec.Struct, gc=False):
    type: str = "function"


_TOOLS = msgspec.json.Decoder(list[wire.WireTool])
_RAWS: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
_HEAD = msgspec.json.Decoder(_Head)
_TOOL = msgspec.json.Decoder(wire.WireTool)
_CUSTOM = msgspec.json.Decoder(wire.CustomTool)
_OBJECT: msgspec.json.Decoder[JSONObject] = msgspec.json.Decoder(dict[str, Any])
_FUNCTIONS = msgspec.json.Decoder(list[wire.FunctionDefinition])
_FUNCTION = msgspec.json.Decoder(wire.FunctionDefinition)

_IN_TOOL = {"function": names_of(wire.FunctionDefinition)}


def decode_tools(raw: Raw, unread: dict[str, Unread]) -> list[Tool]:
    """The parameter `tools`. Raises `RequestError` if it is no list of objects.

    A tool that is not what OpenAI defines stays whole, as one that the vendor runs, and is noted in `unread`.
    """
    try:
        tools = _TOOLS.decode(raw)
    except UNREADABLE:
        return _one_by_one(raw, unread)
    if any(tool.type != "function" or tool.function is None for tool in tools):
        return _one_by_one(raw, unread)
    return [_function(tool.function, tool.cache_control) for tool in tools if tool.function is not None]


def decode_functions(raw: Raw) -> list[Tool]:
    """The parameter `functions`, which `tools` was before 2023-11. Raises `RequestError` that names the field."""
    try:
        return [_function(function) for function in _FUNCTIONS.decode(raw)]
    except UNREADABLE:
        pass
    tools: list[Tool] = []
    for index, item in enumerate(_items(raw, "functions")):
        param = f"functions[{index}]"
        decode_parameter(_OBJECT, param, item)
        pruned, extra = split_fields(item, names_of(wire.FunctionDefinition))
        function = decode_parameter(_FUNCTION, param, pruned)
        tools.append(_with_own(_function(function), {f"function.{name}": value for name, value in extra.items()}))
    return tools


def _one_by_one(raw: Raw, unread: dict[str, Unread]) -> list[Tool]:
    tools: list[Tool] = []
    for index, item in enumerate(_items(raw, "tools")):
        param = f"tools[{index}]"
        whole = decode_parameter(_OBJECT, param, item)
        try:
            tools.append(_tool(item, whole, param))
        except RequestError as error:
            note(error, unread)
            tools.append(Tool(name=_name_in(whole), kind="opaque", api=API, raw=whole))
    return tools


def _name_in(tool: JSONObject) -> str:
    """What a tool is called, wherever it says so."""
    for at in (tool.get("function"), tool.get("custom"), tool):
        name = at.get("name") if isinstance(at, dict) else None
        if isinstance(name, str):
            return name
    return str(tool.get("type"))


def _items(raw: Raw, name: str) -> list[Raw]:
    items: list[Raw] = decode_parameter(_RAWS, name, raw)
    return items


def _tool(raw: Raw, whole: JSONObject, param: str) -> Tool:
    head = decode_parameter(_HEAD, param, raw)
    if head.type == "function":
        pruned, extra = split_fields(raw, names_of(wire.WireTool), _IN_TOOL)
        tool = decode_parameter(_TOOL, param, pruned)
        if tool.function is None:
            raise required(f"{param}.function")
        return _with_own(_function(tool.function, tool.cache_control), extra)
    if head.type != "custom":
        return Tool(name=head.type, kind="opaque", api=API, raw=whole)
    custom = decode_parameter(_CUSTOM, param, raw)
    if custom.custom is None:
        raise required(f"{param}.custom")
    return Tool(
        name=custom.custom.name,
        description=custom.custom.description,
        kind="custom",
        cache_control=custom.cache_control,
        api=API,
        raw=whole,
    )


def _function(function: wire.FunctionDefinition, cache_control: JSONObject | None = None) -> Tool:
    return Tool(
        name=function.name,
        description=function.description,
        parameters=function.parameters,
        strict=function.strict,
        cache_control=cache_control,
    )


def _with_own(tool: Tool, extra: dict[str, Raw]) -> Tool:
    """The tool with the fields that only this API has, where they stood."""
    if extra:
        tool.api, tool.raw = API, {}
        for name, value in extra.items():
            inside, _, field = name.rpartition("function.")
            at = tool.raw.setdefault("function", {}) if name.startswith("function.") and not inside else tool.raw
            at[field or name] = msgspec.json.decode(value)
    return tool
