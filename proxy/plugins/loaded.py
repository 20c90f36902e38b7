"""`LoadedPlugin`: an entry of `plugins`, configured and ready to run. Imports the SDK and the metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from proxy.observe.metrics import PluginMetrics
from proxy.plugins.base import OnError, Phase, Plugin
from proxy.plugins.conditions import CompiledConditions, Conditions
from proxy.plugins.context import PluginContext

PhaseCall = Callable[[PluginContext], Awaitable[Any]]
"""A phase's method. What it returns is checked: it is the plugin author's."""

DEFAULT_TIMEOUTS: Mapping[Phase, float] = {
    "before_model": 10.0,
    "after_model": 10.0,
    "after_chunk": 10.0,
    "on_model_error": 10.0,
    "detached_after_response": 30.0,
}
"""Seconds that one call of each phase may take."""


class LoadedPlugin:
    """One plugin entry of one project."""

    __slots__ = ("calls", "conditions", "metrics", "name", "on_error", "plugin", "priority", "timeouts")

    def __init__(
        self,
        name: str,
        plugin: Plugin,
        *,
        project: str = "",
        priority: int = 100,
        conditions: Conditions | None = None,
        on_error: OnError | None = None,
        timeouts: Mapping[Phase, float] | None = None,
    ) -> None:
        """Of a plugin that is configured. `timeouts` in seconds, over the defaults. Raises ValueError for conditions
        that cannot be compiled."""
        self.name = name
        self.plugin = plugin
        self.priority = priority
        self.conditions = CompiledConditions(conditions or Conditions())
        self.on_error: OnError = on_error or plugin.on_error
        self.timeouts: dict[Phase, float] = {**DEFAULT_TIMEOUTS, **(timeouts or {})}
        self.calls: dict[Phase, PhaseCall] = {phase: getattr(plugin, phase) for phase in plugin.phases()}
        """The phases that the plugin has; found here once."""
        self.metrics = PluginMetrics(project, name)
