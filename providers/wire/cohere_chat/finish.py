"""Finish reasons of Cohere and those of the model in the middle. Imports nothing."""

from __future__ import annotations

_FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",  # the context is full
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}

FAILURES = {"ERROR": 500, "TIMEOUT": 504}
"""Finish reasons that say that there is no answer, or only a piece of one, and the status of such an error."""


def finish_reason_of(word: str) -> str:
    """The model's word for a finish reason. One that is not known (yet) is an ordinary stop."""
    return _FINISH.get(word.upper(), "stop")
