"""`Facts`: what an answer says, whatever API says it. Does no I/O and knows nothing of the codecs under test.

Two answers that say the same have equal facts: that is how a stream is held against its oracle, and how one API's
answer is held against another's. Usage stands apart, because a check of its own judges it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

JSON = Any
"""Any JSON value: arguments of a tool call are whatever the model wrote."""

UNREADABLE = (TypeError, AttributeError, KeyError, IndexError, ValueError, RecursionError)
"""What reading raises over JSON that is not what its API says."""

FINISH = {
    # Anthropic's words and some vendors', in OpenAI's.
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "eos": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "refusal": "content_filter",
}


DETAILS = frozenset({"citations", "others", "refusal", "logprobs", "cached", "reasoning", "call_ids"})
"""Facts that only some APIs have a place for. Between two that have it they must come through; `call_ids` as some names
that are told and tell the calls apart, because each API has its own. An `id` and `citations` are compared where
both sides speak one API."""


class Usage(msgspec.Struct, kw_only=True, frozen=True):
    """Tokens. `input` counts all of them, cached or not. None: not told."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    """Of `input`, those read from a cache."""
    reasoning: int | None = None
    """Of `output`, those that the model thought."""

    def details(self) -> dict[str, int]:
        return {"cached": self.cached or 0, "reasoning": self.reasoning or 0}

    def or_zero(self) -> tuple[int, int]:
        return self.input or 0, self.output or 0


class Facts(msgspec.Struct, kw_only=True):
    text: str = ""
    """Text of the first choice, refusals included."""
    reasoning: str = ""
    signatures: list[str] = []
    redacted: list[str] = []
    tool_calls: list[tuple[str, JSON]] = []
    """Name and arguments; the arguments as data, or as text if they are not JSON (a call that was cut)."""
    finish: str | None = None
    """In OpenAI's words."""
    usage: Usage = Usage()
    id: str = ""
    """Of the answer."""
    call_ids: list[str] = []
    """Of `tool_calls`, in their order; empty where the API tells none."""
    others: list[str] = []
    """What the choices after the first one say: text and reasoning of each."""
    refusal: str = ""
    """What of `text` refuses."""
    citations: list[str] = []
    """The sources that are named for the text: the address of each, or its title."""
    logprobs: list[str] = []
    """The tokens of the first choice whose probabilities are told."""

    def without_usage(self) -> Facts:
        return msgspec.structs.replace(self, usage=Usage())

    def bare(self) -> Facts:
        """Without ids and details: text, reasoning, tool calls, finish reason, and the sums of usage."""
        return msgspec.structs.replace(
            self,
            usage=Usage(input=self.usage.input, output=self.usage.output),
            id="",
            call_ids=[],
            others=[],
            refusal="",
            citations=[],
            logprobs=[],
        )

    def unsigned(self) -> Facts:
        """Without what only some APIs have a place for."""
        return msgspec.structs.replace(self, signatures=[], redacted=[])


def count_of(data: JSON, *names: str) -> int | None:
    """The first of these members that is a number. `data` may be anything."""
    told = [data[name] for name in names if isinstance(data.get(name), int)] if isinstance(data, dict) else []
    return told[0] if told else None


def source_of(citation: JSON, *titles: str) -> str:
    """What names a citation's source: its address, else the first of these members."""
    for name in ("url", "uri", *titles):
        if isinstance(citation.get(name), str) and citation[name]:
            return str(citation[name])
    return ""


def arguments_of(text: str) -> JSON:
    """A tool call's arguments as data, or as they are if they are not JSON."""
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text


def finish_of(word: str | None, *, has_calls: bool, words: Mapping[str, str] = FINISH) -> str:
    """A finish reason in OpenAI's words, by the API's own table; where none was told, the one that the answer means."""
    if word:
        return words.get(word, word)
    return "tool_calls" if has_calls else "stop"


def differences(expected: Facts, received: Facts) -> list[str]:
    """Each fact that differs, in a sentence."""
    found: list[str] = []
    for name in Facts.__struct_fields__:
        wanted, got = getattr(expected, name), getattr(received, name)
        if wanted != got:
            found.append(f"{name}: {_apart(wanted, got)}")
    return found


def _apart(wanted: object, got: object) -> str:
    if isinstance(wanted, str) and isinstance(got, str):
        place = next((i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), None)
        if place is None:
            place = min(len(wanted), len(got))
        start = max(0, place - 20)
        return f"at character {place}, expected {wanted[start : place + 40]!r}, got {got[start : place + 40]!r}"
    return f"expected {_short(wanted)}, got {_short(got)}"


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 200 else shown[:197] + "..."
