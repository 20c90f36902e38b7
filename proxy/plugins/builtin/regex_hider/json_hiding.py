"""Hides what matches in a JSON text that comes in pieces. No I/O; imports `hiding`.

Theory of operation. A pattern is about what a reader of the JSON sees. So a string (a member's name, too) is searched
as it reads without its escapes, and what is put into it is escaped; a number is searched as it is written, and one with
a match becomes a string. Whatever is not hidden stays as it was written, escapes and all. What stands between strings
and numbers is never touched, so a JSON text stays one.

A text that turns out to be no JSON is hidden as the plain text it is from there on. A number, and the space after it,
waits for what follows, so that `4111 1111` is no number and then something else. Strings are read generously: of an
escape that is none every character stands for itself.

What leaves does not depend on where the text was cut: a whole text is one that comes in one piece.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from proxy.plugins.builtin.regex_hider.hiding import Hider, HidingRule, UndecidedError, hide

MAX_WAITING = 4096
"""Characters of a number, and of the space after it, that are waited for."""
_PLAIN = re.compile(r'[^"\\]+')
_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r'[^ \t\n\r{}\[\],:"]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_SO_FAR = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|(?:0|[1-9][0-9]*)(?:\.[0-9]+)?[eE][+-]?[0-9]*)?")
_NAMES = ("true", "false", "null")
_HEX = re.compile(r"[0-9a-fA-F]*")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NO_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What half of a surrogate pair is read as."""

Forms = Sequence[str]
"""How each character of a text is written between the quotes."""

# What may come next.
_VALUE, _VALUE_OR_END, _NAME, _NAME_OR_END, _COLON, _COMMA, _NOTHING = range(7)


class JSONHider:
    """Rules, applied to one JSON text that comes in pieces. Give it the pieces, then `finish`."""

    def __init__(self, rules: Sequence[HidingRule]) -> None:
        self._rules = rules
        self._rest = ""
        """An escape, a number or a name that goes on, or may."""
        self._string: _StringHider | None = None
        """The string that is open."""
        self._plain: Hider | None = None
        """The rest of a text that is no JSON."""
        self._open: list[str] = []
        """What is open around: `{` and `[`."""
        self._next = _VALUE

    @property
    def waits(self) -> bool:
        """Whether anything that was given is held back."""
        inner = self._plain or self._string
        return bool(self._rest) or (inner is not None and inner.waits)

    def feed(self, text: str) -> str:
        """What may be shown now. Raises `UndecidedError`."""
        return self.run(text, last=False)

    def finish(self) -> str:
        """What is left to be shown."""
        return self.run("", last=True)

    def run(self, text: str, *, last: bool) -> str:
        """What may be shown now. `last`: nothing will follow. Raises `UndecidedError`."""
        text, self._rest = self._rest + text, ""
        out: list[str] = []
        at = 0
        while at < len(text) and not self._rest:
            if self._plain is not None:
                out.append(self._plain.feed(text[at:]) if not last else self._plain.run(text[at:], last=True))
                return "".join(out)
            if self._string is not None:
                at = self._in_string(self._string, text, at, out, last=last)
            else:
                at = self._between(text, at, out, last=last)
        if last and (inner := self._plain or self._string) is not None:
            out.append(inner.finish())
        return "".join(out)

    # -- between strings ----------------------------------------------------------------------------------------------

    def _between(self, text: str, at: int, out: list[str], *, last: bool) -> int:
        """Take what stands at `at`, which is in no string. Returns where it ends."""
        character = text[at]
        if character in " \t\n\r":
            end = _SPACE.match(text, at).end()  # type: ignore[union-attr]
            out.append(text[at:end])
            return end
        if character == '"':
            return self._begin_string(at, out)
        if character in "{}[],:":
            return self._take_sign(character, at, out)
        return self._take_word(text, at, out, last=last)

    def _begin_string(self, at: int, out: list[str]) -> int:
        if self._next in (_NAME, _NAME_OR_END):
            self._next = _COLON
        elif self._next in (_VALUE, _VALUE_OR_END):
            self._value_ended()
        else:
            return self._is_no_json(at)
        self._string = _StringHider(self._rules)
        out.append('"')
        return at + 1

    def _take_sign(self, sign: str, at: int, out: list[str]) -> int:
        around = self._open[-1] if self._open else ""
        if sign in "{[" and self._next in (_VALUE, _VALUE_OR_END):
            self._open.append(sign)
            self._next = _NAME_OR_END if sign == "{" else _VALUE_OR_END
        elif (sign == "}" and around == "{" and self._next in (_COMMA, _NAME_OR_END)) or (
            sign == "]" and around == "[" and self._next in (_COMMA, _VALUE_OR_END)
        ):
            self._open.pop()
            self._value_ended()
        elif sign == "," and self._next == _COMMA:
            self._next = _NAME if around == "{" else _VALUE
        elif sign == ":" and self._next == _COLON:
            self._next = _VALUE
        else:
            return self._is_no_json(at)
        out.append(sign)
        return at + 1

    def _take_word(self, text: str, at: int, out: list[str], *, last: bool) -> int:
        """A number or a name, with the space after it."""
        end = _WORD.match(text, at).end()  # type: ignore[union-attr]
        word = text[at:end]
        follows = _SPACE.match(text, end).end()  # type: ignore[union-attr]
        goes_on = follows == len(text) and not last
        if self._next not in (_VALUE, _VALUE_OR_END) or not _may_be_scalar(word):
            return self._is_no_json(at)
        if goes_on:
            if follows - at > MAX_WAITING:
                raise UndecidedError
            self._rest = text[at:]
            return follows
        is_number = _NUMBER.fullmatch(word) is not None
        if not (is_number or word in _NAMES) or (follows < len(text) and text[follows] not in ",]}"):
            return self._is_no_json(at)
        hidden = hide(self._rules, word) if is_number else word
        out += (word if hidden == word else json.dumps(hidden, ensure_ascii=False), text[end:follows])
        self._value_ended()
        return follows

    def _value_ended(self) -> None:
        self._next = _COMMA if self._open else _NOTHING

    def _is_no_json(self, at: int) -> int:
        self._plain = Hider(self._rules)
        return at

    # -- in a string --------------------------------------------------------------------------------------------------

    def _in_string(self, string: _StringHider, text: str, at: int, out: list[str], *, last: bool) -> int:
        """Take the string that is open, as far as `text` has it. Returns where that ends."""
        read: list[str] = []
        forms: list[str] = []
        same = True
        closed = False
        while at < len(text):
            plain = _PLAIN.match(text, at)
            if plain is not None:
                read.append(plain.group())
                forms += plain.group() if not same else (plain.group(),)
                at = plain.end()
            elif text[at] == '"':
                closed = True
                at += 1
                break
            else:
                escape = escape_at(text, at, last=last)
                if escape is None:
                    self._rest = text[at:]
                    at = len(text)
                    break
                if same:
                    same, forms = False, [*"".join(forms)]
                character, form = escape
                read.append(character)
                forms.append(form)
                at += len(form)
        out.append(string.run("".join(read), "".join(forms) if same else forms, last=closed or last))
        if closed:
            self._string = None
            out.append('"')
        return at


class _StringHider:
    """As `Hider`, for a text that is written in some other form."""

    def __init__(self, rules: Sequence[HidingRule]) -> None:
        self._rules = rules
        self._waiting: list[tuple[str, Forms]] = [("", "")] * len(rules)
        self._before = [""] * len(rules)

    @property
    def waits(self) -> bool:
        return any(text for text, _ in self._waiting)

    def finish(self) -> str:
        return self.run("", "", last=True)

    def run(self, text: str, forms: Forms, *, last: bool) -> str:
        """What may be shown of a text, as it is written. Raises `UndecidedError`."""
        for place, rule in enumerate(self._rules):
            waited, waited_forms = self._waiting[place]
            before = self._before[place]
            whole, all_forms = before + waited + text, _joined([before, waited_forms, forms])
            pieces, at = rule.pieces(whole, len(before), last=last)
            self._waiting[place] = whole[at:], all_forms[at:]
            self._before[place] = whole[at - 1 : at] if at else ""
            text = "".join(piece if isinstance(piece, str) else whole[piece] for piece in pieces)
            forms = _joined([_written(piece) if isinstance(piece, str) else all_forms[piece] for piece in pieces])
        return "".join(forms)


def _joined(pieces: Sequence[Forms]) -> Forms:
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)  # type: ignore[arg-type]
    return [form for piece in pieces for form in piece]


def _written(text: str) -> Forms:
    """How JSON writes each character of a text; the text itself if none needs an escape."""
    forms = [json.dumps(character, ensure_ascii=False)[1:-1] for character in text]
    return text if "".join(forms) == text else forms


def _may_be_scalar(word: str) -> bool:
    """Whether a number or a name begins like this."""
    return _NUMBER_SO_FAR.fullmatch(word) is not None or any(name.startswith(word) for name in _NAMES)


def escape_at(text: str, at: int, *, last: bool) -> tuple[str, str] | None:
    """The character that the backslash at `at` begins, and how it is written; None: more of the text decides."""
    unit = _unit_at(text, at)
    if unit is None:
        if not last:
            return None
    elif 0xD800 <= unit < 0xDC00:
        other = _unit_at(text, at + 6) if len(text) == at + 6 or text[at + 6] == "\\" else -1
        if other is None and not last:
            return None
        if other is not None and 0xDC00 <= other < 0xE000:
            code = 0x10000 + ((unit - 0xD800) << 10) + (other - 0xDC00)
            return chr(code), text[at : at + 12]
        return _NO_CHARACTER, text[at : at + 6]
    elif 0xDC00 <= unit < 0xE000:
        return _NO_CHARACTER, text[at : at + 6]
    elif unit >= 0:
        return chr(unit), text[at : at + (6 if text[at + 1] == "u" else 2)]
    return "\\", "\\"


def _unit_at(text: str, at: int) -> int | None:
    """The UTF-16 unit that an escape at `at` is; -1: it is none; None: the text ends in it."""
    if at + 1 >= len(text):
        return None
    letter = text[at + 1]
    if letter != "u":
        return ord(_ESCAPES[letter]) if letter in _ESCAPES else -1
    digits = _HEX.match(text, at + 2, at + 6).group()  # type: ignore[union-attr]
    if len(digits) == 4:
        return int(digits, 16)
    return None if at + 2 + len(digits) == len(text) else -1
