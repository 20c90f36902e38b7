"""Stop reasons of Converse and finish reasons of the model in the middle. Imports nothing."""

from __future__ import annotations

_FINISH_BY_STOP_REASON = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    # The model wrote what the service could not read. None of the four says so; `length` at least says that the answer
    # is not whole.
    "malformed_model_output": "length",
    "malformed_tool_use": "length",
}


def finish_reason_of(stop_reason: str) -> str:
    """The model's word for a stop reason. One that is not known (yet) is an ordinary stop."""
    return _FINISH_BY_STOP_REASON.get(stop_reason, "stop")
