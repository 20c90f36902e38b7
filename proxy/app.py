"""From a checked configuration to the running application of one worker process."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from providers.extension import Extension
from proxy.admin import make_admin_app
from proxy.apis import ClientAPI, api_registry, make_apis
from proxy.apis.allowed_paths import Rule
from proxy.apis.cards import card_of
from proxy.config import GatewayConfig, ModelEntry, load_config
from proxy.exchange.model import ServedModel
from proxy.gateway import Gateway, Limits
from proxy.observe.logs import configure_logging, get_logger
from proxy.observe.metrics import ModelMetrics
from proxy.routing import ModelTable

GC_THRESHOLD = 20_000
"""Container objects made, and not freed, before the youngest generation is collected (CPython's default: 700)."""

CLOSE_TIMEOUT = 5.0
"""Seconds that all providers together have for `aclose`."""


class StartError(Exception):
    """The application cannot start; the message says why, without secrets."""


def make_worker_app(path: str) -> Gateway:
    """The application for one worker process, from the configuration file. Raises `ConfigError`."""
    apis = api_registry()
    config = load_config(Path(path), apis=apis)
    configure_logging(
        config.logging.level,
        config.logging.format,
        sys.stdout if config.logging.output == "stdout" else sys.stderr,
    )
    app = make_app(config, make_apis(apis))
    tune_gc()
    return app


def tune_gc() -> None:
    """Make the cyclic garbage collector fit a server: what is loaded by now stays, and what requests make is a tree.

    Requests leave next to no cycles, so collections find nothing, and each full one walks every module that is loaded.
    Frozen objects are not walked; a higher threshold makes collections rare without letting real cycles pile up. The
    figures are in docs/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def make_app(config: GatewayConfig, apis: Sequence[ClientAPI]) -> Gateway:
    """The application. Providers are made and configured at its lifespan's start, closed at its end."""
    server = config.server
    gateway = Gateway(
        apis=apis,
        limits=Limits(
            max_body_bytes=server.max_body_bytes,
            body_timeout=server.body_timeout / 1000,
            max_concurrent_requests=server.max_concurrent_requests,
            request_timeout=server.request_timeout / 1000,
        ),
        request_id_header=server.request_id_header,
        write_timeout=server.write_timeout / 1000,
    )
    models = _Models(config, gateway)
    gateway.fallback = make_admin_app(
        gateway, startup=models.start, shutdown=models.stop, serve_metrics=config.metrics.enabled
    )
    return gateway


class _Models:
    """The model entries' providers, from configured to closed."""

    def __init__(self, config: GatewayConfig, gateway: Gateway) -> None:
        self._config = config
        self._gateway = gateway
        self._served: list[ServedModel] = []

    async def start(self) -> None:
        """Make and configure every provider. Raises `StartError`; what was configured by then is closed."""
        created = int(time.time())
        ready = False
        try:
            for api in self._gateway.apis:
                await api.configure({})
            for entry in self._config.models:
                self._served.append(await _serve(entry))
            ready = True
        finally:
            if not ready:
                await self.stop()
        self._gateway.install(
            ModelTable(self._served),
            [card_of(entry, created) for entry in self._config.models],
        )

    async def stop(self) -> None:
        """Close every provider, all at once, under one deadline that holds also while the app is being cancelled."""
        with trio.CancelScope(deadline=trio.current_time() + CLOSE_TIMEOUT, shield=True):
            async with trio.open_nursery() as nursery:
                for served in self._served:
                    nursery.start_soon(_close, served.name, served.provider)
                for api in self._gateway.apis:
                    nursery.start_soon(_close, api.api, api)
        self._served = []


async def _serve(entry: ModelEntry) -> ServedModel:
    provider = entry.provider_class()
    try:
        await provider.configure(entry.config)
    except Exception as error:
        # The exception's text is the extension's own and may hold what is in the configuration.
        raise StartError(f"model '{entry.name}': {entry.type}.configure raised {type(error).__name__}") from error
    return ServedModel(
        name=entry.name,
        is_default=entry.is_default,
        provider_type=entry.type,
        provider=provider,
        metrics=ModelMetrics(entry.name, entry.type),
        on_disconnect=entry.on_disconnect,
        drain_timeout=entry.drain_timeout / 1000,
        passthrough=tuple(map(Rule.of, entry.passthrough.paths)) if entry.passthrough is not None else (),
    )


async def _close(name: str, extension: Extension) -> None:
    try:
        await extension.aclose()
    except Exception as error:  # noqa: BLE001 - one extension's fault must not keep the others open
        get_logger().error("an extension did not close", extension=name, exception=type(error).__name__)
