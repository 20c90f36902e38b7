"""`Entries`: one project's models, plugins and client APIs, from merged entries to typed ones. Reads no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from providers.extension import Config
from providers.provider import Provider
from providers.registry import Registry
from proxy.apis import ClientAPI, api_names
from proxy.config.checker import Checker, Where
from proxy.config.extensions import Extensions
from proxy.config.merging import Merged
from proxy.config.schema import ADAPTER, MODEL, PLUGIN
from proxy.config.settings import AdapterEntry, ModelEntry, PassthroughConfig, PluginEntry
from proxy.plugins.base import PHASES, Phase, Plugin
from proxy.plugins.conditions import CompiledConditions, Conditions
from proxy.routing.table import ModelTable


class Entries:
    """Checks entries; tells what is wrong with them. What it returns is complete only if nothing is wrong."""

    def __init__(
        self,
        checker: Checker,
        extensions: Extensions,
        *,
        providers: Registry[Provider],
        plugins: Registry[Plugin],
        apis: Registry[ClientAPI],
    ) -> None:
        self._checker = checker
        self._extensions = extensions
        self._providers = providers
        self._plugins = plugins
        self._apis = apis

    # -- models -------------------------------------------------------------------------------------------------------

    def models(self, merged: Sequence[Merged]) -> tuple[ModelEntry, ...]:
        made = [self._model(entry) for entry in merged if entry.enabled]
        self._check_default([entry for entry in merged if entry.enabled])
        return tuple(model for model in made if model is not None)

    def _model(self, entry: Merged) -> ModelEntry | None:
        model = self._checker.check(MODEL, entry.value, entry.at)
        at = entry.at
        if "provider" in model:
            beside = [key for key in ("type", "config") if key in model]
            if beside:
                shown = " and ".join(map(repr, beside))
                self._checker.tell(at, f"give either 'provider' or {shown}, not both")
                return None
            model = {**model, **model["provider"]} if isinstance(model["provider"], dict) else model
            at = at.at("provider")
        elif "type" not in model:
            self._checker.tell(at, "give 'type' (with 'config') or 'provider'")
            return None
        cls = self._extensions.class_of(self._providers, model.get("type"), at.at("type"))
        raw = model.get("config", {})
        if cls is None or not isinstance(raw, dict):
            return None
        # One switch for both: the key beside the model's name is the provider's own where it has one.
        schema = cls.metadata.configuration_schema
        if model.get("dropUnsupported") is True and "dropUnsupported" in schema.get("properties", {}):
            raw = {"dropUnsupported": True, **raw}
        config = self._extensions.config_of(cls, "provider", raw, at.at("config"))
        if config is None or self._checker.problems:
            return None
        return ModelEntry(
            name=model["name"],
            type=model["type"],
            provider_class=cls,
            config=config,
            is_default=model["isDefault"],
            description=model["description"],
            metadata=model["metadata"],
            on_disconnect=model["onDisconnect"],
            drain_timeout=model["drainTimeout"],
            drop_unsupported=model["dropUnsupported"],
            passthrough=msgspec.convert(model.get("passthrough"), PassthroughConfig | None),
        )

    def _check_default(self, merged: Sequence[Merged]) -> None:
        """One model at most is the default. One of the project's own wins over one that it inherits."""
        defaults = [entry for entry in merged if entry.value.get("isDefault") is True]
        for entry in defaults[1:]:
            first = defaults[0]
            line = self._checker.line(first.at.at("isDefault"))
            there = self._checker.path(first.at)
            self._checker.tell(
                entry.at.at("isDefault"), f"only one model may be the default; models[{there[-1]}] is (line {line})"
            )

    # -- plugins ------------------------------------------------------------------------------------------------------

    def plugins(self, merged: Sequence[Merged], models: Sequence[Merged]) -> tuple[PluginEntry, ...]:
        """The project's plugins. `models` are its model entries: those that plugins name must be there."""
        table = ModelTable([_Named(entry.value) for entry in models if entry.enabled])
        made = [self._plugin(entry, table) for entry in merged if entry.enabled]
        return tuple(plugin for plugin in made if plugin is not None)

    def _plugin(self, entry: Merged, models: ModelTable[_Named]) -> PluginEntry | None:
        value: Config = self._checker.check(PLUGIN, entry.value, entry.at)
        # The commonest plugin is one of its type, so its name says enough.
        kind: str = value["type"] if "type" in value else value["name"]
        at_type = entry.at.at("type" if "type" in value else "name")
        cls = self._extensions.class_of(self._plugins, kind, at_type)
        raw = value.get("config", {})
        conditions = self._conditions(value.get("conditions", {}), entry.at.at("conditions"))
        if cls is None or not isinstance(raw, dict):
            return None
        at_config = entry.at.at("config")
        config = self._extensions.config_of(cls, "plugin", raw, at_config)
        if config is None:
            return None
        self._check_models_named(cls, config, models, at_config)
        if self._checker.problems:
            return None
        return PluginEntry(
            name=value["name"],
            type=kind,
            plugin_class=cls,
            config=config,
            priority=value["priority"],
            conditions=conditions,
            on_error=value.get("onError"),
            timeouts=_timeouts(value.get("timeout")),
        )

    def _check_models_named(self, cls: type[Plugin], config: Config, models: ModelTable[_Named], at: Where) -> None:
        try:
            named = list(cls().models_named(config))
        except Exception as error:  # noqa: BLE001 - the extension's code may raise anything; it is reported
            self._checker.tell(at, f"plugin {cls.metadata.name!r} failed in models_named: {type(error).__name__}")
            return
        for path, model in named:
            # The default takes any name, but not one that was meant for another model and is misspelt.
            if models.named(model) is None and not self._checker.is_unknown(at.at(*path)):
                self._checker.tell(at.at(*path), f"there is no model {model!r} here")

    def _conditions(self, value: Any, at: Where) -> Conditions:
        if not isinstance(value, dict):
            return Conditions()
        usable: dict[str, Any] = {}
        for key, patterns in value.items():
            found = list(patterns.items()) if isinstance(patterns, dict) else []
            found += enumerate(patterns) if isinstance(patterns, list) else []
            for place, pattern in found:
                self._check_pattern(key, pattern, at.at(key, place))
            usable[key] = patterns
        try:
            return msgspec.convert(usable, Conditions)
        except msgspec.ValidationError:
            return Conditions()  # the schema has told why

    def _check_pattern(self, key: str, pattern: Any, at: Where) -> None:
        if key == "methods" or not isinstance(pattern, str) or self._checker.is_unknown(at):
            return
        try:
            CompiledConditions(Conditions(models=(pattern,)))
        except ValueError as error:
            self._checker.tell(at, str(error))

    # -- client APIs --------------------------------------------------------------------------------------------------

    def adapters(self, merged: Sequence[Merged], at: Where) -> tuple[AdapterEntry, ...]:
        """What the file says of the client APIs; those that it does not name are served as they are."""
        made: list[AdapterEntry] = []
        if set(api_names(self._apis)) <= {entry.value.get("name") for entry in merged if not entry.enabled}:
            self._checker.tell(at, "no client API is left that is enabled")
        for entry in merged:
            value: Config = self._checker.check(ADAPTER, entry.value, entry.at)
            cls = self._extensions.class_of(self._apis, value.get("name"), entry.at.at("name"))
            raw = value.get("config", {})
            if cls is None or not isinstance(raw, dict):
                continue
            config = self._extensions.config_of(cls, "client API", raw, entry.at.at("config"))
            if config is not None and not self._checker.problems:
                made.append(AdapterEntry(name=value["name"], enabled=entry.enabled, config=config))
        return tuple(made)


class _Named:
    """A model entry as far as looking it up goes."""

    def __init__(self, value: Config) -> None:
        self.name = str(value.get("name", ""))
        self.is_default = value.get("isDefault") is True


def _timeouts(value: int | Mapping[str, int] | None) -> dict[Phase, float]:
    """Milliseconds in the file, for all phases or for each; seconds here."""
    if value is None:
        return {}
    if isinstance(value, int):
        return dict.fromkeys(PHASES, value / 1000)
    return {phase: value[key] / 1000 for phase in PHASES if (key := camel(phase)) in value}


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)
