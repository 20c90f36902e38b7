"""`Checker`: holds values of the file against schemas and keeps what is wrong, each with its place. Reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from providers.extension import ConfigProblem, KeyPath, Schema, check_config, is_secret, type_name
from proxy.config.document import Document, Place
from proxy.config.errors import Problem


class Where(NamedTuple):
    """Where a value stands. One that a project lays over the top level's stands in two places, the nearer first."""

    paths: tuple[KeyPath, ...]

    def at(self, *inner: str | int) -> Where:
        """The place of something inside."""
        return Where(tuple((*path, *inner) for path in self.paths))


def where(*path: str | int) -> Where:
    return Where((path,))


class Checker:
    """Collects problems. Each is told once, however many projects inherit it."""

    def __init__(self, document: Document, environ: Mapping[str, str] = {}) -> None:
        self.document = document
        self._environ = environ
        self.problems: list[Problem] = list(document.problems)
        self._told: set[Problem] = set()

    def tell(self, at: Where, message: str, *, at_key: bool = False) -> None:
        problem = self.document.problem(self.path(at), message, at_key=at_key)
        if problem not in self._told:
            self._told.add(problem)
            self.problems.append(problem)

    def path(self, at: Where) -> KeyPath:
        """The path that is in the file; if none is, the nearer one."""
        return next((path for path in at.paths if path in self.document.places), at.paths[0])

    def is_unknown(self, at: Where) -> bool:
        """Whether the value there could not be had (a missing variable ...): that was told already."""
        return self.document.is_unknown(self.path(at))

    def holds_unknown(self, at: Where) -> bool:
        return any(self.document.holds_unknown(path) for path in at.paths)

    def line(self, at: Where) -> int:
        return self.document.find(self.path(at))[0]

    def check(self, schema: Schema, value: Any, at: Where) -> Any:
        """`value` with the schema's defaults filled in; what is wrong is told."""
        if not isinstance(value, dict):
            if not self.is_unknown(at):
                self.tell(at, f"expected object, got {type_name(value)}")
            return value

        def hidden(inner: KeyPath) -> bool:
            # What comes from the environment may be a secret that went to the wrong key.
            place = self._place(at.at(*inner))
            return is_secret(self.path(at.at(*inner))) or (place is not None and bool(place.variables))

        filled, problems = check_config(schema, value, hidden=hidden, environ=self._environ)
        for problem in problems:
            there = at.at(*problem.path)
            if not self.is_unknown(there) or problem.at_key:
                self.tell(there, problem.message + self._origin(there, problem), at_key=problem.at_key)
        return filled

    def scrub(self, sentence: str, config: Any, at: Where) -> str:
        """`sentence` without the values that must not be shown, should an extension have put them there."""
        for text in sorted(set(self._secrets(config, at)), key=len, reverse=True):
            sentence = sentence.replace(text, "***")
        return sentence

    def _place(self, at: Where) -> Place | None:
        return self.document.places.get(self.path(at))

    def _origin(self, at: Where, problem: ConfigProblem) -> str:
        """Which variables a wrong value comes from."""
        place = self._place(at)
        if place is None or problem.at_key or not place.variables:
            return ""
        names = ", ".join(f"${{{name}}}" for name in place.variables)
        quote = place.retyped and problem.message.startswith("expected string, ")
        return f" from {names}{'; in quotes it is a string' if quote else ''}"

    def _secrets(self, value: Any, at: Where) -> list[str]:
        if isinstance(value, dict):
            return [text for key, inner in value.items() for text in self._secrets(inner, at.at(key))]
        if isinstance(value, list):
            return [text for index, inner in enumerate(value) for text in self._secrets(inner, at.at(index))]
        place = self._place(at)
        secret = is_secret(self.path(at)) or (place is not None and bool(place.variables))
        # Shorter ones would blot out ordinary words and protect nothing.
        return [str(value)] if secret and len(str(value)) >= 4 and not isinstance(value, bool | None) else []
