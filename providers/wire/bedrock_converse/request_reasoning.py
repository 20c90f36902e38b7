"""How much to think, in the words of the model's family. Imports the model and the wire's families."""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import LLMRequest, Reasoning
from providers.wire.anthropic_messages.thinking import (
    encode_thinking,
    max_tokens_for,
    resumes_without,
    with_sampling_that_fits,
)
from providers.wire.base import Translation
from providers.wire.bedrock_converse.families import Family, Thinking
from providers.wire.effort import effort_of_budget

_THREE_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_OUTPUT_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}


def add_reasoning(
    request: LLMRequest,
    model: str,
    family: Family,
    messages: list[dict[str, Any]],
    fields: dict[str, object],
    output_config: dict[str, object],
    translation: Translation,
) -> LLMRequest:
    """Put the request's reasoning into the model's own `fields` or the `output_config`.

    Returns the request with the limit and the sampling parameters that go with it. Claude counts its thinking in the
    limit, so its budget may raise it; see `max_tokens_for`. `messages` are the encoded ones.
    """
    if family.thinking is Thinking.CLAUDE:
        resumed = resumes_without(map(_outline, messages))
        thinking, effort = encode_thinking(request, model, translation, is_resumed_without=resumed)
        if thinking is not None:
            fields["thinking"] = thinking
        if effort is not None:
            output_config["effort"] = effort
        request = with_sampling_that_fits(request, model, thinking, translation)
        limit = None if request.max_tokens is None else max_tokens_for(request, thinking, effort)
        return msgspec.structs.replace(request, max_tokens=limit)
    reasoning = request.reasoning
    if reasoning is not None:
        if reasoning.display is not None:
            translation.drop("thinking.display")
        if reasoning.enabled is False or reasoning.effort == "none":
            _switch_off(family, fields, translation)
        else:
            _switch_on(_effort(reasoning), family, fields, output_config)
    return request


def _outline(turn: dict[str, Any]) -> tuple[str, bool, bool]:
    """A turn as `resumes_without` asks for it."""
    kind = "reasoningContent" if turn["role"] == "assistant" else "toolResult"
    blocks = turn["content"]
    return turn["role"], kind in blocks[0], any(kind not in block for block in blocks)


def _effort(reasoning: Reasoning) -> str:
    if reasoning.effort is not None:
        return reasoning.effort
    return "medium" if reasoning.budget_tokens is None else effort_of_budget(reasoning.budget_tokens)


def _switch_off(family: Family, fields: dict[str, object], translation: Translation) -> None:
    if family.thinking is Thinking.NOVA:
        fields["reasoningConfig"] = {"type": "disabled"}
    else:
        translation.drop("reasoning")  # a model that thinks always does, any other never


def _switch_on(effort: str, family: Family, fields: dict[str, object], output_config: dict[str, object]) -> None:
    level = _THREE_LEVELS.get(effort, effort)
    if family.thinking is Thinking.NOVA:
        fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}
    elif family.thinking is Thinking.EFFORT_FIELD:
        fields["reasoning_effort"] = level
    else:
        output_config["effort"] = _OUTPUT_EFFORTS.get(effort, effort)
