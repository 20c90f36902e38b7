"""What a request asks for and a target API has no word for: refused or dropped by name, the same way on every wire.

Imports the model.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from providers.model import LLMRequest, Tool, ToolChoice
from providers.wire.base import Translation


def refuse_parameters(request: LLMRequest, translation: Translation, *names: str) -> None:
    """Refuse the named sampling parameters where they ask for something: 0, false and {} do not, nor does `n=1`."""
    for name in names:
        value = getattr(request, name)
        if value and not (name == "n" and value == 1):
            translation.refuse(name, "it gives one answer" if name == "n" else "")


_TOOL_FIELDS = frozenset({"type", "name", "description", "parameters", "input_schema", "strict", "cache_control"})
"""What the model in the middle has fields for, as the APIs call it."""


_HEADERS = ("anthropic-beta",)
"""Headers of a client's API that change what its provider does."""


def refuse_unknown(request: LLMRequest, translation: Translation, *, told: Collection[str] = ()) -> None:
    """What the model in the middle has no field for: parameters are refused, or dropped if they are hints; a function's
    further fields (`input_examples`, `defer_loading` ...) are dropped, and so are headers. `told`: those that the wire
    itself has taken care of."""
    for name in _HEADERS:
        if name in request.metadata.headers and name not in told:
            translation.drop(name)
    for name in request.extra:
        translation.refuse(name, spelled=True)
    for name in request.hints:
        translation.drop(name, spelled=True)
    for tool in request.tools:
        if tool.kind == "function":
            for name, value in (tool.raw or {}).items():
                if name == "function" and isinstance(value, dict):  # Chat Completions has it one level deeper
                    for inner in value:
                        translation.drop(f"tools[].function.{inner}")
                elif name not in _TOOL_FIELDS:
                    translation.drop(f"tools[].{name}")


def refuse_tool(index: int, tool: Tool, translation: Translation) -> None:
    """Refuse a tool that only its own API knows, whoever runs it (the provider, or the client: Anthropic's `bash`)."""
    where = tool.api or "another API"
    translation.refuse(
        f"tools[{index}]", f"'{tool.name}' is a tool that {where} defines, and this API has no word for it"
    )


def only_allowed(request: LLMRequest, translation: Translation) -> LLMRequest:
    """The request with no tools but those that its tool choice allows, for an API that cannot limit the choice."""
    choice = request.tool_choice
    if choice is None or not choice.allowed:
        return request
    tools = [tool for tool in request.tools if tool.name in choice.allowed]
    if not tools and choice.mode == "required":
        translation.refuse("tool_choice", "there is no tool of those that it allows")
        return msgspec.structs.replace(request, tool_choice=None)
    if any(tool.cache_control is not None and tool not in tools for tool in request.tools):
        translation.drop("tools[].cache_control")
    return msgspec.structs.replace(request, tools=tools, tool_choice=ToolChoice(mode=choice.mode))


def choice_among(request: LLMRequest, sent: Collection[str], translation: Translation) -> ToolChoice | None:
    """The request's tool choice, unless it is a tool that had to be left out, which nothing could be made to call.

    `sent`: the names of the tools that are not left out.
    """
    choice = request.tool_choice
    if choice is None:
        return choice
    if choice.allowed:
        left_out = {tool.name for tool in request.tools}.difference(sent)
        allowed = [name for name in choice.allowed if name not in left_out]
        if allowed and choice.mode in ("auto", "required"):
            return ToolChoice.among(choice.mode, allowed)
        translation.refuse("tool_choice", "the tools that it allows are left out")
        return None
    if choice.name is None or choice.name in sent:
        return choice
    if choice.name not in [tool.name for tool in request.tools]:
        return choice  # the client's own mistake, for the provider to tell
    translation.refuse("tool_choice", f"the tool '{choice.name}' is left out")
    return None
