"""A YAML file as plain data that remembers where each value stood. Imports the problem type and the `${VAR}` rules.

What a file may hold: one document; YAML 1.2's plain types (null, boolean, integer, float, string: `no`, `1:30` and
`2024-01-01` are strings); anchors, aliases and merge keys `<<`. Not allowed: a key twice in one mapping, keys that are
no strings, tags of one's own, an alias inside of what it refers to.

`${VAR}` is replaced in every string value after parsing, so a value can never change the file's structure. A plain
(unquoted) scalar that is one reference and nothing else is then read as YAML reads a plain scalar: `port: ${PORT}` is
an integer, `port: "${PORT}"` a string.

Everything wrong is collected, except what keeps the parser from going on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from providers.extension import KeyPath
from proxy.config.environment import substitute
from proxy.config.errors import ConfigError, Problem

MAX_VALUES = 100_000
"""How many values a file may hold, aliases counted as often as they are used (a few lines can make billions)."""

_TAG = "tag:yaml.org,2002:"
_STR = f"{_TAG}str"
_MERGE = f"{_TAG}merge"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the plain types of YAML 1.2's core schema, less the numbers that JSON lacks."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(rf"(?:{_pattern})\Z"), _first)


class Place(msgspec.Struct, frozen=True):
    """Where a value stands, and where its content comes from."""

    line: int
    column: int
    key_line: int
    """Where the key that leads to it stands; an alias or a merge may bring the value from elsewhere."""
    key_column: int
    variables: tuple[str, ...] = ()
    """The environment's variables that are part of it."""
    retyped: bool = False
    """It is a plain `${VAR}`, so its type is that of what the variable holds."""


class Document(msgspec.Struct, frozen=True):
    """The data of a file, what was wrong with it so far, and the way from a path back to the file."""

    file: str
    root: Any
    problems: tuple[Problem, ...]
    places: dict[KeyPath, Place]
    unknown: frozenset[KeyPath]
    """Paths whose value could not be had (a missing variable ...): there is nothing more to say about them."""

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        """A problem at `path`, or at what is nearest to it in the file if the path is not there."""
        line, column = self.find(path, at_key=at_key)
        return Problem(file=self.file, line=line, column=column, path=path, message=message)

    def find(self, path: KeyPath, *, at_key: bool = False) -> tuple[int, int]:
        """Line and column of the value at `path` (or of its key), or of what is nearest around it."""
        there = path
        while there and there not in self.places:
            there = there[:-1]
        place = self.places[there]
        if at_key or there != path:
            return place.key_line, place.key_column
        return place.line, place.column

    def is_unknown(self, path: KeyPath) -> bool:
        """Whether `path` is, or is inside of, a value that could not be had."""
        return any(path[: len(there)] == there for there in self.unknown)

    def holds_unknown(self, path: KeyPath) -> bool:
        """Whether something inside of `path` could not be had, or `path` itself."""
        return self.is_unknown(path) or any(there[: len(path)] == path for there in self.unknown)


def read_document(path: Path, environ: Mapping[str, str]) -> Document:
    """Read and parse a file. Raises ConfigError where there is nothing to go on with: no file, no YAML."""
    name = str(path)
    text = _read_text(path, name)
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            raise ConfigError([Problem(file=name, message="the file holds no configuration")])
        return _Builder(name, environ).build(node)
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(name, text, error)]) from error
    except ReaderError as error:
        line, column = _line_of(text, int(error.position))
        message = f"a character that YAML does not allow (U+{ord(text[int(error.position)]):04X})"
        raise ConfigError([Problem(file=name, line=line, column=column, message=message)]) from error
    except RecursionError:
        raise ConfigError([Problem(file=name, message="values are nested too deeply")]) from None


def _read_text(path: Path, name: str) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError([Problem(file=name, message="no such file")]) from None
    except IsADirectoryError:
        raise ConfigError([Problem(file=name, message="is a folder, expected a YAML file")]) from None
    except OSError as error:
        raise ConfigError([Problem(file=name, message=f"cannot be read: {error.strerror}")]) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 text (byte 0x{data[error.start]:02x})"
        raise ConfigError([Problem(file=name, line=line, message=message)]) from None


def _line_of(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - (text.rfind("\n", 0, position) + 1) + 1


def _syntax_problem(name: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    what = _without_names(error.problem or "not YAML")
    if "'\\t'" in what:
        what = "a tab where YAML expects spaces"
    elif what == "but found another document":
        what = "a second document starts here; expected one"
    elif error.context and not error.context.startswith("while scanning for the next token"):
        what = f"{what} ({_without_names(error.context)})"
    if mark is None:
        return Problem(file=name, message=what)
    if text[max(0, mark.index - 1) : mark.index + 1] == "${":
        what = "a ${VAR} inside [...] or {...} must stand in quotes"
    return Problem(file=name, line=mark.line + 1, column=mark.column + 1, message=what)


def _without_names(text: str) -> str:
    """The parser's words without the file's: what it took for an alias's name may be an unquoted password."""
    return re.sub(r""" (?:'(?!<)[^']{4,}'|"[^"]{4,}")""", "", " ".join(text.split()))


class _Builder:
    """Turns nodes into data. Problems of a node that several aliases share are told once, where it is used first."""

    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self._file = file
        self._environ = environ
        self._problems: list[Problem] = []
        self._told: set[tuple[int, str]] = set()
        self._places: dict[KeyPath, Place] = {}
        self._unknown: set[KeyPath] = set()
        self._open: set[int] = set()
        """Ids of the collections around the node at hand."""
        self._values = 0
        self._known_entries: dict[int, dict[str, tuple[Node, Node]]] = {}
        """By the mapping's id: merges of merges would else be followed exponentially often."""

    def build(self, node: Node) -> Document:
        root = self._value(node, (), None)
        return Document(self._file, root, tuple(self._problems), self._places, frozenset(self._unknown))

    def _tell(self, node: Node, path: KeyPath, message: str) -> None:
        if (id(node), message) in self._told:
            return
        self._told.add((id(node), message))
        mark = node.start_mark
        self._problems.append(
            Problem(file=self._file, line=mark.line + 1, column=mark.column + 1, path=path, message=message)
        )

    def _value(self, node: Node, path: KeyPath, key: Node | None) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            message = f"more than {MAX_VALUES} values once all aliases are followed"
            raise ConfigError([Problem(file=self._file, message=message)])
        start = node.start_mark
        at = start if key is None else key.start_mark
        # A collection is found at its key: the first line inside is not what is wrong with the whole.
        here = start if isinstance(node, ScalarNode) else at
        place = Place(here.line + 1, here.column + 1, at.line + 1, at.column + 1)
        self._places[path] = place
        if isinstance(node, ScalarNode):
            return self._scalar(node, path, place)
        if id(node) in self._open:
            self._tell(node, path, "an alias inside of what it refers to")
            self._unknown.add(path)
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                self._expect_tag(node, path, "seq")
                return [self._value(item, (*path, index), None) for index, item in enumerate(node.value)]
            assert isinstance(node, MappingNode)
            self._expect_tag(node, path, "map")
            return {
                name: self._value(value, (*path, name), key_node)
                for name, (key_node, value) in self._entries(node, path).items()
            }
        finally:
            self._open.discard(id(node))

    def _expect_tag(self, node: Node, path: KeyPath, tag: str) -> None:
        if node.tag != _TAG + tag:
            self._tell(node, path, "unknown tag")
            self._unknown.add(path)

    def _entries(self, node: MappingNode, path: KeyPath) -> dict[str, tuple[Node, Node]]:
        """The mapping's own entries, then what it merges in: own ones win, of several merged the first."""
        if (known := self._known_entries.get(id(node))) is not None:
            return known
        own: dict[str, tuple[Node, Node]] = {}
        merged: list[MappingNode] = []
        merge_key: Node | None = None
        for key, value in node.value:
            if key.tag == _MERGE:
                if merge_key is not None:
                    first = merge_key.start_mark.line + 1
                    self._tell(key, (*path, "<<"), f"duplicate key, first on line {first}; merge a list: <<: [*a, *b]")
                    continue
                merge_key = key
                merged += self._merge_sources(value, path)
            elif not isinstance(key, ScalarNode) or key.tag != _STR:
                shown = f" {key.value}; put it in quotes" if isinstance(key, ScalarNode) else ""
                self._tell(key, path, f"keys must be strings, got {key.tag.rpartition(':')[2]}{shown}")
            elif key.value in own:
                first = own[key.value][0].start_mark.line + 1
                self._tell(key, (*path, key.value), f"duplicate key, first on line {first}")
            else:
                own[key.value] = (key, value)
        for source in merged:
            if id(source) in self._open:
                self._tell(source, path, "a merge of a mapping into itself")
                continue
            self._open.add(id(source))
            try:
                for name, entry in self._entries(source, path).items():
                    own.setdefault(name, entry)
            finally:
                self._open.discard(id(source))
        self._known_entries[id(node)] = own
        return own

    def _merge_sources(self, value: Node, path: KeyPath) -> Iterator[MappingNode]:
        for source in value.value if isinstance(value, SequenceNode) else [value]:
            if isinstance(source, MappingNode):
                yield source
            else:
                self._tell(source, (*path, "<<"), "expected a mapping, or a list of mappings, to merge")

    def _scalar(self, node: ScalarNode, path: KeyPath, place: Place) -> Any:
        text: str = node.value
        tag: str = node.tag
        if "$" in text:
            done = substitute(text, self._environ)
            for name in done.missing:
                self._tell(node, path, f"environment variable {name} is not set")
            if done.broken:
                self._tell(node, path, "'${' starts no ${VAR} or ${VAR:-default}; write '$$' for a plain '$'")
            if done.broken or done.missing:
                self._unknown.add(path)
                return ""
            text = done.text
            retyped = done.whole and node.style is None and tag == _STR
            if retyped:
                tag = self._plain_tag(text)
            if done.variables:
                self._places[path] = msgspec.structs.replace(place, variables=done.variables, retyped=retyped)
        value, fault = _construct(tag, text)
        if fault:
            self._tell(node, path, fault)
            self._unknown.add(path)
        return value

    @staticmethod
    def _plain_tag(text: str) -> str:
        """The type that YAML gives to `text` as a plain scalar."""
        for tag, pattern in _Loader.yaml_implicit_resolvers.get(text[:1], ()):
            if tag != _MERGE and pattern.match(text):
                return tag
        return _STR


def _construct(tag: str, text: str) -> tuple[Any, str]:
    """The value of a scalar, and what is wrong with it if something is."""
    kind = tag.removeprefix(_TAG)
    try:
        match kind:
            case "str" | "merge":
                return text, ""
            case "null":
                return None, ""
            case "bool":
                return {"true": True, "false": False}[text.lower()], ""
            case "int":
                return int(text, 0 if text[:2] in ("0o", "0x") else 10), ""
            case "float":
                value = float(text)
                return (value, "") if math.isfinite(value) else (None, "a number too large for a float")
            case _:
                return None, "unknown tag"
    except (ValueError, KeyError):
        return None, f"not a proper {kind}"
