"""The server's front door: `serve` for a process of its own, `serve_in_task` inside a trio loop that is running."""

from __future__ import annotations

import sys

import trio

from proxy.server.app import GatewayApp
from proxy.server.config import ServerConfig
from proxy.server.errors import StartupError
from proxy.server.factory import AppFactory, AppFunction
from proxy.server.settings import ServerSettings
from proxy.server.shutdown import Shutdown
from proxy.server.worker import run_worker, stop_on_signals


def serve(app_factory: str | AppFunction, settings: ServerSettings, *arguments: object) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code.

    `app_factory(*arguments)` makes the app, in each worker process; by name (`"module:function"`) or itself. With one
    worker it is called in this process, and what it raises is raised here.

    0 after a graceful stop. 1 when an address cannot be bound, when the app's startup fails (one line on stderr says
    why), when a second signal cut the stop short, or when a worker died. Must be called in the main thread.
    """
    factory = AppFactory(app_factory, arguments)
    try:
        if settings.workers > 1:
            from proxy.server.spawned import SpawnedConfig, run_workers  # multiprocessing: not for one worker

            config = SpawnedConfig(settings)
            config.factory = factory
            return run_workers(config)
        return 0 if trio.run(_serve, factory, ServerConfig(settings)) else 1
    except StartupError as error:
        print(f"cannot start: {error}", file=sys.stderr)
    return 1


async def _serve(factory: AppFactory, config: ServerConfig) -> bool:
    sockets = config.listen()
    return await run_worker(factory.make(), config, sockets, stop_on_signals)


async def serve_in_task(
    app: GatewayApp,
    settings: ServerSettings,
    *,
    shutdown: trio.Event,
    task_status: trio.TaskStatus[list[int]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` in this task until `shutdown` is set and the graceful stop is over.

    `task_status.started` gets the bound ports, in the order of `bind` and `insecure_bind`, once connections are
    accepted. Ignores `workers`. Raises `StartupError`. When cancelled, closes everything at once and skips the app's
    lifespan shutdown.
    """
    config = ServerConfig(settings)
    sockets = config.listen()
    ports = [sock.getsockname()[1] for sock in (*sockets.secure_sockets, *sockets.insecure_sockets)]

    async def stop_source(course: Shutdown) -> None:
        await shutdown.wait()
        course.begin()

    await run_worker(app, config, sockets, stop_source, started=lambda: task_status.started(ports))
