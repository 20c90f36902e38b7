"""From a file to a `GatewayConfig`: parse, hold against the schemas, load extensions, ask the providers.

Every step goes on after a problem as far as it makes sense, so that one run tells everything. Runs before the event
loop does; it may read files and import code.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from providers.extension import Config, ConfigProblem, KeyPath, Schema, check_config, is_secret, type_name
from providers.provider import Provider
from providers.registry import (
    ExtensionLoadError,
    Registry,
    UnknownExtensionError,
    find_extensions,
    load_module,
    load_path,
    metadata_of,
    provider_registry,
)
from proxy.config.document import Document, read_document
from proxy.config.errors import ConfigError, Problem
from proxy.config.schema import SCHEMA
from proxy.config.settings import (
    GatewayConfig,
    LoggingConfig,
    MetricsConfig,
    ModelEntry,
    ServerConfig,
)


def load_config(
    path: str | os.PathLike[str],
    environ: Mapping[str, str] = os.environ,
    *,
    providers: Registry[Provider] | None = None,
    others: Sequence[Registry[Any]] = (),
) -> GatewayConfig:
    """Read and check `gateway.yaml`.

    Extensions that it names are imported and added to `providers` (default: a fresh registry of the built-in ones) or
    to that one of `others` whose base they extend. Each provider is constructed once to ask its `validate_config`, and
    thrown away; the app constructs its own. Raises ConfigError with everything that is wrong, in the file's order.
    """
    document = read_document(Path(path), environ)
    return _Loading(document, Path(path), providers or provider_registry(), others).run()


class _Loading:
    def __init__(
        self, document: Document, path: Path, providers: Registry[Provider], others: Sequence[Registry[Any]]
    ) -> None:
        self._document = document
        self._path = path
        self._providers = providers
        self._registries: list[Registry[Any]] = [providers, *others]
        self._problems: list[Problem] = list(document.problems)
        self._extension_failed = False

    def run(self) -> GatewayConfig:
        root = self._check(SCHEMA, self._document.root, ())
        models = self._check_more(root) if isinstance(root, dict) else []
        if self._problems:
            self._problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
            raise ConfigError(self._problems)
        server = msgspec.convert(root["server"], ServerConfig)
        return GatewayConfig(
            path=self._path,
            server=msgspec.structs.replace(server, request_id_header=server.request_id_header.lower()),
            models=tuple(model for model in models if model is not None),
            logging=msgspec.convert(root["logging"], LoggingConfig),
            metrics=msgspec.convert(root["metrics"], MetricsConfig),
        )

    def _check_more(self, root: Config) -> list[ModelEntry | None]:
        """What no schema can say; the models are complete only if nothing at all is wrong."""
        self._check_tls(root)
        for index, entry in enumerate(_items(root, "availableExtensions")):
            self._load_extension(entry, ("availableExtensions", index))
        models = [self._model(model, ("models", index)) for index, model in enumerate(_items(root, "models"))]
        self._check_names(_items(root, "models"))
        return models

    def _tell(self, path: KeyPath, message: str, *, at_key: bool = False) -> None:
        self._problems.append(self._document.problem(path, message, at_key=at_key))

    def _check(self, schema: Schema, value: Any, path: KeyPath) -> Any:
        """`value` with the schema's defaults filled in; what is wrong is told."""
        if not isinstance(value, dict):
            if not self._document.is_unknown(path):
                self._tell(path, f"expected object, got {type_name(value)}")
            return value

        def hidden(inner: KeyPath) -> bool:
            # What comes from the environment may be a secret that went to the wrong key.
            place = self._document.places.get((*path, *inner))
            return is_secret((*path, *inner)) or (place is not None and bool(place.variables))

        filled, problems = check_config(schema, value, hidden=hidden)
        for problem in problems:
            where = (*path, *problem.path)
            if not self._document.is_unknown(where) or problem.at_key:
                self._tell(where, problem.message + self._origin(where, problem), at_key=problem.at_key)
        return filled

    def _origin(self, path: KeyPath, problem: ConfigProblem) -> str:
        """Which variables a wrong value comes from."""
        place = self._document.places.get(path)
        if place is None or problem.at_key or not place.variables:
            return ""
        names = ", ".join(f"${{{name}}}" for name in place.variables)
        quote = place.retyped and problem.message.startswith("expected string, ")
        return f" from {names}{'; in quotes it is a string' if quote else ''}"

    def _check_tls(self, root: Config) -> None:
        """Make the files' names absolute; they must be there."""
        server = root["server"]
        tls = server.get("tls") if isinstance(server, dict) else None
        if not isinstance(tls, dict):
            return
        for key in ("certFile", "keyFile", "caFile"):
            name = tls.get(key)
            where = ("server", "tls", key)
            if not isinstance(name, str) or not name or self._document.is_unknown(where):
                continue
            file = self._path.parent / name
            tls[key] = str(file.absolute())
            if not file.is_file():
                self._tell(where, f"no such file: {file}")

    def _load_extension(self, entry: Any, path: KeyPath) -> None:
        if not isinstance(entry, dict):
            return
        given = [key for key in ("path", "module") if key in entry]
        if len(given) != 1:
            self._tell(path, "give either 'path' or 'module', not both" if given else "give 'path' or 'module'")
            return
        where = (*path, given[0])
        source = entry[given[0]]
        if not isinstance(source, str) or not source or self._document.is_unknown(where):
            self._extension_failed = True
            return
        try:
            module = load_path(self._path.parent / source) if given[0] == "path" else load_module(source)
            found = find_extensions(module, [registry.base for registry in self._registries])
        except ExtensionLoadError as error:
            self._extension_failed = True
            self._tell(where, f"cannot be loaded: {error}")
            return
        for cls in self._named(found, entry.get("name"), (*path, "name")):
            registry = next(registry for registry in self._registries if issubclass(cls, registry.base))
            try:
                registry.add(cls)
            except ExtensionLoadError as error:
                self._tell(where, str(error))

    def _named(self, found: Sequence[type], wanted: Any, path: KeyPath) -> list[type]:
        """Those of `found` whose names the file asks for; all if it names none."""
        by_name = {metadata.name: cls for cls in found if (metadata := metadata_of(cls)) is not None}
        if wanted is None:
            return list(found)
        names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
        for index, name in enumerate(names):
            if isinstance(name, str) and name not in by_name:
                where = path if isinstance(wanted, str) else (*path, index)
                self._tell(where, f"no extension {name!r} there; found: {', '.join(by_name)}")
        return [by_name[name] for name in names if isinstance(name, str) and name in by_name]

    def _model(self, model: Any, path: KeyPath) -> ModelEntry | None:
        if not isinstance(model, dict):
            return None
        provider = model.get("provider")
        if "provider" in model:
            beside = [key for key in ("type", "config") if key in model]
            if beside:
                shown = " and ".join(map(repr, beside))
                self._tell(path, f"give either 'provider' or {shown}, not both")
                return None
            inner: Any = provider
            path_of: KeyPath = (*path, "provider")
        else:
            if "type" not in model:
                self._tell(path, "give 'type' (with 'config') or 'provider'")
                return None
            inner, path_of = model, path
        if not isinstance(inner, dict):
            return None
        cls = self._provider_class(inner.get("type"), (*path_of, "type"))
        raw = inner.get("config", {})
        if cls is None or not isinstance(raw, dict):
            return None
        config = self._provider_config(cls, raw, model, (*path_of, "config"))
        if config is None or self._problems:
            return None
        return ModelEntry(
            name=model["name"],
            type=inner["type"],
            provider_class=cls,
            config=config,
            is_default=model["isDefault"],
            description=model["description"],
            metadata=model["metadata"],
            on_disconnect=model["onDisconnect"],
            drain_timeout=model["drainTimeout"],
            drop_unsupported=model["dropUnsupported"],
        )

    def _provider_class(self, name: Any, path: KeyPath) -> type[Provider] | None:
        if not isinstance(name, str) or not name or self._document.is_unknown(path):
            return None
        try:
            return self._providers.get(name)
        except UnknownExtensionError as error:
            after = " (an extension could not be loaded)" if self._extension_failed else ""
            self._tell(path, f"{error}{after}")
        except ExtensionLoadError as error:
            self._tell(path, f"cannot be loaded: {error}")
        return None

    def _provider_config(self, cls: type[Provider], raw: Config, model: Config, path: KeyPath) -> Config | None:
        """The provider's configuration, checked by its schema and then by its code. None: something is wrong."""
        schema = cls.metadata.configuration_schema
        before = len(self._problems)
        # One switch for both: the key beside the model's name is the provider's own where it has one.
        if model.get("dropUnsupported") is True and "dropUnsupported" in schema.get("properties", {}):
            raw = {"dropUnsupported": True, **raw}
        config: Config = self._check(schema, raw, path)
        if len(self._problems) > before or self._document.holds_unknown(path):
            return None
        fault = self._ask(cls, config, path)
        if fault is None:
            return config
        self._tell(path, fault)
        return None

    def _ask(self, cls: type[Provider], config: Config, path: KeyPath) -> str | None:
        """What the provider's own code has against `config`; None if nothing."""
        name = cls.metadata.name
        doing = "cannot be constructed"
        try:
            provider = cls()
            doing = "failed in validate_config"
            verdict: object = provider.validate_config(copy.deepcopy(config))
        except Exception as error:  # noqa: BLE001 - the extension's code may raise anything; it is reported
            return self._scrub(f"provider {name!r} {doing}: {type(error).__name__}: {error}", config, path)
        match verdict:
            case True:
                return None
            case str() if verdict:
                return self._scrub(verdict, config, path)
            case False | "":
                return f"refused by the provider {name!r}"
            case _:
                got = type(verdict).__name__
                return f"validate_config of provider {name!r} returned {got}; expected True, False or a sentence"

    def _scrub(self, sentence: str, config: Any, path: KeyPath) -> str:
        """`sentence` without the values that must not be shown, should the extension have put them there."""
        for text in sorted(set(self._secrets(config, path)), key=len, reverse=True):
            sentence = sentence.replace(text, "***")
        return sentence

    def _secrets(self, value: Any, path: KeyPath) -> list[str]:
        if isinstance(value, dict):
            return [text for key, inner in value.items() for text in self._secrets(inner, (*path, key))]
        if isinstance(value, list):
            return [text for index, inner in enumerate(value) for text in self._secrets(inner, (*path, index))]
        place = self._document.places.get(path)
        secret = is_secret(path) or (place is not None and bool(place.variables))
        # Shorter ones would blot out ordinary words and protect nothing.
        return [str(value)] if secret and len(str(value)) >= 4 and not isinstance(value, bool | None) else []

    def _check_names(self, models: list[Any]) -> None:
        """Names are unique, and one model at most is the default."""
        first: dict[str, int] = {}
        default: int | None = None
        for index, model in enumerate(models):
            if not isinstance(model, dict):
                continue
            name = model.get("name")
            if isinstance(name, str) and name and not self._document.is_unknown(("models", index, "name")):
                if name in first:
                    line = self._line("models", first[name], "name")
                    self._tell(("models", index, "name"), f"duplicate model name {name!r}, first on line {line}")
                first.setdefault(name, index)
            if model.get("isDefault") is True:
                if default is not None:
                    line = self._line("models", default, "isDefault")
                    message = f"only one model may be the default; models[{default}] is (line {line})"
                    self._tell(("models", index, "isDefault"), message)
                else:
                    default = index

    def _line(self, *path: str | int) -> int:
        return self._document.find(path)[0]


def _items(root: Config, key: str) -> list[Any]:
    value = root.get(key)
    return value if isinstance(value, list) else []
