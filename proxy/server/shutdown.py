"""A worker's way from serving to exit, once it has been asked to stop.

1. `/ready` turns 503 (`start_draining`), and for `drain_delay` everything goes on: the load balancer's time to notice.
2. Nothing is accepted any more, idle connections close; running requests have `graceful_timeout`.
3. `end_streams`: what still runs gets its in-band error, and `end_timeout` to write it.
4. What is left is cancelled and its sockets are closed: a client that does not read holds nothing up.

A second request to stop goes to step 4 at once.
"""

from __future__ import annotations

import logging

import trio

from proxy.server.app import GatewayApp
from proxy.server.connections import Connections
from proxy.server.settings import ServerSettings

_log = logging.getLogger("triway.server")


class Shutdown:
    """The course of one shutdown: asked for by `request`, run by `stop_accepting` and `finish`."""

    def __init__(self, app: GatewayApp, settings: ServerSettings, connections: Connections) -> None:
        self._app = app
        self._settings = settings
        self._connections = connections
        self._requested = trio.Event()
        self._forced = trio.Event()
        self._accepting_over = trio.Event()

    @property
    def forced(self) -> bool:
        """Whether it was cut short."""
        return self._forced.is_set()

    def request(self) -> None:
        """Ask to stop; the second time, to stop now."""
        if self._requested.is_set():
            self.force()
        else:
            self.begin()

    def begin(self) -> None:
        """Ask to stop. Only the first call counts."""
        self._requested.set()

    def force(self) -> None:
        """Ask to stop now. Only the first call counts."""
        self._requested.set()
        if not self._forced.is_set():
            self._forced.set()
            _log.warning("stopping at once: %d connections are cut off", len(self._connections))

    async def requested(self) -> None:
        """Wait until a stop is asked for."""
        await self._requested.wait()

    async def stop_accepting(self) -> None:
        """Hypercorn's shutdown trigger: returns when it shall close the listeners."""
        await self._requested.wait()
        _log.info("stopping: %d connections are open", len(self._connections))
        self._app.start_draining()
        with trio.move_on_after(self._settings.drain_delay):
            await self._forced.wait()
        self._accepting_over.set()

    async def finish(self) -> None:
        """From the closed listeners to the last connection's end. Runs beside Hypercorn; bounded from there on."""
        await self._accepting_over.wait()
        connections = self._connections
        connections.close_idle()
        if not await self._done_within(self._settings.graceful_timeout):
            self._app.end_streams()
            await self._done_within(self._settings.end_timeout)
        connections.abort()

    async def _done_within(self, seconds: float) -> bool:
        """Wait until no connection is left; False when the time is over, or at once when forced."""
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cancel_when_forced, nursery.cancel_scope)
                await self._connections.wait_none()
                nursery.cancel_scope.cancel()
        return not len(self._connections)

    async def _cancel_when_forced(self, scope: trio.CancelScope) -> None:
        await self._forced.wait()
        scope.cancel()
