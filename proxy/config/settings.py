"""The checked configuration, as types. Imports the extensions' interfaces.

Keys are `gateway.yaml`'s in snake_case; times are milliseconds, as in the file. The defaults stand here and nowhere
else: `schema.py` takes them from these classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from providers.extension import Config
from providers.provider import Provider
from proxy.plugins.base import OnError, Phase, Plugin
from proxy.plugins.conditions import Conditions

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console", "auto"]
LogOutput = Literal["stdout", "stderr"]
OnDisconnect = Literal["cancel", "drain"]


ProviderClass = type[Provider]
PluginClass = type[Plugin]


class TLSConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Files in PEM form, as absolute paths."""

    cert_file: str
    key_file: str
    ca_file: str | None = None


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the gateway listens and what it puts up with. See `docs/configuration.md` for each key."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    tls: TLSConfig | None = None
    http2: bool = True
    write_timeout: int = 30_000
    graceful_timeout: int = 30_000
    drain_delay: int = 0
    keep_alive_timeout: int = 75_000
    header_timeout: int = 15_000
    body_timeout: int = 30_000
    max_header_bytes: int = 64 * 1024
    max_body_bytes: int = 10 * 1024 * 1024
    max_concurrent_requests: int = 10_000
    request_timeout: int = 3_600_000
    request_id_header: str = "x-request-id"


class LoggingConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    level: LogLevel = "info"
    format: LogFormat = "auto"
    output: LogOutput = "stderr"


class MetricsConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    enabled: bool = True


class PassthroughConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    paths: tuple[str, ...]
    """`[METHOD ]PATH`, as `proxy.apis.allowed_paths` reads them."""


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `models`, checked. Its `repr` shows no configuration: there are keys in it."""

    name: str
    """What clients ask for; may hold one `*`."""
    type: str
    provider_class: ProviderClass
    """To be constructed and configured with `config` when the app starts."""
    config: Config
    """The provider's configuration, defaults filled in. Holds secrets."""
    is_default: bool = False
    description: str = ""
    metadata: dict[str, Any] = {}
    on_disconnect: OnDisconnect = "cancel"
    drain_timeout: int = 30_000
    drop_unsupported: bool = False
    passthrough: PassthroughConfig | None = None

    def __repr__(self) -> str:
        return f"ModelEntry(name={self.name!r}, type={self.type!r})"


class PluginEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `plugins`, checked. Its `repr` shows no configuration."""

    name: str
    type: str
    plugin_class: PluginClass
    config: Config
    """The plugin's configuration, defaults filled in. May hold secrets."""
    priority: int = 100
    conditions: Conditions = Conditions()
    on_error: OnError | None = None
    """None: the plugin's own."""
    timeouts: dict[Phase, float] = {}
    """In seconds, over the defaults."""

    def __repr__(self) -> str:
        return f"PluginEntry(name={self.name!r}, type={self.type!r})"


class PipelineConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What holds for all plugins together."""

    max_retries: int = 3
    max_held_bytes: int = 1024 * 1024
    detached_queue: int = 1000
    detached_concurrency: int = 16
    detached_drain: int = 10_000


class AdapterEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of a client API."""

    name: str
    enabled: bool = True
    config: Config = {}

    def __repr__(self) -> str:
        return f"AdapterEntry(name={self.name!r}, enabled={self.enabled})"


class ProjectConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A project with everything that it inherits."""

    name: str
    description: str = ""
    models: tuple[ModelEntry, ...] = ()
    plugins: tuple[PluginEntry, ...] = ()
    """By rising priority."""
    adapters: tuple[AdapterEntry, ...] = ()
    """Only those that the file names."""


DEFAULT_PROJECT = "default"
"""The default project's name, where the file gives none."""


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All of `gateway.yaml`."""

    projects: tuple[ProjectConfig, ...]
    """The default project first."""
    pipeline: PipelineConfig = PipelineConfig()
    server: ServerConfig = ServerConfig()
    logging: LoggingConfig = LoggingConfig()
    metrics: MetricsConfig = MetricsConfig()
    path: Path | None = None
    """The file that it was read from."""

    @property
    def default_project(self) -> ProjectConfig:
        """The one that is served without a prefix."""
        return self.projects[0]

    @property
    def models(self) -> tuple[ModelEntry, ...]:
        """The default project's models."""
        return self.default_project.models
