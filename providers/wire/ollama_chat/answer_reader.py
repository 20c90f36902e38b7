"""`AnswerReader`: what a line of a stream, or a whole answer, adds to the message. Imports the model.

Part indices are given out as things first come: thinking, text, and each tool call its own. Older servers give calls
no id; the client needs one, so it is made from what the server said: the same bytes give the same id, and another
answer another one.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from providers.model import Part, ReasoningPart, TextPart, ToolCallPart, Usage
from providers.wire.json_text import text_of
from providers.wire.ollama_chat.structs import Answer, ToolCall

_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")

_FINISH = {"stop": "stop", "length": "length"}


class AnswerReader:
    """One for each answer."""

    __slots__ = ("_calls", "_next", "_text", "_thinking")

    def __init__(self) -> None:
        self._next = 0
        self._text = -1
        self._thinking = -1
        self._calls = 0

    def read(self, wire: Answer) -> list[Part]:
        """The parts that it adds."""
        message = wire.message
        if message is None:
            return []
        parts: list[Part] = []
        if message.thinking:
            if self._thinking < 0:
                self._thinking = self._new()
            parts.append(ReasoningPart(index=self._thinking, text=message.thinking))
        if message.content:
            if self._text < 0:
                self._text = self._new()
            parts.append(TextPart(index=self._text, text=message.content))
        parts += [self._call(call, wire) for call in message.tool_calls or ()]
        return parts

    def finish_reason(self, wire: Answer) -> str:
        """The model's word for `done_reason`, which knows no tool calls."""
        reason = _FINISH.get(wire.done_reason or "", "stop")
        return "tool_calls" if reason == "stop" and self._calls else reason

    def _call(self, call: ToolCall, wire: Answer) -> ToolCallPart:
        name, arguments = "", "{}"
        if call.function is not None:
            name, arguments = call.function.name or "", text_of(call.function.arguments)
        made = hashlib.sha256(f"{wire.created_at}\n{self._calls}\n{name}\n{arguments}".encode()).hexdigest()
        self._calls += 1
        return ToolCallPart(index=self._new(), id=call.id or f"call_{made[:24]}", name=name, arguments=arguments)

    def _new(self) -> int:
        index = self._next
        self._next += 1
        return index


def usage_of(wire: Answer) -> Usage | None:
    """The counts of the last line; None on the others."""
    if not wire.done:
        return None
    prompt, completion = wire.prompt_eval_count, wire.eval_count
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=None if prompt is None or completion is None else prompt + completion,
        extra={name: raw for name in _DURATIONS if bytes(raw := getattr(wire, name))},
    )


def created_of(wire: Answer) -> int:
    """`created_at` in Unix time; 0 if it is no time."""
    try:
        return int(datetime.fromisoformat(wire.created_at or "").timestamp())
    except (ValueError, OverflowError):
        return 0
