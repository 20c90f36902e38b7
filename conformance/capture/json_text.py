"""JSON within bytes, with the place of every string: so that a secret can be overwritten where it stands. No I/O.

A scanner, not a parser: it takes what it can read of broken, cut or foreign text and never fails, because a secret in
a malformed event is one all the same.

Text is held as `str` with one character for each byte (latin-1), so that places are places in the body.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter

_TOKEN = re.compile(
    r'"(?P<string>[^"\\\n\r]*+(?:\\.[^"\\\n\r]*+)*+)"?'
    r"|(?P<number>-?[0-9][0-9.eE+-]*+)"
    r"|[{}\[\],]"
)
"""A string may lack its end: then it goes to the line's. (JSON has no line ends within strings.)"""
_ESCAPE = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<letter>.))", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""Keys that a path may show; others may be anything."""
JSON_STARTS = ("{", "[", '"')
"""With what a text begins that may be JSON: what holds secrets by their keys."""
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}

Run = tuple[int, int, int, int]
"""A stretch of a text and the stretch of the outer text that it was made from: start, end, outer start, outer end."""


class Text:
    """Characters that know where each of them stands in the body."""

    __slots__ = ("_outer", "_runs", "chars")

    def __init__(self, chars: str, runs: Sequence[Run] = (), outer: Text | None = None) -> None:
        self.chars = chars
        self._runs = runs
        self._outer = outer

    @property
    def is_plain(self) -> bool:
        """Whether it is one piece of the body as it is: what holds for those bytes holds for it."""
        return self._outer is None or (
            len(self._runs) <= 1 and self._outer.is_plain and all(_is_copy(run) for run in self._runs)
        )

    def places(self, start: int, end: int) -> list[tuple[int, int]]:
        """The stretches of the body that the characters from `start` to `end` were made from."""
        if self._outer is None:
            return [(start, end)]
        found: list[tuple[int, int]] = []
        for at in range(max(bisect_right(self._runs, start, key=itemgetter(0)) - 1, 0), len(self._runs)):
            first, last, outer_first, outer_last = run = self._runs[at]
            if first >= end:
                break
            if last <= start:
                continue
            if _is_copy(run):
                offset = outer_first - first
                outer_first, outer_last = max(start, first) + offset, min(end, last) + offset
            found += self._outer.places(outer_first, outer_last)
        return found

    def inside(self, start: int, end: int) -> Text:
        """The value of the JSON string whose inside is from `start` to `end`."""
        if self.chars.find("\\", start, end) < 0:
            return Text(self.chars[start:end], ((0, end - start, start, end),), self)
        parts: list[str] = []
        runs: list[Run] = []
        size = 0

        def add(chars: str, outer_start: int, outer_end: int) -> None:
            nonlocal size
            if chars:
                parts.append(chars)
                runs.append((size, size + len(chars), outer_start, outer_end))
                size += len(chars)

        at = start
        for escape in _ESCAPE.finditer(self.chars, start, end):
            add(self.chars[at : escape.start()], at, escape.start())
            code, letter = escape["code"], escape["letter"]
            add(chr(int(code, 16)) if code else _LETTERS.get(letter, letter), *escape.span())
            at = escape.end()
        add(self.chars[at:end], at, end)
        return Text("".join(parts), runs, self)


def join(texts: Sequence[Text]) -> Text:
    """The texts one after the other. All come from the same outer text."""
    if len(texts) == 1:
        return texts[0]
    runs: list[Run] = []
    size = 0
    for text in texts:
        runs += [(first + size, last + size, *outer) for first, last, *outer in text._runs]  # type: ignore[misc]
        size += len(text.chars)
    return Text("".join(text.chars for text in texts), runs, texts[0]._outer)


def _is_copy(run: Run) -> bool:
    return run[1] - run[0] == run[3] - run[2]


class Container:
    """An object or array that a value stands in."""

    __slots__ = ("_label", "_parent", "_thread", "is_object", "key", "mark", "position", "wants_key")

    def __init__(self, parent: Container | None, *, is_object: bool) -> None:
        self._parent = parent
        self._label = parent.label if parent else ""
        self.is_object = is_object
        self.wants_key = is_object
        self.key = ""
        self.position = 0
        self.mark = ""
        """What tells it from its like in other events: the numbers under its keys `index`, `output_index` ..."""
        self._thread: str | None = None

    @property
    def label(self) -> str:
        """Of the value that is being read in it."""
        if not self.is_object:
            return f"[{self.position}]"
        return f".{self.key}" if _NAME.fullmatch(self.key) else ".*"

    @property
    def path(self) -> str:
        """Where it stands in its document: `.choices[0].delta`."""
        return (self._parent.path if self._parent else "") + self._label

    @property
    def within(self) -> Iterator[str]:
        """The keys of the objects that it stands under, from the inside out."""
        container: Container | None = self
        while container is not None:
            if container._label.startswith("."):
                yield container._label[1:]
            container = container._parent

    @property
    def thread(self) -> str:
        """What it goes on from in the events before: its path, with marks rather than positions. Once all is read."""
        if self._thread is None:
            label = "[]" if self.mark and self._label.startswith("[") else self._label
            self._thread = f"{self._parent.thread if self._parent else ''}{label}#{self.mark}"
        return self._thread


class Value:
    """A string or number, or an object's key."""

    __slots__ = ("_outer", "chars", "container", "end", "is_key", "is_number", "is_plain", "key", "label", "start")

    def __init__(
        self,
        outer: Text,
        place: tuple[int, int],
        container: Container | None,
        *,
        key: str = "",
        is_key: bool = False,
        is_number: bool = False,
    ) -> None:
        self._outer = outer
        self.start, self.end = place
        """Where it stands in the text that was scanned; of a string, its inside."""
        self.is_plain = outer.chars.find("\\", *place) < 0
        """Whether it has no escapes."""
        self.chars = outer.chars[self.start : self.end] if self.is_plain else outer.inside(*place).chars
        self.container = container
        self.label = container.label if container and not is_key else ""
        self.key = key
        """The object's key that it stands under, through arrays too; empty if there is none."""
        self.is_key = is_key
        self.is_number = is_number

    @property
    def needs_decoding(self) -> bool:
        """Whether it says more than its bytes do: it has escapes, stands within another string, or is JSON itself."""
        return not self.is_plain or not self._outer.is_plain or self.chars.lstrip()[:1] in JSON_STARTS

    @property
    def text(self) -> Text:
        """It, with the places of its characters."""
        return self._outer.inside(self.start, self.end)

    @property
    def path(self) -> str:
        """Where it stands in its document: `.choices[0].delta.content`."""
        return (self.container.path if self.container else "") + self.label

    @property
    def within(self) -> Iterator[str]:
        """The keys of the objects around the one that it stands in, from the inside out."""
        return self.container.within if self.container else iter(())

    @property
    def thread(self) -> str:
        """The same for the strings that go on from each other, event after event."""
        return (self.container.thread if self.container else "") + self.label


def scan(text: Text, start: int, end: int) -> Iterator[Value]:
    """The values of the documents between `start` and `end`. Paths begin anew here."""
    top: Container | None = None
    stack: list[Container] = []
    for token in _TOKEN.finditer(text.chars, start, end):
        kind = token.lastgroup
        if kind == "string":
            if top is not None and top.wants_key:
                value = Value(text, token.span(kind), top, is_key=True)
                top.wants_key = False
                top.key = value.chars
            else:
                value = Value(text, token.span(kind), top, key=_key(stack))
            yield value
        elif kind == "number":
            if top is not None and top.is_object and top.key.lower().endswith("index"):
                top.mark += f"{top.key}={token[0]};"
            yield Value(text, token.span(), top, key=_key(stack), is_number=True)
        elif token[0] in "{[":
            top = Container(top, is_object=token[0] == "{")
            stack.append(top)
        elif token[0] == ",":
            if top is not None:
                top.wants_key = top.is_object
                top.position += 1
        elif stack:
            stack.pop()
            top = stack[-1] if stack else None


def _key(stack: list[Container]) -> str:
    """The key of the innermost object: a list of secrets is under the key of the list."""
    return next((container.key for container in reversed(stack) if container.is_object), "")
