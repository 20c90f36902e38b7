"""`Extensions`: loads the code that the file names, and holds entries' `config` against it. May import code."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from providers.extension import Config, Extension, Schema
from providers.registry import (
    ExtensionLoadError,
    Registry,
    UnknownExtensionError,
    find_extensions,
    load_module,
    load_path,
    metadata_of,
)
from proxy.config.checker import Checker, Where

X = TypeVar("X", bound=Extension)


class Extensions:
    """The extension classes of one configuration, in a registry for each kind."""

    def __init__(self, checker: Checker, folder: Path, registries: Sequence[Registry[Any]]) -> None:
        self._checker = checker
        self._folder = folder
        self._registries = registries
        self._failed = False

    # -- availableExtensions ------------------------------------------------------------------------------------------

    def load(self, entry: Any, at: Where) -> None:
        """Import one entry of `availableExtensions`; each class goes to the registry whose base it extends."""
        if not isinstance(entry, dict):
            return
        given = [key for key in ("path", "module") if key in entry]
        if len(given) != 1:
            self._checker.tell(at, "give either 'path' or 'module', not both" if given else "give 'path' or 'module'")
            return
        there = at.at(given[0])
        source = entry[given[0]]
        if not isinstance(source, str) or not source or self._checker.is_unknown(there):
            self._failed = True
            return
        try:
            module = load_path(self._folder / source) if given[0] == "path" else load_module(source)
            found = find_extensions(module, [registry.base for registry in self._registries])
        except ExtensionLoadError as error:
            self._failed = True
            self._checker.tell(there, f"cannot be loaded: {error}")
            return
        for cls in self._named(found, entry.get("name"), at.at("name")):
            registry = next(registry for registry in self._registries if issubclass(cls, registry.base))
            try:
                registry.add(cls)
            except ExtensionLoadError as error:
                self._checker.tell(there, str(error))

    def _named(self, found: Sequence[type], wanted: Any, at: Where) -> list[type]:
        """Those of `found` whose names the file asks for; all if it names none."""
        by_name = {metadata.name: cls for cls in found if (metadata := metadata_of(cls)) is not None}
        if wanted is None:
            return list(found)
        names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
        for index, name in enumerate(names):
            if isinstance(name, str) and name not in by_name:
                there = at if isinstance(wanted, str) else at.at(index)
                self._checker.tell(there, f"no extension {name!r} there; found: {', '.join(by_name)}")
        return [by_name[name] for name in names if isinstance(name, str) and name in by_name]

    # -- an entry's extension -----------------------------------------------------------------------------------------

    def class_of(self, registry: Registry[X], name: Any, at: Where) -> type[X] | None:
        """The class of this type name; None if there is none, which is told."""
        if not isinstance(name, str) or not name or self._checker.is_unknown(at):
            return None
        try:
            return registry.get(name)
        except UnknownExtensionError as error:
            after = " (an extension could not be loaded)" if self._failed else ""
            self._checker.tell(at, f"{error}{after}")
        except ExtensionLoadError as error:
            self._checker.tell(at, f"cannot be loaded: {error}")
        return None

    def config_of(self, cls: type[Extension], kind: str, raw: Config, at: Where) -> Config | None:
        """An extension's configuration, checked by its schema and then by its code. None: something is wrong."""
        before = len(self._checker.problems)
        config: Config = self._checker.check(cls.metadata.configuration_schema, raw, at)
        if len(self._checker.problems) > before or self._checker.holds_unknown(at):
            return None
        make_absolute(cls.metadata.configuration_schema, config, self._folder)
        fault = self._ask(cls, kind, config, at)
        if fault is None:
            return config
        self._checker.tell(at, fault)
        return None

    def _ask(self, cls: type[Extension], kind: str, config: Config, at: Where) -> str | None:
        """What the extension's own code has against `config`; None if nothing."""
        name = cls.metadata.name
        doing = "cannot be constructed"
        try:
            made = cls()
            doing = "failed in validate_config"
            verdict: object = made.validate_config(copy.deepcopy(config))
        except Exception as error:  # noqa: BLE001 - the extension's code may raise anything; it is reported
            return self._checker.scrub(f"{kind} {name!r} {doing}: {type(error).__name__}: {error}", config, at)
        match verdict:
            case True:
                return None
            case str() if verdict:
                return self._checker.scrub(verdict, config, at)
            case False | "":
                return f"refused by the {kind} {name!r}"
            case _:
                got = type(verdict).__name__
                return f"validate_config of {kind} {name!r} returned {got}; expected True, False or a sentence"


def make_absolute(schema: Schema, config: Config, folder: Path) -> None:
    """Have the names of files in `config` (`format: path` in the schema) start from the configuration file's folder."""
    for name, sub in schema.get("properties", {}).items():
        value = config.get(name)
        if isinstance(value, str) and sub.get("format") == "path":
            config[name] = str((folder / value).absolute())
        elif isinstance(value, dict):
            make_absolute(sub, value, folder)
