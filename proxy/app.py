"""From a checked configuration to the running application of one worker process."""

from __future__ import annotations

import atexit
import gc
import sys
from pathlib import Path
from typing import TextIO, cast

from providers.registry import Registry
from proxy.admin import make_admin_app
from proxy.apis import ClientAPI, api_registry
from proxy.config import GatewayConfig, LoggingConfig, load_config
from proxy.gateway import Gateway
from proxy.generation import CLOSE_TIMEOUT, Generation
from proxy.life import Life
from proxy.observe import metrics
from proxy.observe.log_writer import LogWriter
from proxy.observe.logs import configure_logging, get_logger
from proxy.plugins.detached import DetachedWork

GC_THRESHOLD = 20_000
"""Container objects made, and not freed, before the youngest generation is collected (CPython's default: 700)."""

LOG_TIMEOUT = 2.0
"""Seconds that the process's end waits for the last lines of the log to be taken."""

STOP_MARGIN = 5.0
"""Seconds beyond all deadlines of a stop that Quart waits for it."""


def make_worker_app(path: str) -> Gateway:
    """The application for one worker process, from the configuration file, which SIGHUP has it read again.

    Raises `ConfigError`.
    """
    apis = api_registry()
    config = load_config(Path(path), apis=apis)
    set_up_logging(config.logging)
    app = make_app(config, apis, reload_from=Path(path))
    tune_gc()
    return app


def set_up_logging(logging: LoggingConfig) -> None:
    """Set up the log of a process that serves: no request waits for it, and the process's end writes out its last."""

    def report_loss(lines: int) -> None:
        get_logger().warning("lines of the log were dropped", lines=lines)

    out = sys.stdout if logging.output == "stdout" else sys.stderr
    writer = LogWriter(out, count_loss=metrics.LOST_LOG_LINES.inc, report_loss=report_loss)
    atexit.register(writer.end, LOG_TIMEOUT)
    configure_logging(logging.level, logging.format, cast(TextIO, writer))


def tune_gc() -> None:
    """Make the cyclic garbage collector fit a server: what is loaded by now stays, and what requests make is a tree.

    Requests leave next to no cycles, so collections find nothing, and each full one walks every module that is loaded.
    Frozen objects are not walked; a higher threshold makes collections rare without letting real cycles pile up. The
    figures are in docs/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


def make_app(config: GatewayConfig, apis: Registry[ClientAPI], *, reload_from: Path | None = None) -> Gateway:
    """The application. Extensions are made and configured at its lifespan's start, closed at its end.

    `apis`: the client APIs that the configuration was checked with. `reload_from`: the file that SIGHUP has it read.
    """
    pipeline = config.pipeline
    drain = pipeline.detached_drain / 1000
    detached = DetachedWork(queue=pipeline.detached_queue, concurrency=pipeline.detached_concurrency, drain=drain)
    gateway = Gateway(Generation(config, apis), detached)
    life = Life(gateway, reload_from)
    app = make_admin_app(gateway, startup=life.start, shutdown=life.stop, serve_metrics=config.metrics.enabled)
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = drain + CLOSE_TIMEOUT + STOP_MARGIN
    life.app = app
    gateway.fallback = app
    return gateway
