"""Where the answer in an event stream is complete, for each API. Pure functions."""

from __future__ import annotations

import re

from conformance.replay.answer import Answer

_TERMINATORS: dict[str, tuple[bytes, ...]] = {
    "openai-chat": (b"data: [DONE]",),
    "anthropic-messages": (b"event: message_stop",),
    "openai-responses": (b"event: response.completed", b"event: response.incomplete"),
    "cohere-chat": (b'"type":"message-end"',),
}

_FINISHES: dict[str, re.Pattern[bytes]] = {
    "openai-chat": re.compile(rb'"finish_reason"\s*:\s*"'),
    "anthropic-messages": re.compile(rb'"stop_reason"\s*:\s*"'),
    "gemini-generate": re.compile(rb'"finishReason"\s*:\s*"'),
}


def tells_finish(block: bytes, api: str) -> bool:
    """Whether an event says why the answer ended. From there on an answer may be called whole."""
    pattern = _FINISHES.get(api)
    return is_terminator(block, api) or (pattern is not None and pattern.search(block) is not None)


def is_terminator(block: bytes, api: str) -> bool:
    """Whether an event is the API's success terminator. An API without one (Gemini) has none."""
    return any(mark in block for mark in _TERMINATORS.get(api, ()))


def complete_at(answer: Answer) -> int:
    """The offset in the body where its last terminator ends; -1 if it has none."""
    position, found = 0, -1
    for block in answer.blocks:
        position += len(block)
        if is_terminator(block, answer.api):
            found = position
    return found
