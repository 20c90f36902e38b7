"""What clients call the parameters that the model in the middle has fields for: an error has to name what they wrote.

Encoders name a parameter by one word for all clients, OpenAI Chat's mostly. Tables only; imports nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_GOOGLES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "n": "candidateCount",
    "stop": "stopSequences",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "response_format": "responseMimeType",
    "reasoning": "thinkingConfig",
    "reasoning_effort": "thinkingConfig.thinkingLevel",
    "thinking": "thinkingConfig",
    "thinking.budget_tokens": "thinkingConfig.thinkingBudget",
    "thinking.display": "thinkingConfig.includeThoughts",
}
"""Below `generationConfig`."""

_NAMES: Mapping[str, Mapping[str, str]] = {
    "openai-chat": {
        "thinking": "reasoning",
        "thinking.budget_tokens": "reasoning.max_tokens",
        "thinking.display": "reasoning.exclude",
    },
    "openai-responses": {
        "max_tokens": "max_output_tokens",
        "max_completion_tokens": "max_output_tokens",
        "logprobs": "include",
        "response_format": "text.format",
        "response_format.description": "text.format.description",
        "verbosity": "text.verbosity",
        "reasoning_effort": "reasoning.effort",
        "thinking": "reasoning",
        "thinking.display": "reasoning.summary",
    },
    "anthropic-messages": {
        "max_completion_tokens": "max_tokens",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "response_format": "output_config.format",
        "reasoning": "thinking",
        "reasoning_effort": "output_config.effort",
    },
    "gemini-generate": {
        **{name: f"generationConfig.{theirs}" for name, theirs in _GOOGLES.items()},
        "tool_choice": "toolConfig.functionCallingConfig",
    },
}

_PATTERNS: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "openai-responses": (
        (re.compile(r"messages(\[\])?\.tool_calls(\[\])?\.function"), "input[function_call]"),
        (re.compile(r"messages(\[\])?\.tool_calls(\[\])?\.custom"), "input[custom_tool_call]"),
        (re.compile(r"messages(\[\])?\.reasoning"), "input[reasoning]"),
        (re.compile(r"messages(\[\])?(?=\.)"), "input[]"),
        (re.compile(r"messages$"), "input"),
    ),
    "gemini-generate": (
        (re.compile(r"messages(\[\])?\.content(\[\])?(?=[.\[]|$)"), "contents[].parts[]"),
        (re.compile(r"messages(\[\])?(?=\.)"), "contents[]"),
        (re.compile(r"messages$"), "contents"),
        (re.compile(r"tools\[\]\."), "tools[].functionDeclarations[]."),
        (re.compile(r"tools\[\d+\]$"), "tools"),  # its functions are counted over all lists
    ),
}
"""How a name begins that is put together, and what stands there instead. The first that fits counts."""


def client_name(api: str, name: str) -> str:
    """What a client of `api` calls the parameter `name`."""
    known = _NAMES.get(api, {}).get(name)
    if known is not None:
        return known
    for pattern, theirs in _PATTERNS.get(api, ()):
        if (found := pattern.match(name)) is not None:
            return theirs + name[found.end() :]
    return name
