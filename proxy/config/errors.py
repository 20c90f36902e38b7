"""What is wrong with a configuration, all of it at once. Imports nothing of the project but the type of a path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import msgspec

from providers.extension import KeyPath

_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*|<<", re.ASCII)


def render_path(path: KeyPath) -> str:
    """`models[0].config.timeout`; a key that is no plain word stands in brackets: `metadata["a b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `str()` gives the line to show."""

    file: str
    """The file's name, as it was given."""
    line: int | None = None
    """Counted from 1. None: the file as a whole."""
    column: int | None = None
    """Counted from 1."""
    path: KeyPath = ()
    """The keys that lead there; empty for what is wrong with the file or its YAML."""
    message: str

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
            if self.column is not None and not self.path:
                place += f":{self.column}"
        if self.path:
            place += f": {render_path(self.path)}"
        return f"{place}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used. `problems` is everything that is wrong, in the order of the file.

    `str()` gives one line for each problem. No value of a secret is in it.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
