"""`Life`: a worker's application from start to stop, with everything that runs beside requests, and its reloads.

A reload reads the file again and makes a whole new generation beside the one that serves. Only when all of it is
configured are they swapped, between two requests. Requests that are under way finish on the old generation. When the
last of them is over it is closed, but for what the new one has taken over. If anything is wrong, nothing has changed.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import msgspec
import trio
from quart_trio import QuartTrio

from proxy.apis import api_registry
from proxy.config import ConfigError, GatewayConfig, ServerConfig, load_config
from proxy.gateway import Gateway
from proxy.generation import CLOSE_TIMEOUT, Generation, StartError
from proxy.observe.logs import describe_exception, get_logger, set_level
from proxy.reloading import REPORT, ReloadReport

CONFIGURE_TIMEOUT = 60.0
"""Seconds that all extensions of a new generation together have for `configure`."""

CHANGEABLE = frozenset(
    {"max_body_bytes", "body_timeout", "max_concurrent_requests", "request_timeout", "request_id_header"}
)
"""Keys of `server` that a reload takes over; the others are fixed when the process starts."""


class Life:
    """One application's."""

    app: QuartTrio

    def __init__(self, gateway: Gateway, reload_from: Path | None) -> None:
        self._gateway = gateway
        self._path = reload_from
        self._first = gateway.generation.config
        """What the process was started with."""
        self._retiring: set[Generation] = set()
        self._background = trio.CancelScope()
        self._nursery: trio.Nursery | None = None

    async def start(self) -> None:
        """Configure everything, and start what runs beside requests. Raises `StartError`."""
        await self._gateway.generation.start()
        self._nursery = await self.app.nursery.start(self._run_beside)
        self._nursery.start_soon(self._gateway.generation.run_beside)

    async def stop(self) -> None:
        """Finish the detached work within its deadline, then close everything."""
        await self._gateway.detached.drain()
        self._background.cancel()
        for generation in (self._gateway.generation, *self._retiring):
            await generation.stop()

    async def _run_beside(self, task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED) -> None:
        with self._background:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._gateway.detached.run)
                if self._path is not None:
                    await nursery.start(self._reload_on_hangup)
                task_status.started(nursery)

    # -- reload -------------------------------------------------------------------------------------------------------

    async def _reload_on_hangup(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        assert self._path is not None
        with trio.open_signal_receiver(signal.SIGHUP) as signals:
            task_status.started()
            async for _ in signals:
                await self.reload(self._path)

    async def reload(self, path: Path) -> bool:
        """Serve what the file says from now on. False: it cannot be; the log says why, and nothing has changed."""
        logger = get_logger()
        try:
            fixed = await self._swap(path)
        except (ConfigError, StartError) as error:
            logger.error("reload failed; the configuration stays as it was", error=str(error))
            self._report(ok=False, error=str(error), in_file=isinstance(error, ConfigError))
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, what serves goes on serving
            logger.error("reload failed; the configuration stays as it was", **describe_exception(error))
            self._report(ok=False, error=type(error).__name__)
            return False
        if fixed:
            logger.warning("reloaded; some keys hold from the next start only", keys=fixed)
        else:
            logger.info("reloaded")
        self._report(ok=True, fixed=fixed)
        return True

    async def _swap(self, path: Path) -> list[str]:
        """Returns the keys that changed in the file but cannot change now."""
        apis = api_registry()
        config = await trio.to_thread.run_sync(partial(load_config, path, apis=apis))
        new = Generation(config, apis, before=self._gateway.generation)
        with trio.move_on_after(CONFIGURE_TIMEOUT) as scope:
            await new.start()
        if scope.cancelled_caught:
            raise StartError(f"not everything was configured within {CONFIGURE_TIMEOUT:.0f} s")
        old = self._gateway.install(new)
        self._retiring.add(old)
        assert self._nursery is not None
        self._nursery.start_soon(new.run_beside)
        self._nursery.start_soon(self._retire, old)
        if config.logging.level != old.config.logging.level:
            set_level(config.logging.level)
        return fixed_keys(self._first, config)

    async def _retire(self, old: Generation) -> None:
        # No request outlives its own deadline, so this ends in any case.
        await old.stop_when_idle(old.config.server.request_timeout / 1000 + CLOSE_TIMEOUT)
        self._retiring.discard(old)

    @staticmethod
    def _report(*, ok: bool, error: str = "", in_file: bool = False, fixed: list[str] | None = None) -> None:
        """Tell `triway reload`, if it listens."""
        name = os.environ.get(REPORT)
        if name is None:
            return
        told = ReloadReport(pid=os.getpid(), ok=ok, error=error, in_file=in_file, fixed=fixed or [])
        try:
            with open(name, "ab", buffering=0) as file:
                file.write(msgspec.json.encode(told) + b"\n")  # one write: workers share the file
        except OSError as fault:
            get_logger().warning("the report of a reload could not be written", error=fault.strerror)


def fixed_keys(old: GatewayConfig, new: GatewayConfig) -> list[str]:
    """What differs between two configurations and cannot change while the process runs."""
    keys = [
        f"server.{field.encode_name}"
        for field in msgspec.structs.fields(ServerConfig)
        if field.name not in CHANGEABLE and getattr(old.server, field.name) != getattr(new.server, field.name)
    ]
    for name in ("detached_queue", "detached_concurrency", "detached_drain"):
        if getattr(old.pipeline, name) != getattr(new.pipeline, name):
            first, second = name.split("_")
            keys.append(f"pipeline.{first}{second.title()}")
    if old.metrics != new.metrics:
        keys.append("metrics.enabled")
    for name in ("output", "format"):
        if getattr(old.logging, name) != getattr(new.logging, name):
            keys.append(f"logging.{name}")
    return keys
