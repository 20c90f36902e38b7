"""What a request costs in tokens: estimated before, and found when it is over. Imports the model."""

from __future__ import annotations

from collections.abc import Iterable

from providers.model import (
    LLMRequest,
    LLMResponse,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from proxy.plugins.context import PluginContext

CHARS_PER_TOKEN = 4


def input_tokens(request: LLMRequest) -> int:
    """About how many tokens the input has."""
    return _estimate(part for message in request.messages for part in message.content)


def output_tokens(response: LLMResponse | None) -> int:
    """About how many tokens an answer has, which need not be whole."""
    choices = response.choices if response is not None else ()
    return _estimate(part for choice in choices if choice.message is not None for part in choice.message.content)


def tokens_spent(context: PluginContext, estimate: int) -> float:
    """What a request that is over has cost. `estimate`: its input, as `input_tokens` has it.

    What the models told counts. Of an answer that did not come to its end they have told nothing, or too little: then
    at least the input counts and what was sent, or who leaves before the usage comes would have it for nothing.
    """
    usage = context.usage
    whole = context.status == 200 and context.departed is None
    output = 0 if context.answered_by is not None else output_tokens(context.response)
    if usage is None:
        refused = context.error is not None and context.departed is None and not output
        asked = context.served_model is not None and context.operation != "count_tokens"
        return 0.0 if refused or not asked or context.answered_by is not None else float(estimate + output)
    prompt = usage.prompt_tokens
    completion = usage.completion_tokens
    if usage.total_tokens is not None and (whole or prompt is None):
        return float(max(usage.total_tokens, 0 if whole else estimate + output))
    if prompt is None:
        prompt = estimate
    if completion is None or not whole:
        completion = max(completion or 0, output)
    return float(prompt + completion)


def _estimate(parts: Iterable[Part]) -> int:
    return -(-sum(map(_chars, parts)) // CHARS_PER_TOKEN)


def _chars(part: Part) -> int:
    match part:
        case TextPart() | ReasoningPart() | RefusalPart():
            return len(part.text)
        case ToolCallPart():
            return len(part.arguments)
        case ToolResultPart():
            return sum(map(_chars, part.content))
    return 0
