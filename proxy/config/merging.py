"""What a project inherits: entries of the top level, by name, with the project's own laid over them. Reads no file.

The rules: an entry of the project that names one of the top level is laid over it, objects within objects key by key,
anything else (lists too) in its place. An entry that gives another `type` inherits no `config`. `enabled: false`
switches an entry off, `enabled: true` switches one on that is off at the top level. Inherited entries come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from providers.extension import Config, KeyPath
from proxy.config.checker import Where, where


class Merged(NamedTuple):
    """An entry as a project has it."""

    value: Config
    at: Where

    @property
    def enabled(self) -> bool:
        return self.value.get("enabled", True) is not False

    @property
    def key(self) -> object:
        """Its name; one without a name, which is told elsewhere, is nobody's."""
        name = self.value.get("name")
        return name if isinstance(name, str) else self.at


def top_level(entries: Sequence[Any], key: str) -> list[Merged]:
    """The top level's own entries."""
    return [Merged(entry, where(key, index)) for index, entry in enumerate(entries) if isinstance(entry, dict)]


def inherit(inherited: Sequence[Merged], own: Sequence[Any], key: str, project: KeyPath) -> list[Merged]:
    """The entries of a project."""
    merged = {entry.key: entry for entry in inherited}
    say_default: set[object] = set()
    for index, value in enumerate(own):
        if not isinstance(value, dict):
            continue
        entry = Merged(value, where(*project, key, index))
        base = merged.get(entry.key)
        if base is None:
            merged[entry.key] = entry
        else:
            merged[entry.key] = Merged(_laid_over(base.value, value), Where(entry.at.paths + base.at.paths))
        if "isDefault" in value:
            say_default.add(entry.key)
    if any(isinstance(value, dict) and value.get("isDefault") is True for value in own):
        for name, entry in merged.items():
            if name not in say_default and entry.value.get("isDefault") is True:
                merged[name] = Merged({**entry.value, "isDefault": False}, entry.at)
    return list(merged.values())


def _laid_over(base: Config, own: Config) -> Config:
    if "type" in own or "config" in own:
        base = _beside(base)
    elif "provider" in own and "provider" not in base:
        base = {key: value for key, value in base.items() if key not in ("type", "config")}
    if own.get("type") not in (None, base.get("type")):
        base = {key: value for key, value in base.items() if key != "config"}
    if _type_in(own) not in (None, _type_in(base)) and isinstance(base.get("provider"), dict):
        base = {**base, "provider": {}}
    return deep_merge(base, own)


def _beside(base: Config) -> Config:
    """`type` and `config` beside the name, however the entry gave them."""
    provider = base.get("provider")
    if not isinstance(provider, dict):
        return base
    return {**{key: value for key, value in base.items() if key != "provider"}, **provider}


def _type_in(entry: Config) -> Any:
    provider = entry.get("provider")
    return provider.get("type") if isinstance(provider, dict) else None


def deep_merge(base: Config, own: Config) -> Config:
    """`own` over `base`, objects within objects. Changes neither."""
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        merged[key] = deep_merge(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged
