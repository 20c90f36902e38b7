"""Changes to a request: what a wire leaves out of it, or says in other words. For the tables of `limits`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from providers.model import (
    AudioPart,
    FilePart,
    LLMRequest,
    Message,
    OpaquePart,
    Part,
    Reasoning,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    with_signature_blocks,
)
from providers.wire.data_url import file_name
from providers.wire.gemini_generate.signatures import VALIDATOR_SKIPPED
from providers.wire.tool_media import move_media_out_of_results

Change = Callable[[LLMRequest], None]

# --- what is left out -------------------------------------------------------------------------------------------------


def set_to(value: object, *fields: str) -> Change:
    """Set fields of the request, or, after a dot, of what stands in one of its fields."""

    def change(request: LLMRequest) -> None:
        for field in fields:
            *path, name = field.split(".")
            at: Any = request
            for step in path:
                at = getattr(at, step) if at is not None else None
            for item in at if isinstance(at, list) else [at]:
                if item is not None:
                    setattr(item, name, value)

    return change


def on_parts(kind: type[Any], change: Callable[[Any], Part | None], *roles: str) -> Change:
    """Replace the parts of a kind, or with None remove them; also those in results of tools."""

    def changed(parts: list[Part]) -> list[Part]:
        found: list[Part] = []
        for part in parts:
            if isinstance(part, ToolResultPart):
                part.content = changed(part.content)
            new = change(part) if isinstance(part, kind) else part
            if new is not None:
                found.append(new)
        return found

    def apply(request: LLMRequest) -> None:
        for message in request.messages:
            if not roles or message.role in roles:
                message.content = changed(message.content)

    return apply


def without(kind: type[Any], *fields: str, role: str = "") -> Change:
    """Remove the parts of a kind that have all these fields."""
    return on_parts(
        kind, lambda part: None if all(getattr(part, field) for field in fields) else part, *([role] if role else [])
    )


def blank(kind: type[Any], *fields: str, to: object = None, where: Callable[[Any], bool] = bool) -> Change:
    """Set fields of the parts of a kind."""

    def change(part: Any) -> Part:
        if where(part):
            for field in fields:
                setattr(part, field, to)
        found: Part = part
        return found

    return on_parts(kind, change)


def each(*changes: Change) -> Change:
    """All of them."""

    def change(request: LLMRequest) -> None:
        for one in changes:
            one(request)

    return change


def only_reasoning(api: str, *formats: str) -> Change:
    """Keep reasoning of these formats if it is signed or encrypted, or the client speaks the API."""

    def change(request: LLMRequest) -> None:
        own = request.metadata.api == api

        def keep(part: ReasoningPart) -> Part | None:
            proven = part.format in formats and (part.signature or part.redacted)
            unsigned = part.format in (None, *formats) and own
            return part if proven or unsigned else None

        on_parts(ReasoningPart, keep)(request)

    return change


def only_functions(request: LLMRequest) -> None:
    request.tools = [tool for tool in request.tools if tool.kind == "function"]


def without_opaque_tools(request: LLMRequest) -> None:
    request.tools = [tool for tool in request.tools if tool.kind != "opaque"]


def custom_calls_as_functions(part: ToolCallPart) -> ToolCallPart:
    if part.kind == "custom":
        part.kind = "function"
        part.arguments = msgspec.json.encode({"input": part.arguments}).decode()
    return part


# --- what is said in other words --------------------------------------------------------------------------------------


def system_first(request: LLMRequest) -> None:
    """One system message of all, before the conversation."""
    system = Message(role="system")
    turns: list[Message] = []
    for message in request.messages:
        if message.role in ("system", "developer"):
            system.content += message.content
        else:
            turns.append(message)
    request.messages = [system, *turns]


def media_after_results(request: LLMRequest) -> None:
    request.messages = move_media_out_of_results(request.messages)
    hint = TextPart(text="The result is in the next user message.")
    on_parts(TextPart, lambda part: None if part == hint else part, "tool")(request)


_ORDER: tuple[type[Any], ...] = (ReasoningPart, TextPart, RefusalPart, ToolCallPart, AudioPart)


def answers_in_order(request: LLMRequest) -> None:
    """An answer is its reasoning, one text, one refusal and the calls."""
    for message in request.messages:
        if message.role == "assistant":
            found: list[Part] = []
            for part in sorted(message.content, key=lambda part: _ORDER.index(type(part))):
                last = found[-1] if found else None
                if isinstance(part, TextPart | RefusalPart) and isinstance(last, type(part)):
                    last.text += part.text
                else:
                    found.append(part)
            message.content = found


def text_of_result_first(part: ToolResultPart) -> ToolResultPart:
    text = "".join(inner.text for inner in part.content if isinstance(inner, TextPart))
    rest = [inner for inner in part.content if not isinstance(inner, TextPart)]
    part.content = [TextPart(text=text), *rest] if text else rest
    return part


def documents_as_texts(part: FilePart) -> Part:
    return part if part.text is None else TextPart(text=part.text, cache_control=part.cache_control)


def texts_as_documents(part: FilePart) -> FilePart:
    """The text of a document that came as data."""
    if part.data is not None and part.media_type is not None and part.media_type.startswith("text/"):
        part.text, part.data, part.media_type = base64.b64decode(part.data).decode(), None, None
    return part


def documents_as_data(part: FilePart) -> FilePart:
    if part.text is not None:
        part.data, part.text = base64.b64encode(part.text.encode()).decode(), None
        part.media_type = "text/plain"
    return part


def files_named(part: FilePart) -> FilePart:
    if part.data is not None:
        part.filename = part.filename or file_name(part.media_type or "")
    return part


def blocks_as_texts(part: OpaquePart) -> Part:
    """Anthropic's search results, and its documents made of blocks."""
    if part.api != "anthropic-messages" or part.kind not in ("search_result", "document"):
        return part
    block = msgspec.json.decode(part.raw)
    source, inner = block["source"], block.get("content")
    if isinstance(source, dict):
        source, inner = None, source["content"]
    head = "\n".join(line for line in (block.get("title"), source, block.get("context")) if line)
    texts = [found["text"] for found in inner]
    return TextPart(text="\n\n".join([*([head] if head else []), *texts]), cache_control=block.get("cache_control"))


def refusals_as_texts(part: RefusalPart) -> TextPart:
    return TextPart(text=part.text)


def parameters_given(request: LLMRequest) -> None:
    for tool in request.tools:
        if tool.kind == "function":
            tool.parameters = tool.parameters or {"type": "object", "properties": {}}


def signatures_as_blocks(request: LLMRequest) -> None:
    for message in request.messages:
        message.content = with_signature_blocks(message.content)
    blank(TextPart, "signature", to="")(request)
    blank(ToolCallPart, "signature", to="")(request)


def without_stand_ins(part: ToolCallPart) -> ToolCallPart:
    part.signature = "" if part.signature == VALIDATOR_SKIPPED else part.signature
    return part


def coarse_effort(*, off: str | None) -> Change:
    """Less than low is low, more than high is high, and medium is what a model does when nothing is said."""

    def change(request: LLMRequest) -> None:
        reasoning = request.reasoning
        if reasoning is None:
            return
        if reasoning.enabled is False and off is not None:
            reasoning.enabled, reasoning.effort = None, off
        words = {"minimal": "low", "xhigh": "high", "max": "high", "medium": None}
        reasoning.effort = words.get(reasoning.effort or "", reasoning.effort)
        if reasoning == Reasoning():
            request.reasoning = None

    return change


def thoughts_shown(request: LLMRequest) -> None:
    """Whoever asks for reasoning gets to see it, unless it is to be omitted."""
    reasoning = request.reasoning
    if reasoning is not None:
        reasoning.display = None if reasoning.display == "summarized" else reasoning.display
        if reasoning == Reasoning():
            request.reasoning = None


def summary_asked(request: LLMRequest) -> None:
    """Whether reasoning is shown is `reasoning.summary` here."""
    request.hints.pop("reasoning.summary", None)
    if request.reasoning is not None:
        request.reasoning.display = None
        if request.reasoning == Reasoning():
            request.reasoning = None


def format_named(request: LLMRequest) -> None:
    if request.response_format is not None and request.response_format.kind == "json_schema":
        request.response_format.name = request.response_format.name or "response"
