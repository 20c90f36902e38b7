"""`Generation`: everything that one configuration made, from configured to closed.

A reload makes a new generation beside the one that serves, and swaps them when it is ready. Requests hold the
generation that they began with; an old one is closed when its last request is over. Extensions of the same class with
the same configuration are made once, however many projects inherit them; plugins, which keep counts and caches of
their own, are made for each project.

What a reload leaves as it was goes on: the new generation takes over the instances of such entries, and the health of
such models, from the one before (`proxy.instances`).
"""

from __future__ import annotations

import time
from collections.abc import Hashable

import msgspec
import trio

from providers.provider import Provider
from providers.registry import Registry
from proxy.apis import ClientAPI, api_names
from proxy.apis.allowed_paths import Rule
from proxy.apis.cards import card_of
from proxy.config import GatewayConfig, ModelEntry, PluginEntry, ProjectConfig
from proxy.exchange.model import ServedModel
from proxy.instances import Instance, Instances
from proxy.observe.metrics import ModelMetrics
from proxy.plugins.base import Plugin
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import Pipeline
from proxy.project import Project
from proxy.routing.health import ModelHealth

CLOSE_TIMEOUT = 5.0
"""Seconds that all extensions together have for `aclose`."""


class StartError(Exception):
    """The application cannot start; the message says why, without secrets."""


class Generation:
    """The projects of a configuration. `start` it before it serves; `stop` it in any case.

    `before`: the generation that serves, whose place it is to take; what both have in common is not made anew.
    """

    def __init__(self, config: GatewayConfig, apis: Registry[ClientAPI], *, before: Generation | None = None) -> None:
        self.config = config
        self.users = 0
        """Requests, and detached work, that still need it."""
        self._idle: trio.Event | None = None
        self._instances: Instances = Instances(before._instances if before is not None else None)
        self._plugins: list[Instance] = []
        self._health: dict[Hashable, ModelHealth] = {}
        self._health_before = before._health if before is not None else {}
        self._apis: dict[str, list[Instance]] = {}
        """By project."""
        try:
            self._projects = [self._project(project, apis) for project in config.projects]
        except BaseException:
            self._instances.let_go()  # what was taken over is the other generation's alone again
            raise
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
        """Make and configure what is new. Raises `StartError`; what was configured by then is closed."""
        created = int(time.time())
        ready = False
        try:
            for project, config in zip(self._projects, self.config.projects, strict=True):
                for api in self._apis[project.name]:
                    await self._configure(api)
                models = [await self._serve(project.name, entry) for entry in config.models]
                plugins = [await self._load(project.name, entry) for entry in config.plugins]
                limits = self.config.pipeline
                pipeline = Pipeline(plugins, max_retries=limits.max_retries, max_held_bytes=limits.max_held_bytes)
                project.install(models, [card_of(entry, created) for entry in config.models], pipeline)
            ready = True
            self._instances.is_complete()
            self._health_before = {}
        finally:
            if not ready:
                await self.stop()

    async def run_beside(self) -> None:
        """What plugins do beside the requests, each until it is closed. Once, after `start`; those that an earlier
        generation has had as well do it already."""
        async with trio.open_nursery() as nursery:
            for instance in self._plugins:
                plugin = instance.extension
                if isinstance(plugin, Plugin) and type(plugin).run_beside is not Plugin.run_beside:
                    nursery.start_soon(instance.run_beside, plugin.run_beside)

    async def stop(self) -> None:
        """Close every extension that no other generation needs, all at once, under one deadline that holds also while
        the app is being cancelled."""
        instances = self._instances.let_go()
        with trio.CancelScope(deadline=trio.current_time() + CLOSE_TIMEOUT, shield=True):
            async with trio.open_nursery() as nursery:
                for instance in instances:
                    nursery.start_soon(instance.close)

    # -- making -------------------------------------------------------------------------------------------------------

    def _project(self, config: ProjectConfig, registry: Registry[ClientAPI]) -> Project:
        named = {entry.name: entry for entry in config.adapters}
        apis: list[ClientAPI] = []
        instances = self._apis[config.name] = []
        for name in api_names(registry):
            entry = named.get(name)
            if entry is not None and not entry.enabled:
                continue
            settings = entry.config if entry is not None else {}
            instance = self._instances.hold(registry.get(name), settings, f"client API '{name}'")
            assert isinstance(instance.extension, ClientAPI)
            instances.append(instance)
            apis.append(instance.extension)
        return Project(config.name, apis, description=config.description)

    @staticmethod
    async def _configure(instance: Instance) -> None:
        try:
            await instance.configure()
        except Exception as error:
            # The exception's text is the extension's own and may hold what is in the configuration.
            cls = type(instance.extension)
            kind = cls.metadata.name if hasattr(cls, "metadata") else cls.__name__
            raise StartError(f"{instance.what}: {kind}.configure raised {type(error).__name__}") from error

    async def _serve(self, project: str, entry: ModelEntry) -> ServedModel:
        instance = self._instances.hold(entry.provider_class, entry.config, f"model '{entry.name}'")
        await self._configure(instance)
        assert isinstance(instance.extension, Provider)
        return ServedModel(
            name=entry.name,
            is_default=entry.is_default,
            provider_type=entry.type,
            provider=instance.extension,
            metrics=ModelMetrics(entry.name, entry.type, project),
            health=self._health_of(project, entry),
            on_disconnect=entry.on_disconnect,
            drain_timeout=entry.drain_timeout / 1000,
            passthrough=tuple(map(Rule.of, entry.passthrough.paths)) if entry.passthrough is not None else (),
        )

    def _health_of(self, project: str, entry: ModelEntry) -> ModelHealth:
        config = msgspec.json.encode(entry.config, order="deterministic")
        key = (project, entry.name, entry.provider_class, config)
        health = self._health[key] = self._health_before.get(key) or ModelHealth()
        return health

    async def _load(self, project: str, entry: PluginEntry) -> LoadedPlugin:
        instance = self._instances.hold(entry.plugin_class, entry.config, f"plugin '{entry.name}'", project, entry.name)
        await self._configure(instance)
        self._plugins.append(instance)
        assert isinstance(instance.extension, Plugin)
        return LoadedPlugin(
            entry.name,
            instance.extension,
            project=project,
            priority=entry.priority,
            conditions=entry.conditions,
            on_error=entry.on_error,
            timeouts=entry.timeouts,
        )
