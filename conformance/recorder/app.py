"""`Recorder`: the recording proxy as an ASGI application, and the saving of what its exchanges brought."""

from __future__ import annotations

from pathlib import Path

import trio

from conformance.capture.build import Unrecognised, build
from conformance.capture.captured import Captured
from conformance.capture.scrubber import Scrubber
from conformance.recorder.exchange import Exchange, Held, Scope, Send, Upstream
from conformance.recorder.settings import RecorderSettings
from conformance.recorder.tally import Report, Tally
from providers.replay.recording import Recording, RecordingError, save_new_recording
from proxy.exchange.body import Receive


class Recorder:
    """A `GatewayApp` that passes every request on to one provider and records the conversations."""

    def __init__(self, settings: RecorderSettings, report: Report) -> None:
        """Raises ValueError for an upstream URL that cannot be used, OSError for certificates that cannot be read."""
        self._settings = settings
        self.upstream = Upstream(settings)
        self.tally = Tally(report)
        self._scrubber = Scrubber()
        self._held = Held(settings.max_held_bytes)
        self._running: set[Exchange] = set()
        self._unsaved = trio.CapacityLimiter(2 * settings.max_connections)
        """Exchanges from their request to their file; more than these wait for their turn before they begin."""
        self._one_at_a_time = trio.CapacityLimiter(1)
        """Scrubbing is work for the processor, and the scrubber's memory is no thread's but its own."""
        self._saving: trio.Nursery | None = None

    def save_in(self, nursery: trio.Nursery) -> None:
        """Where recordings are saved. It must outlive the server: a client is not kept waiting for the disk."""
        self._saving = nursery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._exchange(Exchange(self._settings, self.upstream, self._held, scope, receive, send))
        else:
            await send({"type": "websocket.close", "code": 1011, "reason": "the recorder speaks HTTP only"})

    @property
    def under_way(self) -> int:
        """Exchanges that are not over."""
        return len(self._running)

    def start_draining(self) -> None:
        """See `GatewayApp`."""

    def end_streams(self) -> None:
        """See `GatewayApp`: what came of the running exchanges is kept, as incomplete."""
        for exchange in list(self._running):
            exchange.stop()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self.upstream.pool.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _exchange(self, exchange: Exchange) -> None:
        assert self._saving is not None, "save_in comes first"
        await self._unsaved.acquire_on_behalf_of(exchange)
        self._running.add(exchange)
        try:
            await exchange.run()
        finally:
            self._running.discard(exchange)
            self._saving.start_soon(self._keep, exchange)

    async def _keep(self, exchange: Exchange) -> None:
        """Save what came, also while being cancelled, and let go of it."""
        try:
            with trio.move_on_after(self._settings.save_timeout, shield=True) as patience:
                await self._try_to_save(exchange)
            if patience.cancelled_caught:
                seconds = self._settings.save_timeout
                self._lost(exchange, f"saving it took longer than {seconds:g} s")
        finally:
            exchange.release()
            self._unsaved.release_on_behalf_of(exchange)

    async def _try_to_save(self, exchange: Exchange) -> None:
        if exchange.captured is None:
            self._lost(exchange, exchange.problem)
            return
        try:
            recording, path = await trio.to_thread.run_sync(
                self._save, exchange.captured, abandon_on_cancel=True, limiter=self._one_at_a_time
            )
        except Unrecognised as error:
            self.tally.passed_on(str(error))
        except (RecordingError, OSError) as error:
            self._lost(exchange, str(error))
        else:
            self.tally.saved(recording, path, self._settings.out)

    def _lost(self, exchange: Exchange, why: str) -> None:
        self.tally.not_recorded(f"{self._scrubber.text(exchange.what)}: {why}")

    def _save(self, captured: Captured) -> tuple[Recording, Path]:
        recording = build(captured, self._scrubber, self._settings.choice)
        return recording, save_new_recording(recording, self._settings.out)
