"""What an answer of Ollama's /api/chat holds: one document, or one a line. Imports only msgspec.

Source: the API reference (https://docs.ollama.com/api/chat) and the types of its official client. Every line of a
stream has the shape of a whole answer.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

API = "ollama-chat"


class Function(Struct, gc=False):
    name: str | None = None
    arguments: Raw = Raw(b"{}")
    """An object."""


class ToolCall(Struct, gc=False):
    id: str | None = None
    """Newer servers give one."""
    function: Function | None = None


class WireMessage(Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[ToolCall] | None = None


class Answer(Struct):
    model: str | None = None
    created_at: str | None = None
    message: WireMessage | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    """Left out when the whole prompt was still in memory."""
    eval_count: int | None = None
    total_duration: Raw = Raw()
    load_duration: Raw = Raw()
    prompt_eval_duration: Raw = Raw()
    eval_duration: Raw = Raw()
    """Durations in ns."""
    logprobs: list[dict[str, Any]] | None = None
    """In OpenAI's shape."""
    error: str | None = None


class ErrorBody(Struct, gc=False):
    error: str | None = None


ANSWER = msgspec.json.Decoder(Answer)
ERROR_BODY = msgspec.json.Decoder(ErrorBody)
