"""How an answer ended: this wire's status and reason, and the finish reasons of the model in the middle.

Imports nothing.

| status | incomplete_details.reason | finish reason |
|---|---|---|
| completed | | `tool_calls` if a call for the client is in it, else `stop` |
| incomplete | max_output_tokens | `length` |
| incomplete | content_filter | `content_filter` |
| incomplete | any other (`max_messages`, `steered`) | `length`: it at least says that the answer is not whole |
| queued, in_progress, cancelled | | none |
| failed | | none: it is an error |
"""

from __future__ import annotations


def finish_reason_of(status: str | None, reason: str | None, *, has_calls: bool) -> str | None:
    """The model's word for the end of an answer; None: it has not ended well, or not yet."""
    if status == "completed":
        return "tool_calls" if has_calls else "stop"
    if status == "incomplete":
        return "content_filter" if reason == "content_filter" else "length"
    return None


def ending_of(finish_reason: str | None) -> tuple[str, str | None]:
    """Status and reason for a client of this API."""
    if finish_reason == "length":
        return "incomplete", "max_output_tokens"
    if finish_reason == "content_filter":
        return "incomplete", "content_filter"
    return "completed", None
