"""Hides what matches in a text that comes in pieces. No I/O; imports RE2 and `prefixes`.

Theory of operation. What is given is shown up to the first place at which a match begins, or could begin, that the end
of the text leaves undecided; the rest waits for more. A match that ends before the text does, and of which no longer
version is possible, is decided: it is replaced. So what leaves does not depend on where the text was cut, and no
character of a match ever leaves.

Rules are applied one after the other: what the first one lets go is what the second one gets.

What is undecided after `max_match` characters is not waited for any longer. It is not shown either: `UndecidedError`.
So for texts in which nothing longer even begins to match, every cut gives the same; with something longer in it, a
text in pieces ends there, while one that comes whole has it hidden.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Protocol

import re2

from proxy.plugins.builtin.regex_hider.prefixes import NoPrefixesError, may_be_empty, pattern_anywhere, prefix_pattern

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class UndecidedError(Exception):
    """More of the text than is ever held back may still become a match."""


class Match(Protocol):
    def start(self) -> int: ...

    def end(self) -> int: ...

    def group(self, group: int | str = 0) -> str | None: ...


Replace = Callable[[Match], str]


class HidingRule:
    """A pattern, and what stands in place of what it matches. Raises ValueError for a pattern that cannot be used."""

    def __init__(self, pattern: str, replace: Replace, *, max_match: int = 4096) -> None:
        try:
            self._pattern = re2.compile(pattern, _OPTIONS)
            beginnings = prefix_pattern(pattern)
            self._anywhere = re2.compile(pattern_anywhere(pattern), _OPTIONS)
            empty = may_be_empty(pattern)
            self._open = re2.compile(f"(?:{beginnings})\\z", _OPTIONS)
        except re2.error as error:
            raise ValueError(f"no regular expression of RE2's: {_words(error)}") from error
        except NoPrefixesError as error:
            raise ValueError(f"cannot be followed through a stream: {error}") from error
        if empty:
            raise ValueError("matches the empty text, so it would hide nothing everywhere")
        self._replace = replace
        self._max_match = max_match

    def replacing(self, replace: Replace) -> HidingRule:
        """The same pattern with something else in place of what it matches."""
        other = copy.copy(self)
        other._replace = replace
        return other

    def may_match_in(self, text: str) -> bool:
        """False: nothing is hidden in `text`, nor in any piece of it by itself."""
        return self._anywhere.search(text) is not None

    def step(self, text: str, before: str = "", *, last: bool = False) -> tuple[str, str, str]:
        """What of `text` may be shown, hidden as far as it must be; what has to wait; and the character before that.

        `before`: the character before `text`, which `\\b` and `^` look at. `last`: nothing will follow. Raises
        `UndecidedError`.
        """
        whole = before + text
        pieces, at = self.pieces(whole, len(before), last=last)
        shown = [piece if isinstance(piece, str) else whole[piece] for piece in pieces]
        return "".join(shown), whole[at:], whole[at - 1 : at] if at else ""

    def pieces(self, whole: str, at: int, *, last: bool) -> tuple[list[str | slice], int]:
        """What of `whole` may be shown from `at` on: stretches of it, and what stands in place of matches; and the
        place from which on it has to wait. Raises `UndecidedError`.

        The engine is given the text once for all of its matches, and once more for what is undecided.
        """
        shown: list[str | slice] = []
        waits = len(whole) if last else self._undecided_from(whole, at)
        for found in self._pattern.finditer(whole, at):
            start, end = found.start(), found.end()
            if waits <= start:
                break
            if waits < end:
                # It ends before what is undecided does: it is decided, and what is undecided begins behind it.
                waits = end + self._undecided_from(whole[end:], 0)
            shown += (slice(at, start), self._replace(found))
            at = end
        shown.append(slice(at, waits))
        return shown, waits

    def _undecided_from(self, whole: str, at: int) -> int:
        """Where the first match begins that more text could make or change; the text's end if there is none.

        It does not matter to that what stands before `at`: a beginning has no positions (see `prefixes`).
        """
        found = self._open.search(whole, at)
        start = found.start() if found is not None else len(whole)
        if len(whole) - start > self._max_match:
            raise UndecidedError
        return start


def _words(error: Exception) -> str:
    detail = error.args[0] if error.args else ""
    return detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)


class Hider:
    """Rules, applied to one text that comes in pieces. Give it the pieces, then `finish`."""

    def __init__(self, rules: Sequence[HidingRule]) -> None:
        self._rules = rules
        self._waiting = [""] * len(rules)
        self._before = [""] * len(rules)

    @property
    def waits(self) -> bool:
        """Whether anything that was given is held back."""
        return any(self._waiting)

    def feed(self, text: str) -> str:
        """What may be shown now. Raises `UndecidedError`."""
        return self.run(text, last=False)

    def finish(self) -> str:
        """What is left to be shown."""
        return self.run("", last=True)

    def run(self, text: str, *, last: bool) -> str:
        """What may be shown now. `last`: nothing will follow. Raises `UndecidedError`."""
        for place, rule in enumerate(self._rules):
            text, self._waiting[place], self._before[place] = rule.step(
                self._waiting[place] + text, self._before[place], last=last
            )
        return text


def hide(rules: Sequence[HidingRule], text: str) -> str:
    """A whole text with what must be hidden hidden."""
    for rule in rules:
        text = rule.step(text, last=True)[0]
    return text
