"""Connections that Hypercorn's own protocol code serves: HTTP/2 and WebSockets.

Its protocols are used as they are. What is changed is what makes them unsafe to stand in front of paying clients:

* writes have a deadline, the one to the socket and the one that HTTP/2's flow control holds up (Hypercorn 0.18 shields
  `send_all` for ever, and waits for a window for ever);
* closing is bounded, and wakes an app that waits for a window (Hypercorn 0.18 leaves it there);
* what waits for a window is bounded (Hypercorn 0.18 takes "the window is closed" for "the buffer is empty");
* a response counts as sent when its last frame is (Hypercorn 0.18 may close a stopping connection just before it);
* a body that goes on after its stream is answered is dropped (Hypercorn 0.18 raises `KeyError`, which ends the worker);
* HTTP requests get a `Disconnect` in their scope, as on HTTP/1.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import h2.errors
import h2.events
import h2.exceptions
import trio
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as WireEvent
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER, BUFFER_LOW_WATER, BufferCompleteError, H2Protocol, StreamBuffer
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.typing import AppWrapper, ConnectionState, Event, WorkerContext

from proxy.server.app import DISCONNECT, ClientDisconnectedError, Disconnect, Message, Scope, Send
from proxy.server.config import ServerConfig

CLOSE_TIMEOUT = 1.0
"""Seconds for a connection's goodbye (GOAWAY, close_notify)."""
PIECE = BUFFER_HIGH_WATER
"""Bytes of an HTTP/2 body that share one deadline."""

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
Address = tuple[str, int] | None


class HypercornConnection(TCPServer):
    """Hypercorn's connection, on a stream whose handshake is done and of which some bytes may have been read."""

    def __init__(
        self, app: AppWrapper, config: ServerConfig, context: WorkerContext, state: dict[str, Any], stream: Stream
    ) -> None:
        super().__init__(app, config, context, state, stream)  # type: ignore[arg-type]
        self._settings = config.settings
        self._scope = trio.CancelScope()
        self._closed = False
        self._signals: dict[int, Disconnect] = {}
        """The running HTTP/2 requests, by stream."""

    async def serve(self, data: bytes, *, http2: bool, tls: bool, client: Address, server: Address) -> None:
        """Serve until the connection is over, `data` being what was read already. Raises nothing but cancellation."""
        try:
            with self._scope:
                async with TaskGroup() as group:
                    self._task_group = group
                    arguments: tuple[Any, ...] = (
                        _Guarded(self),
                        self.config,
                        self.context,
                        group,
                        ConnectionState(self.state),
                        tls,
                        client,
                        server,
                        self.protocol_send,
                    )
                    protocol = _HTTP2(self._stream_closed, *arguments) if http2 else H11Protocol(*arguments)
                    self.protocol = cast(ProtocolWrapper, protocol)  # of which `initiate` and `handle` are used
                    await self.protocol.initiate()
                    await self.idle_task.restart(group, self._idle_timeout)
                    if data:
                        await self.protocol.handle(RawData(data))
                    await self._read_data()
        except OSError:
            pass
        finally:
            await self._close()

    # -- control from outside -----------------------------------------------------------------------------------------

    def close_when_idle(self) -> None:
        """Nothing to do: the protocol sees the worker's `terminated` event itself."""

    def abort(self) -> None:
        """See `Connection`."""
        self._drop()
        self._scope.cancel()

    def _drop(self) -> None:
        """Close the socket at once: whoever waits for it wakes up."""
        stream = self.stream.transport_stream if isinstance(self.stream, trio.SSLStream) else self.stream
        stream.socket.close()
        self._closed = True

    # -- what Hypercorn calls -----------------------------------------------------------------------------------------

    async def protocol_send(self, event: WireEvent) -> None:
        """Write, close, or note whether the connection is idle. A write is shielded, but not for longer than the
        write timeout: a request that is cancelled must not leave half a frame of the others' connection behind."""
        if isinstance(event, RawData):
            if not await self._write(event.data):
                await self.protocol.handle(Closed())
        elif isinstance(event, Closed):
            await self._close()
            await self.protocol.handle(Closed())
        elif isinstance(event, Updated):
            if event.idle:
                await self.idle_task.restart(self._task_group, self._idle_timeout)
            else:
                await self.idle_task.stop()

    async def _write(self, data: bytes) -> bool:
        async with self.send_lock:
            if self._closed:
                return False
            deadline = trio.current_time() + self._settings.write_timeout
            with trio.CancelScope(deadline=deadline, shield=True) as patience:
                try:
                    await self.stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return False
            if patience.cancelled_caught:
                for signal in list(self._signals.values()):
                    signal.fire("write_timeout")
                self._drop()
                return False
            return True

    async def _read_data(self) -> None:
        while True:
            try:
                data = await self.stream.receive_some(MAX_RECV)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            if not data:
                break
            await self.protocol.handle(RawData(bytes(data)))
        await self.protocol.handle(Closed())

    async def _close(self) -> None:
        self._drop()

    async def _initiate_server_close(self) -> None:
        with trio.CancelScope(deadline=trio.current_time() + CLOSE_TIMEOUT, shield=True):
            await self.protocol.handle(Closed())
        self._drop()

    # -- requests -----------------------------------------------------------------------------------------------------

    def _stream_closed(self, stream_id: int, unfinished: bool) -> None:
        signal = self._signals.pop(stream_id, None)
        if signal is not None and unfinished:
            signal.fire("disconnect")

    async def reset_stream(self, stream_id: int) -> None:
        """Give up a stream whose client opens no window. The others of the connection go on."""
        protocol: Any = self.protocol
        try:
            protocol.connection.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
        except h2.exceptions.ProtocolError:
            return  # gone already
        await protocol.stream_send(StreamClosed(stream_id=stream_id))
        await protocol._window_updated(stream_id)
        await protocol._flush()


class BoundedBuffer(StreamBuffer):
    """A stream's bytes that wait for a window.

    `push` returns once there is room, so it holds one push too many; `drain` of a complete one when its end is sent.
    """

    def __init__(self, event_class: type[Event]) -> None:
        super().__init__(event_class)
        self.ended = event_class()
        """The stream's last frame is sent, or never will be."""

    async def drain(self) -> None:
        await (self.ended if self._complete else self._is_empty).wait()

    async def close(self) -> None:
        await super().close()
        await self.ended.set()

    async def push(self, data: bytes) -> None:
        if self._complete:
            raise BufferCompleteError
        self.buffer.extend(data)
        await self._is_empty.clear()
        while len(self.buffer) >= BUFFER_HIGH_WATER and not self._complete:
            await self._paused.clear()
            await self._paused.wait()

    async def pop(self, max_length: int) -> bytes:
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data


class _HTTP2(H2Protocol):
    def __init__(self, closed: Callable[[int, bool], None], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._closed_hook = closed

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams:
                # Of a closed stream h2 gives the connection's window back before it complains.
                with suppress(h2.exceptions.ProtocolError):
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                await self._flush()
            else:
                await super()._handle_events([event])

    async def _send_data(self, stream_id: int) -> None:
        buffer = self.stream_buffers.get(stream_id)
        await super()._send_data(stream_id)
        if isinstance(buffer, BoundedBuffer) and stream_id not in self.stream_buffers:
            await buffer.ended.set()

    async def _close_stream(self, stream_id: int) -> None:
        stream = self.streams.get(stream_id)
        if isinstance(stream, HTTPStream):
            unfinished = stream.state is not ASGIHTTPState.CLOSED
            self._closed_hook(stream_id, unfinished)
            buffer = self.stream_buffers.get(stream_id)
            if unfinished and buffer is not None:
                await buffer.close()  # wakes who waits for a window that will never be opened
        await super()._close_stream(stream_id)


class _Guarded:
    """The app as Hypercorn calls it, its HTTP/2 sends under a deadline."""

    def __init__(self, connection: HypercornConnection) -> None:
        self._connection = connection

    async def __call__(
        self, scope: Scope, receive: Any, send: Any, sync_spawn: Callable[..., Any], call_soon: Callable[..., Any]
    ) -> None:
        connection = self._connection
        app = connection.app
        if scope["type"] != "http":
            await app(scope, receive, send, sync_spawn, call_soon)  # type: ignore[arg-type]
            return
        stream: HTTPStream = send.__self__
        signal = Disconnect()
        connection._signals[stream.stream_id] = signal
        scope["extensions"][DISCONNECT] = signal
        with suppress(ClientDisconnectedError):  # as on HTTP/1.1: no fault of the app
            await app(
                scope,  # type: ignore[arg-type]
                receive,
                partial(self._send, send, stream.stream_id, signal),
                sync_spawn,
                call_soon,
            )

    async def _send(self, send: Send, stream_id: int, signal: Disconnect, message: Message) -> None:
        if signal.reason is not None:
            await trio.lowlevel.checkpoint_if_cancelled()
            raise ClientDisconnectedError(signal.reason)
        body = message.get("body", b"") if message["type"] == "http.response.body" else b""
        for at in range(0, len(body) - PIECE, PIECE):
            await self._send_piece(
                send, stream_id, signal, {"type": message["type"], "body": body[at : at + PIECE], "more_body": True}
            )
        if len(body) > PIECE:
            message = {**message, "body": body[math.ceil(len(body) / PIECE - 1) * PIECE :]}
        await self._send_piece(send, stream_id, signal, message)

    async def _send_piece(self, send: Send, stream_id: int, signal: Disconnect, message: Message) -> None:
        with trio.move_on_after(self._connection._settings.write_timeout) as patience:
            await send(message)
        if not patience.cancelled_caught:
            return
        signal.fire("write_timeout")
        with trio.CancelScope(deadline=trio.current_time() + CLOSE_TIMEOUT, shield=True):
            await self._connection.reset_stream(stream_id)
        await trio.lowlevel.checkpoint_if_cancelled()
        raise ClientDisconnectedError("write_timeout")
