"""Finish reasons of the Gemini API and of the model in the middle. Imports nothing.

Gemini has no word for "calls a tool": such an answer ends in STOP.
"""

from __future__ import annotations

FINISH_BY_REASON = {
    "STOP": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "MAX_TOKENS": "length",
    # What Google withheld.
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    # What went wrong. None of the four words says so; `length` at least says that the answer is not whole.
    "OTHER": "length",
    "IMAGE_OTHER": "length",
    "NO_IMAGE": "length",
    "MALFORMED_FUNCTION_CALL": "length",
    "MALFORMED_RESPONSE": "length",
    "UNEXPECTED_TOOL_CALL": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    "MISSING_THOUGHT_SIGNATURE": "length",
}

_REASON_BY_FINISH = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}


def finish_reason_of(reason: str, *, has_tool_call: bool) -> str:
    """The model's word for a finish reason. One that is not known (yet) is an ordinary stop."""
    finish = FINISH_BY_REASON.get(reason, "stop")
    return "tool_calls" if finish == "stop" and has_tool_call else finish


def reason_of(finish: str | None, native: str | None) -> str:
    """The finish reason for a Gemini client: the provider's own word if it is one of Gemini's and says the same."""
    said = "stop" if finish in (None, "tool_calls") else finish
    if native is not None and FINISH_BY_REASON.get(native) == said:
        return native
    return _REASON_BY_FINISH.get(said or "stop", "STOP")
