"""What each wire cannot say of a request: as data, for the tests of round trips.

`drops`: what is left out, under the name that the wire tells it by. Only what it names may be missing.
`says`: what it says in other words. Done to both sides of a comparison, so each is the coarser of two views.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from providers.model import (
    GOOGLE_SIGNATURE,
    AudioPart,
    FilePart,
    ImagePart,
    LLMRequest,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.anthropic_messages.structs import SIGNATURE_FORMAT
from providers.wire.openai_responses.api import OWN_FORMATS
from tests.providers.wire.round_trips.changes import (
    Change,
    answers_in_order,
    blank,
    coarse_effort,
    custom_calls_as_functions,
    documents_as_data,
    documents_as_texts,
    each,
    files_named,
    format_named,
    media_after_results,
    on_parts,
    only_functions,
    only_reasoning,
    parameters_given,
    refusals_as_texts,
    set_to,
    signatures_as_blocks,
    summary_asked,
    system_first,
    text_of_result_first,
    texts_as_documents,
    thoughts_shown,
    without,
    without_opaque_tools,
    without_stand_ins,
)


class Limits(NamedTuple):
    models: tuple[str, ...]
    """Models that the wire speaks to in different ways."""
    drops: dict[str, Change]
    says: tuple[Change, ...] = ()


# Parameters that neither Anthropic nor Responses has.
_SAMPLING: dict[str, Change] = {
    name: set_to(None, name) for name in ("seed", "n", "logit_bias", "frequency_penalty", "presence_penalty")
}


ANTHROPIC = Limits(
    models=("claude-sonnet-4-5", "claude-opus-4-6"),
    drops={
        **_SAMPLING,
        "tool_choice": set_to(None, "tool_choice"),  # of a tool that is left out
        "logprobs": set_to(None, "logprobs"),
        "top_logprobs": set_to(None, "top_logprobs"),
        "temperature": set_to(None, "temperature"),  # above 1, or beside thinking
        "top_k": set_to(None, "top_k"),  # beside thinking
        "top_p": set_to(None, "top_p"),  # beside thinking, or the temperature
        # Beside a forced tool, or in a turn that began without, but for the effort.
        "thinking": set_to(None, "reasoning.display", "reasoning.enabled", "reasoning.budget_tokens"),
        "reasoning": set_to(None, "reasoning"),  # the same
        "response_format": set_to(None, "response_format"),  # any JSON
        "response_format.description": set_to(None, "response_format.description"),
        "tools": only_functions,
        "messages.name": set_to(None, "messages.name"),
        "messages.signature": each(blank(TextPart, "signature", to=""), blank(ToolCallPart, "signature", to="")),
        "messages.reasoning": only_reasoning("anthropic-messages", SIGNATURE_FORMAT),
        "messages.tool_calls.custom": on_parts(ToolCallPart, custom_calls_as_functions),
        "messages.content.citations": blank(TextPart, "citations", to=[]),
        "messages.content.input_audio": without(AudioPart),
        "messages.content.image.file_id": without(ImagePart, "file_id"),
        "messages.content.image_url.detail": blank(ImagePart, "detail"),
        "messages.content.file.file_id": without(FilePart, "file_id"),
    },
    says=(
        system_first,
        on_parts(RefusalPart, refusals_as_texts),
        on_parts(TextPart, lambda part: part if part.text.strip() else None),
        on_parts(FilePart, texts_as_documents),
        parameters_given,
        set_to(None, "response_format.name", "response_format.strict"),  # it keeps to every schema
        coarse_effort(off=None),
    ),
)

GEMINI = Limits(
    models=("gemini-2.5-flash", "gemini-3.1-pro"),
    drops={
        "user": set_to(None, "metadata.user_id"),
        "logit_bias": set_to(None, "logit_bias"),
        "parallel_tool_calls": set_to(None, "parallel_tool_calls"),
        "response_format.description": set_to(None, "response_format.description"),
        "tools": only_functions,
        "tool_choice": set_to(None, "tool_choice"),
        "tools[].strict": set_to(None, "tools.strict"),
        "tools[].cache_control": set_to(None, "tools.cache_control"),
        "messages[].name": set_to(None, "messages.name"),
        "messages[].audio": without(AudioPart, "id"),
        "messages[].tool_calls[].custom": on_parts(ToolCallPart, custom_calls_as_functions),
        "messages[].content[].cache_control": blank(object, "cache_control"),
        "messages[].content[reasoning]": only_reasoning("gemini-generate", GOOGLE_SIGNATURE),
        "messages[].content[text].citations": blank(TextPart, "citations", to=[]),
        "messages[].content[image].detail": blank(ImagePart, "detail"),
        "messages[].content[image].file_id": without(ImagePart, "file_id"),
        "messages[].content[file].file_id": without(FilePart, "file_id"),
        "messages[].content[file].filename": blank(FilePart, "filename"),
        "messages[].content[document].context": blank(FilePart, "context"),
        "messages[].content[document].citations": blank(FilePart, "citations"),
    },
    says=(
        system_first,
        on_parts(RefusalPart, refusals_as_texts),
        on_parts(FilePart, documents_as_data),
        on_parts(ToolResultPart, text_of_result_first),
        media_after_results,
        on_parts(ToolCallPart, without_stand_ins),
        signatures_as_blocks,
        set_to(None, "response_format.name", "response_format.strict"),  # it keeps to every schema
        coarse_effort(off="low"),
        thoughts_shown,
    ),
)

_OPENAI_DROPS: dict[str, Change] = {
    "thinking": set_to(None, "reasoning"),
    "top_k": set_to(None, "top_k"),
    "tools[]": without_opaque_tools,
    "tool_choice": set_to(None, "tool_choice"),
    "tools[].cache_control": set_to(None, "tools.cache_control"),
    "messages[].content[].cache_control": blank(object, "cache_control"),
    "messages[].content[tool_result].is_error": blank(ToolResultPart, "is_error", to=False),
    "messages[].content[text].citations": blank(TextPart, "citations", to=[]),
    "messages[].content[document].title": blank(FilePart, "filename", where=lambda part: part.data is None),
    "messages[].content[document].context": blank(FilePart, "context"),
    "messages[].content[document].citations": blank(FilePart, "citations"),
    "messages[].content[image]": without(ImagePart, role="assistant"),
}

CHAT = Limits(
    models=("gpt-5",),
    drops={
        **_OPENAI_DROPS,
        "thinking.display": set_to(None, "reasoning.display"),
        "messages[].content[thinking]": each(without(ReasoningPart), blank(TextPart, "signature", to="")),
        "messages[].content[tool_call].signature": blank(ToolCallPart, "signature", to=""),
        "messages[].content[image].source.file_id": without(ImagePart, "file_id"),
        "messages[].content[document].source.file_id": without(FilePart, "file_id"),
        "messages[].content[document].source.url": without(FilePart, "url"),
    },
    says=(
        on_parts(FilePart, documents_as_texts),
        media_after_results,
        on_parts(FilePart, files_named),
        answers_in_order,
        format_named,
    ),
)

RESPONSES = Limits(
    models=("gpt-5", "gpt-4.1"),
    drops={
        **_OPENAI_DROPS,
        **_SAMPLING,
        "stop": set_to([], "stop"),
        "messages[].name": set_to(None, "messages.name"),
        "messages[].content[thinking]": each(
            only_reasoning("openai-responses", *OWN_FORMATS),
            blank(TextPart, "signature", to=""),
            blank(ToolCallPart, "signature", to=""),
        ),
        "messages[].content[audio]": without(AudioPart),
        "messages[].content[image].file_id": without(ImagePart, "file_id"),
        "messages[].content[file].file_id": without(FilePart, "file_id"),
    },
    says=(
        on_parts(FilePart, documents_as_texts),
        on_parts(FilePart, files_named),
        parameters_given,
        summary_asked,
        format_named,
    ),
)

LIMITS = {
    "anthropic-messages": ANTHROPIC,
    "gemini-generate": GEMINI,
    "openai-chat": CHAT,
    "openai-responses": RESPONSES,
}


def leave_out(request: LLMRequest, dropped: list[str], refused: str | None, limits: Limits) -> None:
    """Take out of a request what a wire says that it dropped. Raises `KeyError` for a name that is in no table.

    `refused`: what the wire refuses first, where nothing that changes the answer may be dropped.
    """
    for told in dropped:
        name = re.sub(r"\[\d+\]", "[]", told)
        if name in request.hints or name in request.extra:
            request.hints.pop(name, None)
            request.extra.pop(name, None)
        elif name in limits.drops:
            limits.drops[name](request)
        elif name.startswith("tools[]."):
            for tool in request.tools:
                (tool.raw or {}).pop(name.removeprefix("tools[]."), None)
        elif not _leave_out_extra(request, name):
            _leave_out_opaque(request, name, refused)


def _leave_out_extra(request: LLMRequest, name: str) -> bool:
    """A field of messages or parts that only the client's API knows; whether there is one of this name."""
    found = False
    for message in request.messages:
        held: list[tuple[Any, str]] = [(message, "messages[]")]
        held += [(part, f"messages[].content[{part.__struct_config__.tag}]") for part in _parts(message.content)]
        for holder, place in held:
            for field in list(holder.extra or {}):
                if name == f"{place}.{field}":
                    holder.extra.pop(field)
                    holder.extra = holder.extra or None
                    found = True
    return found


def _leave_out_opaque(request: LLMRequest, name: str, refused: str | None) -> None:
    """A block that only the client's API knows, named by its kind: the model's own, or one that is refused else."""
    places = {part.place: role for role, part in _opaque(request) if name == dropped_name(part)}
    if not places:
        raise KeyError(name)
    if refused is None and any(role != "assistant" for role in places.values()):
        raise AssertionError(f"{name} of the client's own is left out without being refused")
    on_parts(OpaquePart, lambda part: None if name == dropped_name(part) else part)(request)


def dropped_name(part: OpaquePart) -> str:
    return f"messages[].content[{part.kind}]"


def name_of_refused(request: LLMRequest, refused: str) -> str:
    """The name that something refused is dropped by: a block's place is its own, its kind is not."""
    return next((dropped_name(part) for _, part in _opaque(request) if part.place == refused), refused)


def _opaque(request: LLMRequest) -> list[tuple[str, OpaquePart]]:
    """The opaque blocks, each with the role of its message."""
    return [
        (message.role, part)
        for message in request.messages
        for part in _parts(message.content)
        if isinstance(part, OpaquePart)
    ]


def _parts(parts: list[Part]) -> list[Part]:
    inner = [part for result in parts if isinstance(result, ToolResultPart) for part in result.content]
    return [*parts, *inner]
