"""Arguments of a function call that come in pieces (`partialArgs`, on Vertex with `streamFunctionCallArguments`).

A piece names its place by a JSONPath of names and numbers (`$.files[0].path`, `$['odd name']`) and holds a string, or
the next piece of one, a number, a boolean or null. Does no I/O.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from providers.wire.gemini_generate.structs import NO_RAW, PartialArg

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_ESCAPE = re.compile(r"\\(.)")


class PartialArgs:
    """The arguments of one call, so far."""

    __slots__ = ("_open", "_root")

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}
        self._open: dict[str, list[str]] = {}
        """By path, the pieces of a string that goes on."""

    def add(self, arg: PartialArg) -> None:
        """Take in one piece. One whose path cannot be read is left out."""
        path = _steps(arg.json_path)
        if not path:
            return
        value: object
        if arg.string_value is not None:
            pieces = self._open.setdefault(arg.json_path, [])
            pieces.append(arg.string_value)
            if arg.will_continue:
                return
            value = "".join(self._open.pop(arg.json_path))
        elif arg.number_value is not None:
            value = int(arg.number_value) if arg.number_value.is_integer() else arg.number_value
        elif arg.bool_value is not None:
            value = arg.bool_value
        elif arg.null_value != NO_RAW:
            value = None
        else:
            return
        self._set(path, value)

    def text(self) -> str:
        """The arguments as JSON. Strings whose end has not come are as long as they are."""
        for path in list(self._open):
            self._set(_steps(path), "".join(self._open.pop(path)))
        return msgspec.json.encode(self._root).decode()

    def _set(self, path: list[str | int], value: object) -> None:
        at: Any = self._root
        for step, following in zip(path, [*path[1:], None], strict=True):
            inner = value if following is None else [] if isinstance(following, int) else {}
            if isinstance(at, list) and isinstance(step, int):
                if step > len(at):  # they come in order: a gap is no place that could be filled
                    return
                if step == len(at):
                    at.append(inner)
                elif following is None:
                    at[step] = value
                at = at[step]
            elif isinstance(at, dict) and isinstance(step, str):
                if following is None:
                    at[step] = value
                at = at.setdefault(step, inner)
            else:  # it contradicts what came before
                return


def _steps(path: str) -> list[str | int]:
    """The names and numbers of a path; empty if it is not one of these."""
    if not path.startswith("$"):
        return []
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return []
        name, number, single, double = found.groups()
        if number is not None:
            steps.append(int(number))
        elif name is not None:
            steps.append(name)
        else:
            steps.append(_ESCAPE.sub(r"\1", single if single is not None else double))
        at = found.end()
    return steps if steps and isinstance(steps[0], str) else []
