"""`Http1Connection`: an HTTP/1.1 connection from its first byte to its last, in two tasks.

* The *reader* lives as long as the connection. It alone reads the socket, so it sees the client leave at any time, and
  the bytes that it finds while a request runs are kept: they are that request's body, or the next request.
* The connection's own task runs the app, one request after the other; no task is started for a request.

They share memory, not channels. The reader hands over by setting `_cycle` (a request is there) or `_over` (nothing more
will be) and waking the other. What it holds is bounded: a head by `max_head_bytes`, an unread body by
`max_body_backlog`, read-ahead by `max_head_bytes`; at a limit it stops reading until there is room, and meanwhile asks
the kernel now and then whether the client left.

A client that closes its sending side is taken to be gone, as most HTTP/1.1 servers do: a FIN of `close()` and one of
`shutdown(SHUT_WR)` look the same, and for a gateway the first is the rule and costs money when missed.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import unquote

import trio

from proxy.server.app import DISCONNECT, ClientDisconnectedError, Scope
from proxy.server.connections import Connections
from proxy.server.cycle import RequestCycle
from proxy.server.errors import RefusedRequestError
from proxy.server.head import H2_PREFACE, RequestHead, check_beginning, parse_head
from proxy.server.response import error_response
from proxy.server.settings import ServerSettings
from proxy.server.wire import Wire

LINGER = 1.0
"""Seconds for a client to take the last answer and close, when there are bytes of it that nobody will read: a close
with unread bytes would be a reset, and could take the answer with it."""
MAX_LINGER_BYTES = 256 * 1024
LOOK_INTERVAL = 0.05
"""Seconds between looks at whether the client left, while the socket is not read."""

_log = logging.getLogger("triway.server")


class Http1Connection:
    """One connection. Make it, await `run()` once."""

    def __init__(
        self,
        app: Any,
        wire: Wire,
        settings: ServerSettings,
        connections: Connections,
        *,
        scheme: str,
        client: tuple[str, int] | None,
        server: tuple[str, int] | None,
        state: dict[str, Any],
    ) -> None:
        self.wire = wire
        self._app = app
        self._settings = settings
        self._connections = connections
        self._scheme = scheme
        self._client = client
        self._server = server
        self._state = state
        self._buffer = b""
        """Bytes behind the request that runs, or the beginning of a head."""
        self._searched = 0
        self._cycle: RequestCycle | None = None
        self._requests = 0
        self._over = False
        """No further request is taken."""
        self._refusal: RefusedRequestError | None = None
        self._handover = False
        self._gone = False
        self._lingering = 0
        """Bytes that may still be dropped at the end; 0 before it."""
        self._full = False
        self._space = trio.lowlevel.ParkingLot()
        self._main: trio.lowlevel.Task | None = None
        # One that was accepted in the shutdown's last moment is served if it is quick.
        self._deadline = trio.current_time() + (LINGER if connections.closing else settings.header_timeout)
        self._patience = trio.CancelScope(deadline=self._deadline)
        self._scope = trio.CancelScope()

    async def run(self) -> bytes | None:
        """Serve until the connection is over, and close it.

        Returns the bytes read so far, and leaves the wire open, if the client wants what only Hypercorn speaks here:
        HTTP/2 by its preface, or a WebSocket. Raises only what the app raises that is no `Exception`.
        """
        kept = False
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    await self._serve()
                    if not self._handover:
                        await self._end()
                    nursery.cancel_scope.cancel()
                if self._handover:
                    kept = True
                    return self._buffer
        finally:
            if not kept:
                self.wire.close()
        return None

    # -- control from outside -----------------------------------------------------------------------------------------

    def close_when_idle(self) -> None:
        """See `Connection`."""
        if self._cycle is None and not self._buffer:
            self._stop()

    def abort(self) -> None:
        """See `Connection`."""
        self.wire.close()
        self._scope.cancel()

    # -- what a cycle needs -------------------------------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        return self._connections.closing or self._over or self._requests >= self._settings.keep_alive_max_requests > 0

    def room(self) -> None:
        if self._full:
            self._full = False
            self._space.unpark_all()

    def lost(self, reason: str) -> None:
        """The client is gone. The socket is closed now: whoever writes to it hears of it too."""
        if self._gone:
            return
        self._gone = True
        self.wire.close(reset=reason == "write_timeout")
        if self._cycle is not None:
            self._cycle.lose(reason)
        self._stop()

    # -- the reader ---------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read until the client is gone. The deadline is kept lazily: it costs nothing while requests come in time."""
        while not self._gone:
            self._patience = trio.CancelScope(deadline=self._deadline)
            with self._patience:
                await self._read_on()
            if self._patience.cancelled_caught and trio.current_time() >= self._deadline:
                self._out_of_time()

    async def _read_on(self) -> None:
        while not self._handover and not self._gone:
            if self._full:
                await self._wait_for_space()
                continue
            try:
                data = await self.wire.receive()
            except OSError:
                data = b""
            if not data:
                self.lost("disconnect")
                return
            self._take(data)
        if self._gone:
            return
        self._deadline = float("inf")
        await trio.sleep_forever()  # until the connection's own task has taken over

    async def _wait_for_space(self) -> None:
        while self._full and not self._gone:
            with trio.move_on_after(LOOK_INTERVAL):
                await self._space.park()
            if self._full and self.wire.peer_left():
                self.lost("disconnect")

    def _set_deadline(self, deadline: float) -> None:
        self._deadline = deadline
        if self._patience.deadline > deadline:
            self._patience.deadline = deadline

    def _out_of_time(self) -> None:
        self._deadline = float("inf")
        if self._cycle is None and self._buffer:
            self._refuse(RefusedRequestError("the request's head did not arrive in time", 408))
        else:
            self._stop()

    def _take(self, data: bytes) -> None:
        """Sort what was read: the body of the request that runs, or what comes behind it."""
        if self._lingering:
            self._lingering -= len(data)
            if self._lingering <= 0:
                self.lost("disconnect")
            return
        if self._over:
            return
        cycle = self._cycle
        if cycle is not None and not cycle.request_complete:
            rest = self._take_body(cycle, data)
            if not rest:
                return
            data = rest
        self._buffer = self._buffer + data if self._buffer else data
        if cycle is None:
            self._take_head()
        elif len(self._buffer) >= self._settings.max_head_bytes:
            self._full = True

    def _take_body(self, cycle: RequestCycle, data: bytes) -> bytes | None:
        try:
            rest = cycle.take_body(data)
        except RefusedRequestError as refusal:
            # To the app it is a client that went away in mid-body; the client may still be told why.
            self._refusal = refusal
            self._over = True
            cycle.close = True
            cycle.lose("disconnect")
            return None
        if cycle.discarding:
            if cycle.request_complete:
                self._wake()
        elif cycle.backlog >= self._settings.max_body_backlog:
            self._full = True
        return rest

    def _take_head(self) -> None:
        """Start a request if its head is complete."""
        data = self._buffer
        limit = self._settings.max_head_bytes
        end = data.find(b"\r\n\r\n", self._searched) + 4
        try:
            if end < 4:
                if self._wants_http2(data):
                    return
                if len(data) > limit:
                    raise RefusedRequestError(f"the request's head is longer than {limit} bytes", 431)
                check_beginning(data, self._searched)
                if not self._searched and self._requests:
                    self._set_deadline(trio.current_time() + self._settings.header_timeout)
                self._searched = max(1, len(data) - 3)
                return
            if end > limit:
                raise RefusedRequestError(f"the request's head is longer than {limit} bytes", 431)
            if self._wants_http2(data):
                return
            head = parse_head(data[:end], max_headers=self._settings.max_header_count)
        except RefusedRequestError as refusal:
            self._refuse(refusal)
            return
        self._searched = 0
        if head.is_websocket:
            self._hand_over()
            return
        self._buffer = data[end:]
        self._start(head)

    def _wants_http2(self, data: bytes) -> bool:
        """Whether these are, or may become, the first bytes of an HTTP/2 connection."""
        if self._requests or not self._settings.http2 or not data.startswith(b"PRI"):
            return False
        if data.startswith(H2_PREFACE):
            self._hand_over()
            return True
        return H2_PREFACE.startswith(data)

    def _start(self, head: RequestHead) -> None:
        self._requests += 1
        self._deadline = float("inf")
        cycle = self._cycle = RequestCycle(self, head)
        if not cycle.request_complete and self._buffer:
            data, self._buffer = self._buffer, b""
            self._buffer = self._take_body(cycle, data) or b""
        self._wake()

    def _refuse(self, refusal: RefusedRequestError) -> None:
        self._refusal = refusal
        self._stop()

    def _hand_over(self) -> None:
        self._handover = True
        self._stop()

    def _stop(self) -> None:
        self._over = True
        self._wake()

    # -- the connection's own task ------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._main is not None:
            task, self._main = self._main, None
            trio.lowlevel.reschedule(task)

    async def _wait(self) -> None:
        """Wait for `_wake`. May return without cause: look at what was waited for again."""
        self._main = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort_wait)

    def _abort_wait(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._main = None
        return trio.lowlevel.Abort.SUCCEEDED

    async def _serve(self) -> None:
        while True:
            while self._cycle is None:
                if self._over:
                    return
                await self._wait()
            await self._run_app(self._cycle)
            if not await self._recycle(self._cycle):
                return

    async def _run_app(self, cycle: RequestCycle) -> None:
        head = cycle.head
        raw_path, _, query = head.raw_path.partition(b"?")
        path = raw_path.decode("ascii")
        scope: Scope = {
            "type": "http",
            "asgi": {"spec_version": "2.4", "version": "3.0"},
            "http_version": head.http_version,
            "method": head.method,
            "scheme": self._scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": head.headers,
            "client": self._client,
            "server": self._server,
            "state": self._state.copy(),
            "extensions": {DISCONNECT: cycle.disconnect},
        }
        try:
            await self._app(scope, cycle.receive, cycle.send)
            if cycle.held_without_body and cycle.disconnect.reason is None:
                await cycle.send({"type": "http.response.body"})
        except Exception as error:  # noqa: BLE001 - the app's fault is answered with a 500
            if _only_disconnects(error):
                return
            _log.exception("the application raised", exc_info=error)
        else:
            if not cycle.complete and cycle.disconnect.reason is None:
                _log.error("the application returned without a complete response")
        if cycle.untouched and not self._gone and self._refusal is None:
            self._refusal = RefusedRequestError("internal error", 500)

    async def _recycle(self, cycle: RequestCycle) -> bool:
        """Make ready for the next request; False if the connection is over."""
        if self._gone or not cycle.complete or cycle.close:
            return False
        if not cycle.request_complete:
            if not cycle.discard():
                return False
            self.room()
            self._set_deadline(trio.current_time() + self._settings.header_timeout)
            while not cycle.request_complete:
                if self._over:
                    return False
                await self._wait()
        if self.closing:
            return False
        self._cycle = None
        if self._buffer:
            self._deadline = trio.current_time() + self._settings.header_timeout
            self._take_head()
        if self._cycle is None:
            self._set_deadline(
                self._deadline if self._buffer else trio.current_time() + self._settings.keep_alive_timeout
            )
        if len(self._buffer) < self._settings.max_head_bytes:
            self.room()
        return True

    async def _end(self) -> None:
        """Say what is to be said and let the client take it."""
        if self._gone:
            return
        cycle = self._cycle
        refusal = self._refusal
        if cycle is not None and not cycle.complete and not cycle.untouched:
            # In the middle of a response nothing can be said; and where its end is the connection's end, only a reset
            # tells the client that this is not the whole of it.
            self.wire.close(reset=cycle.cut_looks_whole)
            return
        if refusal is not None and (cycle is None or not cycle.complete):
            kind = "server_error" if refusal.status == 500 else "invalid_request_error"
            try:
                await self.wire.send(error_response(refusal.status, refusal.message, kind))
            except OSError:
                return
        if refusal is not None or self._buffer or (cycle is not None and not cycle.request_complete):
            await self._linger()

    async def _linger(self) -> None:
        self._lingering = MAX_LINGER_BYTES
        self.wire.end()
        self.room()
        with trio.move_on_after(LINGER):
            while not self._gone:
                await self._wait()


def _only_disconnects(error: BaseException) -> bool:
    """Whether an app ended because its `send` said that the client is gone: no fault."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_only_disconnects, error.exceptions))
    return isinstance(error, ClientDisconnectedError)
