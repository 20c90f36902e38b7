"""Finish reasons: the vendors' words for them, and the four of the model in the middle. Imports nothing."""

from __future__ import annotations

_NORMAL = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    # OpenAI's own from before tool calls
    "function_call": "tool_calls",
    # Words of other APIs that vendors let through
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_completion_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "recitation": "content_filter",
    # Cut short by the service. None of the four says so; `length` at least says that the answer is not whole.
    "error": "length",
    "abort": "length",
    "network_error": "length",
    "insufficient_system_resource": "length",
}


def normal_finish_reason(word: str) -> str:
    """The finish reason in the model's words; `stop` for a word that nobody has used so far."""
    return _NORMAL.get(word) or _NORMAL.get(word.lower(), "stop")


def matched_stop(finish_reason: str | None, *reported: int | str | None) -> str | None:
    """The stop sequence that vLLM or SGLang say ended the answer. Their numbers are tokens, which are no sequence."""
    if finish_reason != "stop":
        return None
    for value in reported:
        if isinstance(value, str) and value.lower() not in _NORMAL:
            return value
    return None
