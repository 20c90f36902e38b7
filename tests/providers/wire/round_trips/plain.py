"""The plainest form of a request: what every API means alike, whatever its words.

Here too stands what no other API has any use for, and what therefore may go without being named.
"""

from __future__ import annotations

from typing import Any

from providers.model import (
    FilePart,
    ImagePart,
    LLMRequest,
    Message,
    Reasoning,
    RequestMetadata,
    ResponseFormat,
    TextPart,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from providers.wire.effort import effort_of_budget
from tests.providers.wire.round_trips.changes import blank, on_parts


def plain(request: LLMRequest) -> None:
    """What every API means alike: defaults spelled out or not, one turn in two messages, labels nobody else reads."""
    request.raw = None
    request.model = ""
    request.metadata = RequestMetadata(user_id=request.metadata.user_id)
    request.kept = {}
    if "text.verbosity" in request.hints:
        request.hints["verbosity"] = request.hints.pop("text.verbosity")
    if bytes(request.hints.get("store", b"")) == b"false":
        del request.hints["store"]
    for name in ("top_k", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"):
        if not getattr(request, name):
            setattr(request, name, None)
    request.n = None if request.n == 1 else request.n
    request.include_usage = False  # everyone is asked
    if request.response_format == ResponseFormat(kind="text"):
        request.response_format = None
    request.reasoning = _plain_reasoning(request.reasoning)
    _plain_tools(request)
    for change in _PLAIN_PARTS:
        change(request)
    on_parts(object, _without_names_of_items)(request)
    turns: list[Message] = []
    for message in request.messages:
        _without_names_of_items(message)
        assert message.extra is None, "a field that was neither named nor said"
        message.is_instructions = False
        if turns and (turns[-1].role, turns[-1].name) == (message.role, message.name):
            turns[-1].content += message.content
        elif message.content:
            turns.append(message)
    request.messages = turns


def _plain_reasoning(reasoning: Reasoning | None) -> Reasoning | None:
    """Off, or to an effort; on without an effort is what the model does anyway."""
    if reasoning is None:
        return None
    if reasoning.enabled is False or reasoning.effort == "none":
        return Reasoning(enabled=False)
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if effort is None and budget is not None:
        effort = effort_of_budget(budget)
    found = Reasoning(effort=effort, display=reasoning.display)
    return None if found == Reasoning() else found


_TOOL_FIELDS = ("type", "name", "description", "parameters", "input_schema", "strict", "cache_control")


def _plain_tools(request: LLMRequest) -> None:
    choice = request.tool_choice
    if choice is not None and choice.allowed:
        # The same as these tools alone. One that is not there cannot be called.
        request.tools = [tool for tool in request.tools if tool.name in choice.allowed]
        choice = request.tool_choice = ToolChoice(mode=choice.mode)
    if not request.tools or (choice is not None and choice.mode == "auto"):
        request.tool_choice = None
    if not request.tools or request.parallel_tool_calls or (choice is not None and choice.mode == "none"):
        request.parallel_tool_calls = None
    for tool in request.tools:
        tool.strict = tool.strict or None
        if tool.kind == "custom":  # the format of its input; Chat has a grammar one level deeper
            raw = tool.raw or {}
            form = raw.get("custom", raw).get("format", {})
            tool.raw = {"type": form.get("type"), **form.get("grammar", form)}
        if tool.kind != "opaque":
            tool.api = ""
        if tool.kind == "function":
            tool.raw = {name: value for name, value in (tool.raw or {}).items() if name not in _TOOL_FIELDS} or None


def _without_names_of_items(holder: Any) -> Any:
    """What an item of Responses is called, and how far it is: that is asked of nobody else."""
    for name in ("id", "status", "item.id", "item.status"):
        (holder.extra or {}).pop(name, None)
    holder.extra = holder.extra or None
    return holder


def _without_empty_text(part: TextPart) -> TextPart | None:
    part.phase = None
    return part if part.text or part.signature else None


def _plain_image(part: ImagePart) -> ImagePart:
    part.detail = None if part.detail == "auto" else part.detail
    # Where there is a URL, its server tells the type.
    part.media_type = None if part.data is None else part.media_type or "image/png"
    return part


def _plain_file(part: FilePart) -> FilePart:
    part.media_type = None if part.data is None else part.media_type or "application/pdf"
    part.citations = part.citations or None
    return part


def _plain_call(part: ToolCallPart) -> ToolCallPart:
    if part.kind == "function":
        part.arguments = part.arguments or "{}"
    return part


_PLAIN_PARTS = (
    on_parts(TextPart, _without_empty_text),
    on_parts(ImagePart, _plain_image),
    on_parts(FilePart, _plain_file),
    on_parts(ToolCallPart, _plain_call),
    blank(ToolResultPart, "kind", to="function"),  # that of its call
    blank(object, "index", to=0),
)
