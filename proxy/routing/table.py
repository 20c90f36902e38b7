"""`ModelTable`: from the model name that a client asks for to its entry. Imports nothing of the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar


class Routable(Protocol):
    """What an entry must say of itself to be looked up."""

    @property
    def name(self) -> str: ...

    @property
    def is_default(self) -> bool: ...


Entry = TypeVar("Entry", bound=Routable)


class _Pattern(NamedTuple, Generic[Entry]):
    prefix: str
    suffix: str
    entry: Entry


class ModelTable(Generic[Entry]):
    """The models of a configuration, ready to be looked up. Immutable.

    An exact name costs one dict lookup, however many models there are; only a name that is not found so is held against
    the patterns.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        """`entries` in the file's order; names are unique, at most one is the default (`load_config` sees to it)."""
        self.entries = tuple(entries)
        self.default = next((entry for entry in self.entries if entry.is_default), None)
        self._exact = {entry.name: entry for entry in self.entries if "*" not in entry.name}
        patterns = [_pattern(entry) for entry in self.entries if "*" in entry.name]
        # Stable: of patterns with as many literal characters, the one that stands first in the file is tried first.
        self._patterns = sorted(patterns, key=lambda pattern: -len(pattern.prefix) - len(pattern.suffix))

    def resolve(self, name: str) -> tuple[Entry, str | None] | None:
        """The entry for `name`, and what the `*` of its pattern stood for (None if it is no pattern's match).

        Exact names win over patterns, patterns with more literal characters over those with fewer, the file's order
        decides between equals, and the default takes what is left. None: there is no such model.
        """
        found = self.named(name)
        return found if found is not None or self.default is None else (self.default, None)

    def named(self, name: str) -> tuple[Entry, str | None] | None:
        """The same without the default: an entry of that name, or a pattern that it matches."""
        entry = self._exact.get(name)
        if entry is not None:
            return entry, None
        size = len(name)
        for pattern in self._patterns:
            prefix, suffix = pattern.prefix, pattern.suffix
            # The star stands for one character at least, so prefix and suffix cannot overlap either.
            if size > len(prefix) + len(suffix) and name.startswith(prefix) and name.endswith(suffix):
                return pattern.entry, name[len(prefix) : size - len(suffix)]
        return None


def _pattern(entry: Entry) -> _Pattern[Entry]:
    prefix, _, suffix = entry.name.partition("*")
    return _Pattern(prefix, suffix, entry)
