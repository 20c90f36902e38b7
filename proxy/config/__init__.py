"""`gateway.yaml`: its keys, its check, and the typed result."""

from proxy.config.errors import ConfigError, Problem
from proxy.config.loading import load_config
from proxy.config.reference import reference_markdown
from proxy.config.schema import SCHEMA
from proxy.config.settings import (
    AdapterEntry,
    GatewayConfig,
    LoggingConfig,
    MetricsConfig,
    ModelEntry,
    PipelineConfig,
    PluginEntry,
    ProjectConfig,
    ServerConfig,
    TLSConfig,
)

__all__ = [
    "SCHEMA",
    "AdapterEntry",
    "ConfigError",
    "GatewayConfig",
    "LoggingConfig",
    "MetricsConfig",
    "ModelEntry",
    "PipelineConfig",
    "PluginEntry",
    "Problem",
    "ProjectConfig",
    "ServerConfig",
    "TLSConfig",
    "load_config",
    "reference_markdown",
]
