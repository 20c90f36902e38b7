"""One worker: Hypercorn's `worker_serve` with our connections and our shutdown, in a running trio loop."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import hypercorn.protocol.h2
import hypercorn.trio.run
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Sockets
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from proxy.server.app import GatewayApp
from proxy.server.config import ServerConfig
from proxy.server.connection import serve_connection
from proxy.server.errors import StartupError
from proxy.server.hypercorn_path import BoundedBuffer
from proxy.server.shutdown import Shutdown

StopSource = Callable[[Shutdown], Awaitable[None]]
"""A task that calls `Shutdown.request` when something asks for a stop, for as long as the worker runs."""


async def run_worker(
    app: GatewayApp,
    config: ServerConfig,
    sockets: Sockets,
    stop_source: StopSource,
    *,
    started: Callable[[], None] = lambda: None,
) -> bool:
    """Serve until a stop is asked for and done. Returns whether it was graceful, not cut short by a second request.

    `sockets` listen already, and are closed in every case. `started` is called once connections are accepted.

    A stop that is asked for while the app still starts up cancels the startup.

    Raises `StartupError` when the app's lifespan startup fails or takes too long. When cancelled, closes everything at
    once and skips the lifespan shutdown.
    """
    # The seams: everything else of Hypercorn's worker is used as it is.
    hypercorn.trio.run.TCPServer = serve_connection  # type: ignore[assignment, attr-defined]
    hypercorn.protocol.h2.StreamBuffer = BoundedBuffer  # type: ignore[misc]
    shutdown = Shutdown(app, config.settings, config.connections)
    failure: BaseException | None = None
    status = _Started(started)

    async def abandon_startup() -> None:
        await shutdown.requested()
        if not status.is_started:
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(abandon_startup)
            nursery.start_soon(stop_source, shutdown)
            nursery.start_soon(shutdown.finish)
            await hypercorn.trio.run.worker_serve(
                ASGIWrapper(app),
                config,
                sockets=sockets,
                shutdown_trigger=shutdown.stop_accepting,
                task_status=status,
            )
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = _lifespan_failure(group)
        if failure is None:
            raise
    finally:
        for sock in (*sockets.secure_sockets, *sockets.insecure_sockets):
            sock.close()
    if failure is not None:
        raise StartupError(str(failure)) from failure
    return not shutdown.forced


class _Started(trio.TaskStatus[list[str]]):
    def __init__(self, on_started: Callable[[], None]) -> None:
        self._on_started = on_started
        self.is_started = False

    def started(self, value: list[str] | None = None) -> None:
        self.is_started = True
        self._on_started()


def _lifespan_failure(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_lifespan_failure, error.exceptions)), None)
    return error if isinstance(error, LifespanFailureError | LifespanTimeoutError) else None


async def stop_on_signals(shutdown: Shutdown) -> None:
    """The stop source of a process of its own: SIGTERM and SIGINT, the second one cutting it short."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            shutdown.request()
