"""One request through the recording proxy: passed on, answered as it comes, and kept.

Theory of operation. One task does it all: it reads a piece from the provider, notes when it came, and writes it to the
client before it reads the next. So nothing is held back, and a client that reads slowly slows the provider, as without
the proxy.

The provider is asked for `identity`, whatever the client accepts: a compressor holds events back, and the times of
compressed reads say nothing about when an event could be read. A provider that compresses all the same is decoded, for
the client too. Each exchange has a connection of its own, so that neither its bytes nor its times are another's.

However it ends, what came is kept: whole, or marked as incomplete with the reason. Nothing is kept of an exchange that
the provider never answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import trio

from conformance.capture.captured import Captured, CapturedRequest, Headers, as_bytes, as_text, end_to_end, joined
from conformance.capture.coding import CodingError, is_plain, undo_coding
from conformance.recorder.settings import RecorderSettings
from providers.errors import GatewayError, RequestError
from providers.replay.recording import Timing
from providers.transport import ConnectionPool, UpstreamResponse
from providers.transport.address import parse_base_url
from providers.transport.request_head import HeadWriter
from providers.transport.response import decoded
from proxy.exchange.body import ClientGoneError, Receive, read_body
from proxy.server import DISCONNECT, ClientDisconnectedError

Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = dict[str, Any]
"""ASGI's own loose types."""

_OWN_HEADERS = frozenset({"host", "content-length", "accept-encoding", "expect"})
"""Of a request: the transport writes its own."""


class CutOffError(ClientDisconnectedError):
    """The answer broke off, so the client's must too: its connection is closed without the response's end."""

    def __init__(self) -> None:
        super().__init__("the provider's answer broke off")


class Held:
    """The bytes that all exchanges hold together, and their bound."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0

    def take(self, size: int) -> bool:
        """Whether there is room for so many more; then they count."""
        if self._size + size > self._limit:
            return False
        self._size += size
        return True

    def give_back(self, size: int) -> None:
        self._size -= size


class Upstream:
    """The provider: its pool, and where a client's target is there."""

    def __init__(self, settings: RecorderSettings) -> None:
        """Raises ValueError for a URL that cannot be used, OSError for certificates that cannot be read."""
        address = parse_base_url(settings.upstream)
        self.host, self.port = address.host, address.port
        self._writer = HeadWriter(address, None)
        self.pool = ConnectionPool(
            settings.upstream,
            connect_timeout=settings.connect_timeout,
            max_connections=settings.max_connections,
            max_idle=0,
            ca_bundle=settings.ca_bundle,
        )

    def path_and_query(self, target: bytes) -> tuple[str, str]:
        """As the provider gets them. Raises `InvalidRequestError`."""
        path, _, query = self._writer.path_of(target).decode("ascii").partition("?")
        return path, query


class Exchange:
    """One request. `run` it once; `captured` and `problem` tell afterwards what there is to record."""

    def __init__(
        self, settings: RecorderSettings, upstream: Upstream, held: Held, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._settings = settings
        self._upstream = upstream
        self._held = held
        self._asgi = scope
        self._receive, self._send = receive, send
        self._scope = trio.CancelScope()
        self._reason = ""
        self._client_gone = False
        self._sent_at = 0.0
        self._held_bytes = 0
        self._pieces: list[bytes] = []
        self._timing: Timing = []
        self._size = 0
        self._answered = self._whole = False
        self._captured: Captured | None = None
        self.captured: Captured | None = None
        """The exchange, once the provider has answered; None if it never did."""
        self.problem = ""
        """Why there is nothing to record, or nothing that may be."""

    @property
    def what(self) -> str:
        """Method and path, for messages. May hold a secret."""
        return f"{self._asgi['method']} {self._asgi['path']}"

    def stop(self) -> None:
        """End it now: the recorder stops. What came is kept."""
        self._end("the recorder was stopped")

    def release(self) -> None:
        """Nothing of it is held any more: saved, or not to be."""
        self.captured = None
        self._held.give_back(self._held_bytes)
        self._held_bytes = 0

    async def run(self) -> None:
        """Pass the request on, and the answer back. Raises `CutOffError` when the answer broke off.

        When cancelled, `captured` holds what came.
        """
        target = self._asgi["raw_path"]
        if self._asgi["query_string"]:
            target += b"?" + self._asgi["query_string"]
        self._asgi["extensions"][DISCONNECT].subscribe(self._on_disconnect)
        try:
            with self._scope:
                await self._run(target)
        finally:
            self._capture()
        if not self._whole and self._answered:
            raise CutOffError

    async def _run(self, target: bytes) -> None:
        try:
            request, body = await self._read_request(target)
            self._scope.deadline = trio.current_time() + self._settings.total_timeout
            response = await self._ask(target, request, body)
        except ClientGoneError:
            self.problem = "the client left while it sent its request"
            return
        except GatewayError as error:
            self.problem = error.message
            await self._refuse(error)
            return
        headers = as_text(response.headers)
        self._captured = Captured(request=request, status=response.status, headers=headers)
        self._answered = True
        try:
            await self._relay(response, headers)
        except GatewayError as error:
            self._reason = self._reason or error.message
        finally:
            response.close()

    # The request.

    async def _read_request(self, target: bytes) -> tuple[CapturedRequest, bytes]:
        """The request, and its body as the provider shall get it. Raises `RequestError`, `ClientGoneError`."""
        raw = self._asgi["headers"]
        # An encoded body is passed on as it is.
        plain = {name: value for name, value in raw if name != b"content-encoding"}
        with trio.move_on_after(self._settings.body_timeout) as patience:
            body = await read_body(plain, self._receive, max_bytes=self._settings.max_request_bytes)
        if patience.cancelled_caught:
            raise RequestError("the request's body did not arrive in time", status=408)
        if not self._take(len(body)):
            raise RequestError("the recorder holds too much already; try again in a moment", status=503)
        path, query = self._upstream.path_and_query(target)
        headers = as_text(raw)
        request = CapturedRequest(
            method=self._asgi["method"], host=self._upstream.host, path=path, query=query, headers=headers, body=body
        )
        encoding = joined(headers, "content-encoding")
        try:
            plain_body = undo_coding(body, encoding, max_bytes=self._settings.max_request_bytes)
        except CodingError as error:
            self.problem = f"the request: {error}"
            plain_body = b""
        return msgspec.structs.replace(request, body=plain_body), body

    async def _ask(self, target: bytes, request: CapturedRequest, body: bytes) -> UpstreamResponse:
        """Send the request and wait for the answer's head. Raises `GatewayError`."""
        headers = [pair for pair in end_to_end(request.headers) if pair[0] not in _OWN_HEADERS]
        self._sent_at = trio.current_time()
        with trio.move_on_after(self._settings.silence_timeout) as patience:
            response = await self._upstream.pool.exchange(
                self._asgi["method"].encode("ascii"), target, as_bytes(headers), self._sending(body), length=len(body)
            )
            return decoded(response, response.content_encoding) if response.content_encoding else response
        assert patience.cancelled_caught
        raise RequestError(f"the provider did not answer within {self._settings.silence_timeout:g} s", status=504)

    async def _sending(self, body: bytes) -> AsyncIterator[bytes]:
        """The body in one piece; what comes after it is run when all of it is sent."""
        if body:
            yield body
        self._sent_at = trio.current_time()

    # The answer.

    async def _relay(self, response: UpstreamResponse, headers: Headers) -> None:
        """Pass the answer on as it comes. Raises `GatewayError` when it breaks off."""
        encoding = joined(headers, "content-encoding")
        if not is_plain(encoding):
            self._give_up(f"the answer's content coding '{encoding[:40]}' is not known here")
        start = {"type": "http.response.start", "status": response.status, "headers": as_bytes(end_to_end(headers))}
        await self._write(start)
        # Without a piece of the body the server would hold the head back until there is one.
        await self._write_body(b"", more=True)
        while data := await self._next(response):
            await self._write_body(data, more=True)
        self._whole = True
        await self._write_body(b"", more=False)

    async def _next(self, response: UpstreamResponse) -> bytes:
        """The next piece of the answer, kept with the time at which it came; b"" at the end."""
        with trio.move_on_after(self._settings.silence_timeout) as patience:
            data = await response.receive()
        if patience.cancelled_caught:
            self._reason = f"the provider said nothing for {self._settings.silence_timeout:g} s"
            raise RequestError(self._reason, status=504)
        if data and not self.problem:
            self._keep(data)
        return data

    def _keep(self, data: bytes) -> None:
        if self._size + len(data) > self._settings.max_response_bytes:
            self._give_up(f"the answer is larger than {self._settings.max_response_bytes} bytes")
        elif not self._take(len(data)):
            self._give_up("the recorder holds too much already")
        else:
            self._size += len(data)
            self._pieces.append(data)
            self._timing.append((round((trio.current_time() - self._sent_at) * 1000, 3), len(data)))

    def _give_up(self, why: str) -> None:
        """Go on without recording."""
        self.problem = self.problem or why
        self._pieces.clear()
        self._timing.clear()

    def _take(self, size: int) -> bool:
        taken = self._held.take(size)
        self._held_bytes += size if taken else 0
        return taken

    # The client.

    async def _write_body(self, data: bytes, *, more: bool) -> None:
        await self._write({"type": "http.response.body", "body": data, "more_body": more})

    async def _write(self, message: dict[str, Any]) -> None:
        """Send a message, as long as there is somebody to send it to."""
        if self._client_gone:
            return
        try:
            await self._send(message)
        except ClientDisconnectedError as error:
            self._on_disconnect(error.reason)

    async def _refuse(self, error: GatewayError) -> None:
        """The proxy's own answer, in a shape that the SDKs of several APIs read."""
        kind = "invalid_request_error" if error.status < 500 else "api_error"
        message = f"triway conformance record: {error.message}"
        body = msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await self._write({"type": "http.response.start", "status": error.status, "headers": headers})
        await self._write_body(body, more=False)

    def _on_disconnect(self, _reason: str) -> None:
        self._client_gone = True
        if not self._answered:
            self.problem = "the client left before the provider answered"
            self._end("")
            return
        self._reason = self._reason or "the client left"
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + self._settings.leave_timeout)

    # The end.

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._scope.cancel()

    def _capture(self) -> None:
        """Put together what came, however the exchange ended."""
        captured, self._captured = self._captured, None
        if captured is None:
            self.problem = self.problem or self._reason or "it ended before the provider answered"
            return
        if self.problem:
            return
        captured.body = b"".join(self._pieces)
        self._pieces.clear()
        captured.timing = self._timing
        if not self._whole:
            total = f"the answer was not over after {self._settings.total_timeout:g} s"
            captured.incomplete = self._reason or (
                total if self._scope.cancelled_caught else "the recorder was stopped"
            )
        self.captured = captured
