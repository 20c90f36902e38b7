"""A model entry of the configuration, ready to serve."""

from __future__ import annotations

from typing import Literal

import msgspec

from providers.provider import Provider
from proxy.apis.allowed_paths import Rule
from proxy.observe.metrics import ModelMetrics
from proxy.routing.health import ModelHealth


class ServedModel(msgspec.Struct, kw_only=True):
    name: str
    """The entry's name in `gateway.yaml`; may hold a `*`."""
    is_default: bool = False
    provider_type: str
    provider: Provider
    metrics: ModelMetrics
    health: ModelHealth
    on_disconnect: Literal["cancel", "drain"] = "cancel"
    drain_timeout: float = 30.0
    """How long a drained stream may go on after its client left, in seconds."""
    passthrough: tuple[Rule, ...] = ()
    """What of its provider's own API clients may use; none: nothing."""
