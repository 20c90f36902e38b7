"""Hides in whole texts. No I/O; imports `hiding` and `json_hiding`.

Of a JSON text as `JSONHider` does it in pieces, but in less time: what holds nothing is not taken apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from proxy.plugins.builtin.regex_hider.hiding import HidingRule, hide
from proxy.plugins.builtin.regex_hider.json_hiding import JSONHider, escape_at

LONG = 64 * 1024
"""Characters of a whole text that is no JSON, up to which it is taken apart all the same, as far as it is."""
_ESCAPE = re.compile(r'\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|["\\/bfnrt])')
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+', re.DOTALL)
"""A string or a number, in what is JSON."""
_BLOCK = 16 * 1024


class Hiding:
    """What rules do to whole texts."""

    def __init__(self, rules: Sequence[HidingRule]) -> None:
        self.rules = rules

    def text(self, text: str) -> str:
        return hide(self.rules, text)

    def json(self, text: str) -> str:
        return hide_json(self.rules, text)


def hide_json(rules: Sequence[HidingRule], text: str) -> str:
    """A whole JSON text with what must be hidden hidden: as `JSONHider` does it, but in less time. A long text that is
    no JSON is plain text from its beginning."""
    if not _may_hold_something(rules, text):
        return text
    if _is_json(text):
        return _hide_in_tokens(rules, text)
    return JSONHider(rules).run(text, last=True) if len(text) <= LONG else hide(rules, text)


def _may_hold_something(rules: Sequence[HidingRule], text: str) -> bool:
    """Whether a pattern may match in a text, as it is written or as it is read. Most hold nothing, and of what holds
    nothing as a whole no part has to be looked at by itself."""
    if any(rule.may_match_in(text) for rule in rules):
        return True
    if "\\" not in text:
        return False
    read = _ESCAPE.sub(_read, text)
    return any(rule.may_match_in(read) for rule in rules)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _hide_in_tokens(rules: Sequence[HidingRule], text: str) -> str:
    """Of a text that is JSON: look closer at half of its strings and numbers, and at half of those, where something may
    be found."""
    out: list[str] = []
    done = 0
    for block in _blocks(text):
        waiting = [block]
        while waiting:
            tokens = waiting.pop()
            start, end = tokens[0][0], tokens[-1][1]
            if not _may_hold_something(rules, text[start:end]):
                continue
            if len(tokens) > 1:
                middle = len(tokens) // 2
                waiting += (tokens[middle:], tokens[:middle])
                continue
            out += (text[done:start], JSONHider(rules).run(text[start:end], last=True))
            done = end
    return "".join(out) + text[done:]


def _blocks(text: str) -> Iterator[list[tuple[int, int]]]:
    """Where strings and numbers stand: those of some thousand characters at a time."""
    block: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text):
        block.append(token.span())
        if token.end() - block[0][0] >= _BLOCK:
            yield block
            block = []
    if block:
        yield block


def _read(escape: re.Match[str]) -> str:
    """What an escape is read as."""
    found = escape_at(escape.group(), 0, last=True)
    assert found is not None
    return found[0]
