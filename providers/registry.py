"""Where extensions are found and by what name they are known. Imports the life cycle and the built-ins' names.

A `Registry` knows the extensions of one kind (providers, plugins, client APIs) by their type name. Built-in ones stand
in a table `name -> "module:Class"` and are imported when they are first asked for; others come from `gateway.yaml`'s
`availableExtensions`, through `load_path` or `load_module` and `find_extensions`.

A file loaded with `load_path` may use the files beside it with relative imports (`from .helper import x`,
`from . import helper`). Its folder is not put on `sys.path`: files of two folders may share a name, and none can hide
an installed module.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from providers.builtin import BUILTIN_PROVIDERS
from providers.extension import Extension, ExtensionMetadata, did_you_mean
from providers.provider import Provider

T = TypeVar("T", bound=Extension)


class ExtensionLoadError(Exception):
    """An extension cannot be loaded or registered. `file` and `line` say where its code is wrong, if it is the code."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__(place + message)
        self.file = file
        self.line = line


class UnknownExtensionError(LookupError):
    """No extension of this kind has this name."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        others = f"known types: {', '.join(known)}" if known else "none is known"
        near = did_you_mean(name, known)
        super().__init__(f"unknown {kind} type {name!r}{near}{' ' if near else '; '}{others}")
        self.name = name


def metadata_of(cls: type) -> ExtensionMetadata | None:
    """What `@extension` said about this very class; a base class's metadata is not its own."""
    metadata = cls.__dict__.get("metadata")
    return metadata if isinstance(metadata, ExtensionMetadata) else None


class Registry(Generic[T]):
    """The extension classes of one kind, by type name.

    `base` is what they all extend, `kind` is what messages call them, `builtins` maps a name to `"module:Class"`.
    """

    def __init__(self, base: type[T], kind: str, builtins: Mapping[str, str] | None = None) -> None:
        self.base = base
        self.kind = kind
        self._builtins = dict(builtins or {})
        self._classes: dict[str, type[T]] = {}

    def add(self, cls: type) -> None:
        """Make `cls` known under its metadata's name. Adding the same class again changes nothing.

        Raises ExtensionLoadError if it is no `base`, has no `@extension` of its own, leaves abstract methods open, or
        bears a name that is taken.
        """
        if not issubclass(cls, self.base):
            raise ExtensionLoadError(f"{_qualified(cls)} is no {self.kind}: it does not extend {_qualified(self.base)}")
        metadata = metadata_of(cls)
        if metadata is None:
            raise ExtensionLoadError(f"{_qualified(cls)} is not declared with @extension(...)")
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
            raise ExtensionLoadError(f"{_qualified(cls)} is abstract: it does not define {missing}")
        name = metadata.name
        known = self._classes.get(name)
        if known is cls:
            return
        owner = _qualified(known) if known is not None else self._builtins.get(name)
        if owner is not None and owner != _qualified(cls):
            raise ExtensionLoadError(f"{self.kind} {name!r} of {_qualified(cls)} is already defined by {owner}")
        self._classes[name] = cls

    def get(self, name: str) -> type[T]:
        """The class of this name. Imports a built-in one at its first use.

        Raises UnknownExtensionError, with the nearest known name, or ExtensionLoadError if a built-in one does not
        import (a dependency that is not installed).
        """
        cls = self._classes.get(name)
        if cls is not None:
            return cls
        target = self._builtins.get(name)
        if target is None:
            raise UnknownExtensionError(self.kind, name, self.names())
        module, _, attribute = target.partition(":")
        found = getattr(load_module(module), attribute)
        metadata = metadata_of(found)
        if metadata is None or metadata.name != name:
            raise ExtensionLoadError(f"{target} does not declare the {self.kind} {name!r}")
        self.add(found)
        return self._classes[name]

    def names(self) -> list[str]:
        """All names, sorted. Imports nothing."""
        return sorted({*self._builtins, *self._classes})

    def items(self) -> Iterator[tuple[str, type[T]]]:
        """Names and classes, sorted by name. Imports every built-in one; raises as `get` does."""
        for name in self.names():
            yield name, self.get(name)


def provider_registry() -> Registry[Provider]:
    """A fresh registry of providers that knows the built-in ones."""
    return Registry(Provider, "provider", BUILTIN_PROVIDERS)  # type: ignore[type-abstract]


_ROOT = "triway_extensions"
"""The package that the modules of `load_path` live in; each folder is a package in it."""


def load_path(path: Path) -> ModuleType:
    """Import a Python file that belongs to no package. A file that is already loaded is not run again.

    Raises ExtensionLoadError, with file and line where the code is at fault. `SystemExit` and the like go through.
    """
    path = path.resolve()
    if path.is_dir():
        raise ExtensionLoadError(f"{path} is a folder; name a .py file, or a package with 'module:'")
    if not path.is_file():
        raise ExtensionLoadError(f"{path} does not exist")
    if path.suffix != ".py":
        raise ExtensionLoadError(f"{path} is not a .py file")
    name = f"{_folder_package(path.parent)}.{_module_name(path)}"
    if (loaded := sys.modules.get(name)) is not None:
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ExtensionLoadError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Before its code runs, as import does it: dataclasses and Structs look their module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _load_error(error, path) from error
    return module


def load_module(name: str) -> ModuleType:
    """Import an installed module or package. Raises ExtensionLoadError, with file and line where it is at fault."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the module itself or a package around it: what *it* fails to import is a fault of its code.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ExtensionLoadError(f"no module named {error.name!r} is installed") from error
        raise _load_error(error, None) from error
    except Exception as error:
        raise _load_error(error, None) from error


def find_extensions(module: ModuleType, bases: Iterable[type[Extension]]) -> list[type[Extension]]:
    """The classes with `@extension` that `module` defines or names in its `__all__`, in order of definition.

    Raises ExtensionLoadError for one that extends none of `bases`, and if there is none at all.
    """
    bases = tuple(bases)
    exported = set(getattr(module, "__all__", ()))
    found: dict[type, None] = {}
    for name, value in vars(module).items():
        if not isinstance(value, type) or metadata_of(value) is None:
            continue
        if value.__module__ != module.__name__ and name not in exported:
            continue
        if not issubclass(value, bases):
            wanted = " or ".join(_qualified(base) for base in bases)
            raise ExtensionLoadError(
                f"class {value.__qualname__} is declared with @extension but does not extend {wanted}",
                file=_file_of(value),
            )
        found[value] = None
    if not found:
        raise ExtensionLoadError(
            "no class with @extension(...) is defined in it or named in its __all__", file=module.__file__
        )
    return list(found)


def _qualified(cls: type) -> str:
    """`module:Class`, as a table of built-ins spells it; for a class loaded by path, the class and its file."""
    if cls.__module__.startswith(f"{_ROOT}."):
        return f"{cls.__qualname__} in {_file_of(cls)}"
    return f"{cls.__module__}:{cls.__qualname__}"


def _file_of(cls: type) -> str | None:
    return getattr(sys.modules.get(cls.__module__), "__file__", None)


def _folder_package(folder: Path) -> str:
    """A package that stands for `folder`, so that relative imports find the files in it."""
    name = f"{_ROOT}.{re.sub(r'[^0-9A-Za-z_]', '_', folder.name)}_{_digest(str(folder))}"
    for package, paths in ((_ROOT, list[str]()), (name, [str(folder)])):
        if package not in sys.modules:
            module = ModuleType(package, "Extensions loaded by path.")
            module.__path__ = paths
            sys.modules[package] = module
    return name


def _module_name(path: Path) -> str:
    """The stem where it is a name, so that a sibling's import finds the same module; else something unique."""
    stem = path.stem
    return stem if stem.isidentifier() else f"{re.sub(r'[^0-9A-Za-z_]', '_', stem)}_{_digest(stem)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _load_error(error: Exception, path: Path | None) -> ExtensionLoadError:
    """What an import raised, with the place in the extension's code, deepest frame first."""
    if isinstance(error, SyntaxError) and error.filename:
        return ExtensionLoadError(f"{type(error).__name__}: {error.msg}", file=error.filename, line=error.lineno)
    hint = ""
    if isinstance(error, ModuleNotFoundError) and error.name and path and (path.parent / f"{error.name}.py").is_file():
        hint = f" (the file beside it is imported with 'from . import {error.name}')"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__) and not frame.filename.startswith("<frozen importlib")
    ]
    if path is not None:
        # A frame of a library says less than the extension's line that called it.
        frames = [frame for frame in frames if Path(frame.filename).is_relative_to(path.parent)] or frames
    message = f"{type(error).__name__}: {error}{hint}"
    if not frames:
        return ExtensionLoadError(message, file=None if path is None else str(path))
    return ExtensionLoadError(message, file=frames[-1].filename, line=frames[-1].lineno)
