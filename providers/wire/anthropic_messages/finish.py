"""Stop reasons of the Anthropic API and finish reasons of the model in the middle. Imports only the model."""

from __future__ import annotations

FINISH_BY_STOP_REASON = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

_STOP_REASON_BY_FINISH = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def finish_reason_of(stop_reason: str) -> str:
    """The model's word for a stop reason. One that is not known (yet) is an ordinary stop."""
    return FINISH_BY_STOP_REASON.get(stop_reason, "stop")


def stop_reason_of(finish: str | None, native: str | None, stop_sequence: str | None, *, has_tool_call: bool) -> str:
    """The stop reason for an Anthropic client.

    The provider's own word is kept if it is one of Anthropic's and says the same as `finish` (a plugin may have changed
    that). An answer with tool calls that "stopped" is `tool_use`: OpenAI says `stop` when the client forced the tool,
    and a client's tool loop goes by this word.
    """
    if native is not None and FINISH_BY_STOP_REASON.get(native) == finish:
        return native
    if finish in (None, "stop"):
        if has_tool_call:
            return "tool_use"
        if stop_sequence is not None:
            return "stop_sequence"
    return _STOP_REASON_BY_FINISH.get(finish or "stop", "end_turn")
