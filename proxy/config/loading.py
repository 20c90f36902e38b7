"""From a file to a `GatewayConfig`: parse, hold against the schemas, load extensions, ask them.

Every step goes on after a problem as far as it makes sense, so that one run tells everything. Runs before the event
loop does, or in a thread beside it; it may read files and import code.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from providers.extension import Config
from providers.provider import Provider
from providers.registry import Registry, provider_registry
from proxy.apis import ClientAPI, api_registry
from proxy.apis.routes import RouteTable
from proxy.config.checker import Checker, Where, where
from proxy.config.document import read_document
from proxy.config.entries import Entries
from proxy.config.errors import ConfigError
from proxy.config.extensions import Extensions
from proxy.config.merging import Merged, inherit, top_level
from proxy.config.schema import SCHEMA
from proxy.config.settings import (
    DEFAULT_PROJECT,
    GatewayConfig,
    LoggingConfig,
    MetricsConfig,
    PipelineConfig,
    ProjectConfig,
    ServerConfig,
)
from proxy.plugins import Plugin, plugin_registry

INHERITED = ("models", "plugins", "adapters")


def load_config(
    path: str | os.PathLike[str],
    environ: Mapping[str, str] = os.environ,
    *,
    providers: Registry[Provider] | None = None,
    plugins: Registry[Plugin] | None = None,
    apis: Registry[ClientAPI] | None = None,
) -> GatewayConfig:
    """Read and check `gateway.yaml`.

    Extensions that it names are imported and added to the registry whose base they extend (default: fresh ones of the
    built-in extensions). Each is constructed once to ask its `validate_config`, and thrown away; the app constructs its
    own. Raises ConfigError with everything that is wrong, in the file's order.
    """
    checker = Checker(read_document(Path(path), environ), environ)
    return _Loading(
        checker, Path(path), providers or provider_registry(), plugins or plugin_registry(), apis or api_registry()
    ).run()


class _Loading:
    def __init__(
        self,
        checker: Checker,
        path: Path,
        providers: Registry[Provider],
        plugins: Registry[Plugin],
        apis: Registry[ClientAPI],
    ) -> None:
        self._path = path
        self._apis = apis
        self._checker = checker
        self._extensions = Extensions(self._checker, path.parent, [providers, plugins, apis])
        self._entries = Entries(self._checker, self._extensions, providers=providers, plugins=plugins, apis=apis)

    def run(self) -> GatewayConfig:
        root = self._checker.check(SCHEMA, self._checker.document.root, where())
        projects = self._check_more(root) if isinstance(root, dict) else ()
        problems = self._checker.problems
        if problems:
            problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
            raise ConfigError(problems)
        server = msgspec.convert(root["server"], ServerConfig)
        return GatewayConfig(
            path=self._path,
            server=msgspec.structs.replace(server, request_id_header=server.request_id_header.lower()),
            projects=projects,
            pipeline=msgspec.convert(root["pipeline"], PipelineConfig),
            logging=msgspec.convert(root["logging"], LoggingConfig),
            metrics=msgspec.convert(root["metrics"], MetricsConfig),
        )

    def _check_more(self, root: Config) -> tuple[ProjectConfig, ...]:
        """What no schema can say; the projects are complete only if nothing at all is wrong."""
        self._check_tls(root)
        for index, entry in enumerate(_items(root, "availableExtensions")):
            self._extensions.load(entry, where("availableExtensions", index))
        for key in INHERITED:
            self._check_names(_items(root, key), key)
        projects = _items(root, "projects")
        self._check_names(projects, "projects")
        default = root.get("defaultProject")
        top = {key: top_level(_items(root, key), key) for key in INHERITED}
        name = default if isinstance(default, str) else DEFAULT_PROJECT
        own = next((i for i, project in enumerate(projects) if _name(project) == name), None)
        if own is None and isinstance(default, str) and projects:
            known = ", ".join(repr(found) for project in projects if (found := _name(project)))
            self._checker.tell(where("defaultProject"), f"no project {default!r}; there are {known}")
        first = self._project(top, projects, own) if own is not None else self._made(name, "", top, where("adapters"))
        others = [self._project(top, projects, index) for index in range(len(projects)) if index != own]
        return (first, *(project for project in others if project is not None)) if first is not None else ()

    # -- projects -----------------------------------------------------------------------------------------------------

    def _project(self, top: Mapping[str, list[Merged]], projects: Sequence[Any], index: int) -> ProjectConfig | None:
        project = projects[index]
        name = _name(project)
        if name is None:
            return None
        at = where("projects", index, "name")
        if not self._checker.is_unknown(at) and name in self._taken():
            self._checker.tell(at, f"{name!r} is taken: paths of the gateway begin with /{name}")
        merged: dict[str, list[Merged]] = {}
        for key in INHERITED:
            own = _items(project, key)
            self._check_names(own, "projects", index, key)
            self._check_switched_off(top[key], own, "projects", index, key)
            merged[key] = inherit(top[key], own, key, ("projects", index))
        return self._made(name, str(project.get("description", "")), merged, where("projects", index, "adapters"))

    def _made(self, name: str, description: str, merged: Mapping[str, list[Merged]], at: Where) -> ProjectConfig:
        plugins = self._entries.plugins(merged["plugins"], merged["models"])
        return ProjectConfig(
            name=name,
            description=description,
            models=self._entries.models(merged["models"]),
            plugins=tuple(sorted(plugins, key=lambda plugin: plugin.priority)),
            adapters=self._entries.adapters(merged["adapters"], at),
        )

    def _taken(self) -> frozenset[str]:
        """First segments of the gateway's own paths."""
        classes = [cls for _, cls in self._apis.items()]
        return RouteTable.first_segments(classes) | {"health", "ready", "metrics"}

    # -- what no schema can say ---------------------------------------------------------------------------------------

    def _check_tls(self, root: Config) -> None:
        """Make the files' names absolute; they must be there."""
        server = root["server"]
        tls = server.get("tls") if isinstance(server, dict) else None
        if not isinstance(tls, dict):
            return
        for key in ("certFile", "keyFile", "caFile"):
            name = tls.get(key)
            at = where("server", "tls", key)
            if not isinstance(name, str) or not name or self._checker.is_unknown(at):
                continue
            file = self._path.parent / name
            tls[key] = str(file.absolute())
            if not file.is_file():
                self._checker.tell(at, f"no such file: {file}")
                return
        # After another fault there may be none that can be used.
        if not self._checker.problems and {"certFile", "keyFile"} <= set(tls):
            self._check_certificates(tls)

    def _check_certificates(self, tls: Config) -> None:
        """They can be loaded, and belong together."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        at = where("server", "tls", "certFile")
        try:
            # An encrypted key would have OpenSSL ask for its password on the terminal.
            context.load_cert_chain(tls["certFile"], tls["keyFile"], password=lambda: b"")
            if "caFile" in tls:
                at = where("server", "tls", "caFile")
                context.load_verify_locations(tls["caFile"])
        except (ssl.SSLError, OSError, TypeError, ValueError) as error:
            if isinstance(error, ssl.SSLError) and "MISMATCH" in (error.reason or ""):
                self._checker.tell(at, "the key in keyFile belongs to another certificate")
            elif isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
                self._checker.tell(at, "cannot be used; expected PEM files, the key without a password")
            else:
                self._checker.tell(at, f"cannot be read: {error.strerror}")

    def _check_switched_off(self, inherited: Sequence[Merged], own: Sequence[Any], *path: str | int) -> None:
        """Who writes `enabled: false` under a name alone means an entry of the top level: a misspelt one stays on."""
        names = {name for entry in inherited if (name := _name(entry.value)) is not None}
        for index, entry in enumerate(own):
            name = _name(entry)
            if name is None or name in names or path[-1] == "adapters" or set(entry) != {"name", "enabled"}:
                continue
            at = where(*path, index, "name")
            if entry["enabled"] is False and not self._checker.is_unknown(at):
                known = f"; there are {', '.join(map(repr, sorted(names)))}" if names else ""
                self._checker.tell(at, f"there is no {_WHAT[str(path[-1])]} {name!r} to switch off{known}")

    def _check_names(self, entries: Sequence[Any], *path: str | int) -> None:
        """Names are unique in a list."""
        what = _WHAT[str(path[-1])]
        first: dict[str, int] = {}
        for index, entry in enumerate(entries):
            name = _name(entry)
            at = where(*path, index, "name")
            if not name or self._checker.is_unknown(at):
                continue
            if name in first:
                line = self._checker.line(where(*path, first[name], "name"))
                self._checker.tell(at, f"duplicate {what} name {name!r}, first on line {line}")
            first.setdefault(name, index)


_WHAT = {"models": "model", "plugins": "plugin", "adapters": "adapter", "projects": "project"}


def _name(entry: Any) -> str | None:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


def _items(root: Config, key: str) -> list[Any]:
    value = root.get(key)
    return value if isinstance(value, list) else []
