"""`Generation`: everything that one configuration made, from configured to closed.

A reload makes a new generation beside the one that serves, and swaps them when it is ready. Requests hold the
generation that they began with; an old one is closed when its last request is over. Extensions of the same class with
the same configuration are made once, however many projects inherit them; plugins, which keep counts and caches of
their own, are made for each project.
"""

from __future__ import annotations

import time
from typing import TypeVar

import msgspec
import trio

from providers.extension import Config, Extension
from providers.registry import Registry
from proxy.apis import ClientAPI, api_names
from proxy.apis.allowed_paths import Rule
from proxy.apis.cards import card_of
from proxy.config import GatewayConfig, ModelEntry, PluginEntry, ProjectConfig
from proxy.exchange.model import ServedModel
from proxy.observe.logs import describe_exception, get_logger
from proxy.observe.metrics import ModelMetrics
from proxy.plugins.base import Plugin
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import Pipeline
from proxy.project import Project
from proxy.routing.health import ModelHealth

CLOSE_TIMEOUT = 5.0
"""Seconds that all extensions together have for `aclose`."""

X = TypeVar("X", bound=Extension)


class StartError(Exception):
    """The application cannot start; the message says why, without secrets."""


class Generation:
    """The projects of a configuration. `start` it before it serves; `stop` it in any case."""

    def __init__(self, config: GatewayConfig, apis: Registry[ClientAPI]) -> None:
        self.config = config
        self.users = 0
        """Requests, and detached work, that still need it."""
        self._idle: trio.Event | None = None
        self._made: dict[tuple[type[Extension], bytes], Extension] = {}
        self._plugins: list[Plugin] = []
        self._beside = trio.CancelScope()
        self._configured: set[int] = set()
        self._api_configs: dict[int, Config] = {}
        self._names: dict[int, str] = {}
        self._projects = [self._project(project, apis) for project in config.projects]
        self.projects = {project.name: project for project in self._projects}
        self.default = self._projects[0]

    # -- who needs it -------------------------------------------------------------------------------------------------

    def acquire(self) -> None:
        self.users += 1

    def release(self) -> None:
        self.users -= 1
        if self.users == 0 and self._idle is not None:
            self._idle.set()

    async def stop_when_idle(self, timeout: float) -> None:
        """Close everything when nobody needs it any more, or after `timeout` seconds."""
        if self.users:
            self._idle = trio.Event()
            with trio.move_on_after(timeout):
                await self._idle.wait()
        await self.stop()

    # -- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make and configure every extension. Raises `StartError`; what was configured by then is closed."""
        created = int(time.time())
        ready = False
        try:
            for project, config in zip(self._projects, self.config.projects, strict=True):
                for api in project.apis:
                    await self._configure(api, self._api_configs[id(api)], f"client API '{api.api}'")
                models = [await self._serve(project.name, entry) for entry in config.models]
                plugins = [await self._load(project.name, entry) for entry in config.plugins]
                limits = self.config.pipeline
                pipeline = Pipeline(plugins, max_retries=limits.max_retries, max_held_bytes=limits.max_held_bytes)
                project.install(models, [card_of(entry, created) for entry in config.models], pipeline)
            ready = True
        finally:
            if not ready:
                await self.stop()

    async def run_beside(self) -> None:
        """What plugins do beside the requests, until `stop`. Once, after `start`."""
        with self._beside:
            async with trio.open_nursery() as nursery:
                for plugin in self._plugins:
                    if type(plugin).run_beside is not Plugin.run_beside:
                        nursery.start_soon(_run, self._names[id(plugin)], plugin)

    async def stop(self) -> None:
        """Close every extension, all at once, under one deadline that holds also while the app is being cancelled."""
        self._beside.cancel()
        extensions: list[Extension] = [*self._made.values(), *self._plugins]
        self._made, self._plugins = {}, []
        with trio.CancelScope(deadline=trio.current_time() + CLOSE_TIMEOUT, shield=True):
            async with trio.open_nursery() as nursery:
                for extension in extensions:
                    if id(extension) in self._configured:
                        nursery.start_soon(_close, self._names[id(extension)], extension)

    # -- making -------------------------------------------------------------------------------------------------------

    def _project(self, config: ProjectConfig, registry: Registry[ClientAPI]) -> Project:
        named = {entry.name: entry for entry in config.adapters}
        apis: list[ClientAPI] = []
        for name in api_names(registry):
            entry = named.get(name)
            if entry is not None and not entry.enabled:
                continue
            settings = entry.config if entry is not None else {}
            api = self._once(registry.get(name), settings)
            self._api_configs[id(api)] = settings
            apis.append(api)
        return Project(config.name, apis, description=config.description)

    def _once(self, cls: type[X], config: Config) -> X:
        key = (cls, msgspec.json.encode(config, order="deterministic"))
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = cls()
        assert isinstance(made, cls)
        return made

    async def _configure(self, extension: Extension, config: Config, what: str) -> None:
        if id(extension) in self._configured:
            return
        # Also one whose `configure` fails half-way may have something to close.
        self._configured.add(id(extension))
        self._names[id(extension)] = what
        try:
            await extension.configure(config)
        except Exception as error:
            # The exception's text is the extension's own and may hold what is in the configuration.
            kind = type(extension).metadata.name if hasattr(type(extension), "metadata") else type(extension).__name__
            raise StartError(f"{what}: {kind}.configure raised {type(error).__name__}") from error

    async def _serve(self, project: str, entry: ModelEntry) -> ServedModel:
        provider = self._once(entry.provider_class, entry.config)
        await self._configure(provider, entry.config, f"model '{entry.name}'")
        return ServedModel(
            name=entry.name,
            is_default=entry.is_default,
            provider_type=entry.type,
            provider=provider,
            metrics=ModelMetrics(entry.name, entry.type, project),
            health=ModelHealth(),
            on_disconnect=entry.on_disconnect,
            drain_timeout=entry.drain_timeout / 1000,
            passthrough=tuple(map(Rule.of, entry.passthrough.paths)) if entry.passthrough is not None else (),
        )

    async def _load(self, project: str, entry: PluginEntry) -> LoadedPlugin:
        plugin = entry.plugin_class()
        self._plugins.append(plugin)
        await self._configure(plugin, entry.config, f"plugin '{entry.name}'")
        return LoadedPlugin(
            entry.name,
            plugin,
            project=project,
            priority=entry.priority,
            conditions=entry.conditions,
            on_error=entry.on_error,
            timeouts=entry.timeouts,
        )


async def _run(name: str, plugin: Plugin) -> None:
    try:
        await plugin.run_beside()
    except Exception as error:  # noqa: BLE001 - one plugin's fault must not end the app, nor the others' work
        get_logger().error("what a plugin does beside requests ended", plugin=name, **describe_exception(error))


async def _close(name: str, extension: Extension) -> None:
    try:
        await extension.aclose()
    except Exception as error:  # noqa: BLE001 - one extension's fault must not keep the others open
        get_logger().error("an extension did not close", extension=name, exception=type(error).__name__)
