"""Characters whose two halves came in two events.

A character beyond U+FFFF may be written in JSON as two `\\uXXXX` escapes. Some providers cut their text between them,
and each event then holds a lone surrogate: fine for SDKs that join strings of UTF-16, but no text that UTF-8 could say.
`mark` gives each lone half a stand-in that can be carried in a `str`; `SurrogateJoiner` puts the halves of a stream
together again. A half whose other half never comes becomes U+FFFD. Does no I/O.
"""

from __future__ import annotations

import re

from providers.model import LLMResponse, ReasoningPart, RefusalPart, TextPart, ToolCallPart

_FIRST = 0xD800
_STAND_IN = 0x10F800
"""The last 2,048 code points of the last private-use plane stand in for U+D800 to U+DFFF."""

_LONE = re.compile("[\ud800-\udfff]")
_PAIR = re.compile("([\U0010f800-\U0010fbff])([\U0010fc00-\U0010ffff])")
_HALF = re.compile("[\U0010f800-\U0010ffff]")
_HIGH = re.compile("[\U0010f800-\U0010fbff]$")


def mark(text: str) -> str:
    """`text` with each lone surrogate replaced by its stand-in."""
    return _LONE.sub(lambda found: chr(ord(found[0]) - _FIRST + _STAND_IN), text)


def unmark(text: str) -> str:
    """`text` with stand-ins that make a pair joined, and the others replaced by U+FFFD."""
    return _HALF.sub("\ufffd", _PAIR.sub(_join, text))


def _join(pair: re.Match[str]) -> str:
    high, low = (ord(half) - _STAND_IN for half in pair.groups())
    return chr(0x10000 + (high << 10) + (low - 0x400))


class SurrogateJoiner:
    """Joins the halves in the chunks of one stream, part by part."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[tuple[int, type, int], str] = {}

    def __bool__(self) -> bool:
        """Whether a half waits for its other one."""
        return bool(self._held)

    def join(self, chunk: LLMResponse) -> None:
        """Replace stand-ins in `chunk`, in place; a first half at a text's end waits for the next chunk."""
        for choice in chunk.choices:
            for part in choice.delta.content if choice.delta is not None else ():
                key = (choice.index, type(part), part.index)
                if isinstance(part, (TextPart, ReasoningPart, RefusalPart)):
                    part.text = self._joined(key, part.text)
                elif isinstance(part, ToolCallPart):
                    part.arguments = self._joined(key, part.arguments)

    def _joined(self, key: tuple[int, type, int], text: str) -> str:
        if not text:
            return text
        text = self._held.pop(key, "") + text
        if _HIGH.search(text):
            self._held[key] = text[-1]
            text = text[:-1]
        return unmark(text)
