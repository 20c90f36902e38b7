"""Several workers: Hypercorn's process management around our worker.

`hypercorn.run.run` spawns and watches. Three things in it are ours: the sockets, of which each worker has its own; the
function that a spawned process runs; and the event by which it is told to stop. SIGHUP is passed on to the workers.

As with Hypercorn, a worker that dies makes the others stop (gracefully) and the
whole exit with 1: restarting is the service manager's job, which then sees the crash.

Hypercorn's `run` sends SIGTERM to the workers that are left as soon as the first one is done; with its own worker that
cuts their requests off. Ours take SIGTERM as what started already, and `run_workers` waits for them.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.synchronize import Event
from typing import Any

import hypercorn.run
import hypercorn.trio.run
import trio
from hypercorn.config import Sockets

from proxy.server.config import ServerConfig
from proxy.server.errors import StartupError
from proxy.server.factory import AppFactory
from proxy.server.shutdown import Shutdown
from proxy.server.worker import run_worker

POLL = 0.1
"""Seconds between a worker's looks at the event, as Hypercorn's own."""
MARGIN = 10.0
"""Seconds beyond all of a worker's own deadlines before it is killed."""

_log = logging.getLogger("triway.server")


class SpawnedConfig(ServerConfig):
    """What a worker process gets: the settings, and how to make the app."""

    factory: AppFactory

    def create_sockets(self) -> Sockets:
        """None for Hypercorn's `run` to hand out: each worker is given its own (see `_Context`)."""
        return Sockets([], [], [])

    def sockets_of_workers(self) -> list[Sockets]:
        """Bind every address once for each worker, where the kernel then shares new connections out among them.

        Sockets that several processes share are another matter: whoever waited last is woken first, and with a worker
        that keeps up most connections end at that one. (Only Linux shares them out; elsewhere all get the same ones.)
        Raises `StartupError`.
        """
        if not sys.platform.startswith("linux"):
            return [super().create_sockets()] * self.workers
        # SO_REUSEPORT lets anybody of this user bind the same port. So an address is bound without it first: that fails
        # if somebody listens there, be it with the option.
        free = super().create_sockets()
        if free.secure_sockets:
            self.bind, self.insecure_bind = map(_addresses, (free.secure_sockets, free.insecure_sockets))
        else:
            self.bind = _addresses(free.insecure_sockets)
        _close(free)
        self.shares_ports = True
        bound: list[Sockets] = []
        try:
            for _ in range(self.workers):
                bound.append(super().create_sockets())
        except StartupError:
            for sockets in bound:
                _close(sockets)
            raise
        return bound


def _addresses(sockets: list[socket.socket]) -> list[str]:
    """Where sockets are bound, as `bind` has it: a port 0 has become the port that it stood for."""
    addresses = [sock.getsockname()[:2] for sock in sockets]
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses]


def _close(sockets: Sockets) -> None:
    for sock in (*sockets.secure_sockets, *sockets.insecure_sockets):
        sock.close()


class StopEvent:
    """Hypercorn's shutdown event, that also knows of a second signal, which cuts the stop short."""

    def __init__(self, context: SpawnContext, workers: list[SpawnProcess]) -> None:
        self._stop: Event = context.Event()
        self._now: Event = context.Event()
        self._workers = workers

    def __getstate__(self) -> tuple[Event, Event]:
        return self._stop, self._now

    def __setstate__(self, state: tuple[Event, Event]) -> None:
        self._stop, self._now = state
        self._workers = []

    def set(self) -> None:
        """A signal, or a worker that died: only a signal is in a hurry."""
        if self._stop.is_set() and not any(worker.exitcode for worker in self._workers):
            self._now.set()
        self._stop.set()

    def clear(self) -> None:
        self._stop.clear()

    def is_set(self) -> bool:
        return self._stop.is_set()

    def is_now(self) -> bool:
        return self._now.is_set()


class _Worker(SpawnProcess):
    """A process that a SIGHUP does not kill before its app listens for it."""

    def start(self) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what is ignored is inherited
        try:
            super().start()
        finally:
            signal.signal(signal.SIGHUP, before)


class _Context:
    """What `hypercorn.run.run` asks of a multiprocessing context. Keeps the processes that it made.

    `sockets`: those of each worker. They are closed here once every worker has its own.
    """

    def __init__(self, sockets: list[Sockets]) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._sockets = sockets
        self.workers: list[SpawnProcess] = []

    def Event(self) -> StopEvent:  # noqa: N802 - multiprocessing's name
        return StopEvent(self._context, self.workers)

    def Process(self, **arguments: Any) -> SpawnProcess:  # noqa: N802
        arguments["kwargs"]["sockets"] = self._sockets[len(self.workers)]
        worker = _Worker(**arguments)
        self.workers.append(worker)
        return worker

    def wait(self, sentinels: Iterable[int]) -> list[Any]:
        """Takes the place of the wait for the workers' end: by then Hypercorn has set its own handler of SIGHUP, which
        would start all workers anew."""
        signal.signal(signal.SIGHUP, lambda *_: self._hang_up())
        # A copy that is kept here would go on listening for a worker that has stopped.
        for sockets in self._sockets:
            _close(sockets)
        return multiprocessing.connection.wait(sentinels)

    def _hang_up(self) -> None:
        """Pass a SIGHUP on: every worker's app may take it as a wish to be reloaded."""
        for worker in self.workers:
            if worker.pid is not None and worker.is_alive():
                os.kill(worker.pid, signal.SIGHUP)


def run_workers(config: SpawnedConfig) -> int:
    """Run `config.settings.workers` processes until SIGTERM or SIGINT. Returns the exit code: 0 after a graceful stop.

    Raises `StartupError` when an address cannot be bound.
    """
    config.check_certificate()
    context = _Context(config.sockets_of_workers())
    hypercorn.trio.run.trio_worker = work  # type: ignore[assignment]
    hypercorn.run.get_context = lambda _: context  # type: ignore[assignment, attr-defined]
    hypercorn.run.wait = context.wait  # type: ignore[assignment, attr-defined]
    before = signal.getsignal(signal.SIGHUP)
    try:
        code = hypercorn.run.run(config)
        _join(context.workers, config)
    finally:
        signal.signal(signal.SIGHUP, before)
    return 1 if code or any(worker.exitcode for worker in context.workers) else 0


def _join(workers: list[SpawnProcess], config: SpawnedConfig) -> None:
    """Wait for the workers that Hypercorn left running. Its signal handlers are still there, for a second signal."""
    settings = config.settings
    patience = settings.drain_delay + settings.graceful_timeout + settings.end_timeout + settings.shutdown_timeout
    deadline = time.monotonic() + patience + MARGIN
    while alive := [worker for worker in workers if worker.is_alive()]:
        left = deadline - time.monotonic()
        if left <= 0:
            _log.error("killing %d workers that did not stop in time", len(alive))
            for worker in alive:
                worker.kill()
        multiprocessing.connection.wait([worker.sentinel for worker in alive], timeout=max(POLL, left))


def work(config: SpawnedConfig, sockets: Sockets, shutdown_event: StopEvent) -> None:
    """A worker process's main function: takes the place of Hypercorn's `trio_worker`."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # until it is listened for; the event says it too
    for sock in (*sockets.secure_sockets, *sockets.insecure_sockets):
        sock.listen(config.backlog)
    app = config.factory.make()

    async def stop_source(shutdown: Shutdown) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_event, shutdown, shutdown_event)
            nursery.start_soon(_stop_on_sigterm, shutdown)

    try:
        graceful = trio.run(run_worker, app, config, sockets, stop_source)
    except StartupError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0 if graceful else 1)


async def _stop_on_event(shutdown: Shutdown, event: StopEvent) -> None:
    parent = os.getppid()
    while not event.is_set() and os.getppid() == parent:  # noqa: ASYNC110 - set by another process
        await trio.sleep(POLL)
    shutdown.begin()
    while not event.is_now():  # noqa: ASYNC110
        await trio.sleep(POLL)
    shutdown.force()


async def _stop_on_sigterm(shutdown: Shutdown) -> None:
    # Comes from Hypercorn's `run` to workers that are stopping already, from service managers that signal a whole
    # group, and from who wants one worker replaced: it never means "now". SIGINT is the parent's; workers ignore it.
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            shutdown.begin()
