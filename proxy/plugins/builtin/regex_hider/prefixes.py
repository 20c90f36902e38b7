"""From a pattern to one that matches every beginning of what it matches. Pure; imports only the standard library.

A stream may be shown up to where a match could begin that is not decided yet. RE2 does not tell that, so a second
pattern is made: P(x) matches every beginning of every text that x matches, the empty one included:

    P(c)        = c?                        one character, or a class
    P(xy)       = P(x) | x P(y)
    P(x|y)      = P(x) | P(y)
    P(x{m,n})   = x{0,n-1} P(x)             for n without end: x* P(x)

Positions (`^`, `$`, `\\b`) are left out of it: that makes P match a little more, so a little more waits, and nothing
that could match is missed. The pattern is read by Python's own parser, whose syntax is all of RE2's but for names of
Unicode classes; what it cannot read cannot be hidden in streams, and is refused when the configuration is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MAX_PATTERN = 20_000
"""Characters of the pattern that is made; each item of the first stands in it about twice."""

_FLAGS = ((re.IGNORECASE, "i"), (re.MULTILINE, "m"), (re.DOTALL, "s"))
_CATEGORIES = {
    c.CATEGORY_DIGIT: r"\d",
    c.CATEGORY_NOT_DIGIT: r"\D",
    c.CATEGORY_SPACE: r"\s",
    c.CATEGORY_NOT_SPACE: r"\S",
    c.CATEGORY_WORD: r"\w",
    c.CATEGORY_NOT_WORD: r"\W",
}

Node = tuple[Any, Any]
"""An item of the parser's tree: an opcode and its argument, whose shape depends on it."""


class NoPrefixesError(ValueError):
    """The pattern has something that this cannot do; the message says what."""


def prefix_pattern(pattern: str) -> str:
    """The pattern that matches every beginning of what `pattern` matches. Raises `NoPrefixesError`."""
    tree = _parsed(pattern)
    made = _with_flags(_prefix_of_all(list(tree)), tree.state.flags, 0)
    if len(made) > MAX_PATTERN:
        raise NoPrefixesError("it is too long")
    return made


def pattern_anywhere(pattern: str) -> str:
    """The pattern without positions: it matches every text that `pattern` matches, and does so wherever that stands.
    Raises `NoPrefixesError`."""
    tree = _parsed(pattern)
    return _with_flags(_all(list(tree)), tree.state.flags, 0)


def may_be_empty(pattern: str) -> bool:
    """Whether it may match without a character, somewhere in some text. Raises `NoPrefixesError`."""
    least: int = _parsed(pattern).getwidth()[0]
    return least == 0


def _parsed(pattern: str) -> Any:
    try:
        return parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise NoPrefixesError(f"{error}") from error


# -- what an item matches whole ----------------------------------------------------------------------------------------


def _all(items: list[Node]) -> str:
    return "".join(map(_whole, items))


def _whole(node: Node) -> str:
    kind, argument = node
    try:
        return _WHOLE[kind](argument)
    except KeyError:
        raise NoPrefixesError(f"'{str(kind).lower()}' is not supported") from None


def _character(code: int) -> str:
    return f"\\x{{{code:x}}}"


def _class(items: list[Node]) -> str:
    pieces: list[str] = []
    for kind, argument in items:
        if kind is c.NEGATE:
            pieces.append("^")
        elif kind is c.LITERAL:
            pieces.append(_character(argument))
        elif kind is c.RANGE:
            pieces.append(f"{_character(argument[0])}-{_character(argument[1])}")
        elif kind is c.CATEGORY and argument in _CATEGORIES:
            pieces.append(_CATEGORIES[argument])
        else:
            raise NoPrefixesError(f"'{str(kind).lower()}' in a class is not supported")
    return f"[{''.join(pieces)}]"


def _repeated(argument: tuple[int, Any, Any]) -> str:
    least, most, item = argument
    return f"(?:{_all(list(item))}){_count(least, most)}"


def _count(least: int, most: Any) -> str:
    if most is c.MAXREPEAT:
        return {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    return f"{{{least},{int(most)}}}"


def _group(argument: tuple[Any, int, int, Any], inner: Callable[[list[Node]], str]) -> str:
    _, on, off, items = argument
    return _with_flags(inner(list(items)), on, off)


def _with_flags(pattern: str, on: int, off: int) -> str:
    plus = "".join(letter for flag, letter in _FLAGS if on & flag)
    minus = "".join(letter for flag, letter in _FLAGS if off & flag)
    return f"(?{plus}{'-' + minus if minus else ''}:{pattern})"


_WHOLE: Mapping[Any, Callable[[Any], str]] = {
    c.LITERAL: _character,
    c.NOT_LITERAL: lambda code: f"[^{_character(code)}]",
    c.ANY: lambda _: ".",
    c.IN: _class,
    c.AT: lambda _: "",
    c.BRANCH: lambda argument: f"(?:{'|'.join(_all(list(items)) for items in argument[1])})",
    c.SUBPATTERN: lambda argument: _group(argument, _all),
    c.MAX_REPEAT: _repeated,
    c.MIN_REPEAT: _repeated,
}

# -- every beginning of it ---------------------------------------------------------------------------------------------


def _prefix_of_all(items: list[Node]) -> str:
    made = ""
    for item in reversed(items):
        if item[0] is c.AT:
            continue
        # Of a sequence: a beginning of the first, or the first whole and a beginning of the rest.
        made = _prefix(item) if not made else f"(?:{_whole(item)}{made}|{_prefix(item)})"
    return made


def _prefix(node: Node) -> str:
    kind, argument = node
    match kind:
        case c.BRANCH:
            return f"(?:{'|'.join(_prefix_of_all(list(items)) for items in argument[1])})"
        case c.SUBPATTERN:
            return _group(argument, _prefix_of_all)
        case c.MAX_REPEAT | c.MIN_REPEAT:
            _, most, item = argument
            if most is not c.MAXREPEAT and int(most) == 0:
                return ""
            before = "*" if most is c.MAXREPEAT else _count(0, int(most) - 1)
            return f"(?:{_all(list(item))}){before}{_prefix_of_all(list(item))}"
        case _:
            return f"(?:{_whole(node)})?"
