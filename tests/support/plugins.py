"""Plugins made of functions, for tests of what the pipeline does with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from providers.extension import extension
from proxy.plugins import Phase, Plugin, PluginContext, plugin_registry
from proxy.plugins.loaded import LoadedPlugin

PhaseFunction = Callable[[PluginContext], Any]
"""May be async; what it returns is what the plugin returns."""


def plugin_class(name: str, *, sees_credentials: bool = False, **phases: PhaseFunction) -> type[Plugin]:
    """A plugin type `name` that has these phases."""

    def method(function: PhaseFunction) -> Callable[[Any, PluginContext], Awaitable[Any]]:
        async def call(self: Any, context: PluginContext) -> Any:
            result = function(context)
            return await result if isinstance(result, Awaitable) else result

        return call

    members: dict[str, Any] = {phase: method(function) for phase, function in phases.items()}
    members["sees_credentials"] = sees_credentials
    made = type(name.title().replace("-", ""), (Plugin,), members)
    return extension(name=name, version="1")(made)


def loaded(name: str, *, priority: int = 100, timeouts: dict[Phase, float] | None = None, **more: Any) -> LoadedPlugin:
    """A loaded plugin; `more` holds phases and the entry's own settings."""
    settings = {key: more.pop(key) for key in ("conditions", "on_error", "project") if key in more}
    return LoadedPlugin(name, plugin_class(name, **more)(), priority=priority, timeouts=timeouts, **settings)


def registry_with(classes: Iterable[type[Plugin]]) -> Any:
    registry = plugin_registry()
    for cls in classes:
        registry.add(cls)
    return registry
