"""Where the answer in an event stream is complete, for each API. Pure functions."""

from __future__ import annotations

from conformance.replay.answer import Answer

_TERMINATORS: dict[str, tuple[bytes, ...]] = {
    "openai-chat": (b"data: [DONE]",),
    "anthropic-messages": (b"event: message_stop",),
    "openai-responses": (b"event: response.completed", b"event: response.incomplete"),
    "cohere-chat": (b'"type":"message-end"',),
}


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
