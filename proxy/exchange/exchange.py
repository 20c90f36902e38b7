"""`Exchange`: the life of one request, from its first byte to its log line.

Everything that the request starts lives in one cancel scope: the provider's call, its timers, and (where the server
tells of a client's leaving only to who asks) a nursery with the watch on the client. The scope is cancelled when the
client is gone, when the gateway stops, and by the request's deadline. When it closes, all of it is gone. Afterwards a
client that is still there is told why. What happens inside the scope is the operation's: see `operations/`.

The outcome is recorded on every way out, by code that does not wait.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from providers.errors import ErrorKind, GatewayError, ProviderError, RequestError
from providers.model import LLMRequest
from proxy.apis.base import ClientCall
from proxy.apis.routes import Match
from proxy.exchange import with_plugins
from proxy.exchange.body import ClientGoneError, read_body
from proxy.exchange.model import ServedModel
from proxy.exchange.operations import OPERATIONS
from proxy.exchange.outcome import Outcome, record
from proxy.exchange.request_id import request_id_of
from proxy.observe.logs import describe_exception, get_logger
from proxy.server.app import ClientDisconnectedError

if TYPE_CHECKING:
    from proxy.gateway import Gateway
    from proxy.plugins.pipeline import PipelineRun
    from proxy.project import Project

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Headers = list[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_UNBUFFERED = (
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
"""No proxy on the way may hold events back."""


class Exchange:
    """One request and its answer. Make it, await `run()` once, throw it away.

    An operation reads the call (`read_call`), finds who serves it (`serve`), and answers: whole by `reply`, or by
    `start`, any number of `write` and `end`. It raises a `GatewayError` for what went wrong; the client is told here.
    """

    def __init__(
        self,
        gateway: Gateway,
        project: Project,
        match: Match,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        self.gateway = gateway
        self.generation = gateway.generation
        self.project = project
        self.plugins: PipelineRun | None = None
        """Its way through the project's plugins, once it is on it."""
        self.api = match.api
        self.params = match.params
        self.path: str = scope.get("triway.path", scope["path"])
        """Below the project's own prefix."""
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id_of(self.headers.get(gateway.request_id_header))
        self.outcome = Outcome(
            request_id=self.request_id,
            api=match.api.api,
            operation=match.operation,
            project=project.name,
            client=scope.get("client"),
        )
        self.started_at = trio.current_time()
        self._receive = receive
        self._send = send if scope.get("http_version") != "2" else self._send_with_deadline(send)
        self._work = trio.CancelScope(deadline=self.started_at + gateway.body_timeout)
        self._nursery: trio.Nursery | None = None
        self._abort_error: GatewayError | None = None
        self.speaks_api = True
        """Whether the body that is being written is the client API's: only then can errors be told in it. A body that
        is not is cut off instead."""

    # -- control from outside -----------------------------------------------------------------------------------------

    def abort(self, error: GatewayError) -> None:
        """End the request with `error`, in band if its stream has begun. Takes effect at the next wait."""
        self._abort_error = error
        self._work.cancel()

    def depart(self, reason: str) -> None:
        """The client is gone (`disconnect`) or does not read (`write_timeout`): close everything the request started.

        With `onDisconnect: drain` a stream that has begun is read on, unheard, for its usage.
        """
        outcome = self.outcome
        if outcome.departed is not None:
            return
        outcome.departed = reason
        served = outcome.served
        if served is not None and served.on_disconnect == "drain" and outcome.in_band and reason == "disconnect":
            self._work.deadline = min(self._work.deadline, trio.current_time() + served.drain_timeout)
        else:
            self._work.cancel()

    # -- the life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Answer the request. Returns when it is over, whatever came of it; raises nothing but cancellation."""
        extensions = self.scope.get("extensions")
        disconnect = extensions.get("triway.disconnect") if extensions else None
        try:
            if disconnect is not None:
                disconnect.subscribe(self.depart)
                await self._live()
            else:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    await self._live()
                    nursery.cancel_scope.cancel()
        finally:
            if disconnect is not None:
                disconnect.unsubscribe()
            outcome = self.outcome
            if outcome.in_band and outcome.served is not None:
                outcome.served.metrics.open_streams.dec()
            outcome.duration = trio.current_time() - self.started_at
            try:
                record(outcome)
            finally:
                if self.plugins is not None:
                    with_plugins.end(self)

    async def _live(self) -> None:
        error: GatewayError | None = None
        try:
            with self._work:
                refusal = self.gateway.refusal()
                if refusal is not None:
                    raise refusal
                await OPERATIONS[self.outcome.operation](self)
            if self._work.cancelled_caught:
                error = self._abort_error or self._out_of_time()
        except ClientGoneError:
            self.depart("disconnect")
        except ClientDisconnectedError as gone:
            self.depart(gone.reason)
        except GatewayError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - a provider's fault must not take the connection with it
            error = self.understand(caught)
        if error is not None:
            self.outcome.error = error
            if self.outcome.departed is None:
                with suppress(ClientDisconnectedError):  # it left without hearing it
                    await self._fail(error)

    async def _watch(self) -> None:
        """See the client leave, on servers that tell it only through `receive`."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.depart("disconnect")
                return

    # -- what operations do -------------------------------------------------------------------------------------------

    async def read_call(self) -> ClientCall:
        """The request with its body, under the body's limits. Raises `RequestError`, `ClientGoneError`."""
        body = await read_body(self.headers, self._receive, max_bytes=self.gateway.max_body_bytes)
        outcome = self.outcome
        outcome.bytes_in = len(body)
        self.body_is_read()
        scope = self.scope
        return ClientCall(
            operation=outcome.operation,
            method=scope["method"],
            path=self.path,
            params=self.params,
            body=body,
            headers=self.headers,
            query=scope["query_string"].decode("latin-1"),
            request_id=self.request_id,
        )

    async def receive(self) -> Mapping[str, Any]:
        """The next message of the request's body, for an operation that passes it on as it comes."""
        return await self._receive()

    def body_goes_on(self) -> None:
        """The body will be passed on while it comes: from here on the request's own deadline holds for all of it."""
        self._work.deadline = self.started_at + self.gateway.request_timeout

    def body_is_read(self) -> None:
        """From here on the request's own deadline holds, and the client is watched."""
        self.body_goes_on()
        if self._nursery is not None:
            self._nursery.start_soon(self._watch)

    def serve(self, model: str) -> tuple[ServedModel, str | None]:
        """The entry that serves `model`, and what its `*` stood for. Raises `RequestError` (404)."""
        if self.outcome.requested_model is None:
            self.outcome.requested_model = model
        served, matched = self.project.resolve(model)
        self.outcome.served = served
        return served, matched

    async def admit(self, request: LLMRequest) -> LLMRequest:
        """Have the plugins look at a request before a model is asked for anything but an answer. Returns the request to
        ask with. Raises what a plugin refuses it with."""
        return await with_plugins.admit(self, request) if self.project.pipeline.plugins else request

    async def admit_model(self, model: str) -> str:
        """The same for what the gateway does not read: plugins see a request without messages. Returns the model to
        ask."""
        if not self.project.pipeline.plugins:
            return model
        return (await self.admit(LLMRequest(model=model))).model

    async def reply(self, status: int, body: bytes, headers: Headers) -> None:
        """Answer whole, in JSON."""
        self.outcome.status = status
        self.outcome.bytes_out = len(body)
        head = [_JSON, (b"content-length", b"%d" % len(body)), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer that is written piece by piece: from here on errors are told in band."""
        outcome = self.outcome
        if outcome.departed is not None:
            await trio.lowlevel.checkpoint()
            return
        outcome.in_band = True
        outcome.status = status
        if outcome.served is not None:
            outcome.served.metrics.open_streams.inc()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def start_stream(self, request: LLMRequest) -> None:
        """Begin a streamed answer to `request`."""
        content_type = (b"content-type", self.api.stream_content_type(request))
        await self.start(200, [content_type, *_UNBUFFERED, *self.answer_headers()])

    async def write(self, data: bytes) -> None:
        """Write a piece of a begun answer. Carries back-pressure. When the client is gone, the request ends here or,
        where a stream is drained, goes on unheard."""
        if self.outcome.departed is not None:
            await trio.lowlevel.checkpoint()
            return
        self.outcome.bytes_out += len(data)
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except ClientDisconnectedError as gone:
            self.depart(gone.reason)
            await trio.lowlevel.checkpoint_if_cancelled()

    async def end(self, data: bytes = b"") -> None:
        """Write the last piece of a begun answer, and end it well."""
        if self.outcome.departed is None:
            self.outcome.bytes_out += len(data)
            await self._send({"type": "http.response.body", "body": data, "more_body": False})

    def answer_headers(self) -> Headers:
        """The headers of a good answer, beside the content type."""
        headers = self._base_headers()
        outcome = self.outcome
        if dropped := outcome.dropped:
            headers.append((b"x-triway-dropped", ", ".join(map(_printable, dropped)).encode("ascii")))
        notes, served = outcome.notes, outcome.served
        if notes is not None and notes.headers and served is not None and served.provider.api == self.api.api:
            headers += self._unless_said(notes.headers)
        return headers

    # -- telling what went wrong --------------------------------------------------------------------------------------

    async def _fail(self, error: GatewayError) -> None:
        """Tell the client: by status while there is still one to choose, else in band and without a terminator."""
        in_band = self.outcome.in_band
        if in_band and not self.speaks_api:
            return  # an answer without its end: the server closes the connection, as the provider did
        relayed: bytes | None = None
        if isinstance(error, ProviderError) and error.raw is not None and error.raw_is_event == in_band:
            # As it came, where it fits: in a stream a body (of a later turn's refusal) would be no event.
            relayed = error.raw.body if error.raw.api == self.api.api else None
        if in_band:
            event = relayed or self.api.transform_stream_error(error)
            self.outcome.bytes_out += len(event)
            await self._send({"type": "http.response.body", "body": event, "more_body": False})
            return
        headers = self._base_headers()
        if isinstance(error, ProviderError):
            headers += self._unless_said({k: v for k, v in error.headers.items() if k != "retry-after"})
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after)))
        body = relayed or self.api.transform_error(error, self.request_id)
        await self.reply(error.status, body, headers)

    def _base_headers(self) -> Headers:
        headers = [
            (self.gateway.request_id_header, self.request_id.encode("latin-1")),
            *self.api.response_headers(self.request_id),
        ]
        if self.outcome.served is not None:
            headers.append((b"x-triway-model", self.outcome.served.name.encode()))
        if self.plugins is not None:
            headers += encoded(self.plugins.context.response_headers)
        return headers

    def _unless_said(self, headers: Mapping[str, str]) -> Headers:
        """A provider's headers, but for those that a plugin has a word of its own for: what the client may still do
        is for the gateway's limits to say, where it has any."""
        said = self.plugins.context.response_headers if self.plugins is not None else ()
        return encoded({name: value for name, value in headers.items() if name.lower() not in said})

    def _out_of_time(self) -> GatewayError:
        outcome = self.outcome
        if outcome.requested_model is None and not outcome.bytes_in:
            milliseconds = round(self.gateway.body_timeout * 1000)
            message = f"the request's body was not complete after {milliseconds} ms"
            return RequestError(message, status=408, kind=ErrorKind.TIMEOUT)
        milliseconds = round(self.gateway.request_timeout * 1000)
        message = f"the answer was not complete within {milliseconds} ms"
        return GatewayError(message, kind=ErrorKind.TIMEOUT, status=504)

    def understand(self, error: Exception) -> GatewayError:
        """The gateway error that an exception is, or holds; any other is logged, and the client learns no more."""
        return _find_gateway_error(error) or self._internal_error(error)

    def _internal_error(self, error: Exception) -> GatewayError:
        served = self.outcome.served
        get_logger().error(
            "unexpected exception",
            request_id=self.request_id,
            model=served.name if served else None,
            **describe_exception(error),
        )
        return GatewayError("internal error of the gateway; see its log", kind=ErrorKind.SERVER, status=500)

    def _send_with_deadline(self, send: Send) -> Send:
        """HTTP/2's flow control can hold a write for ever; HTTP/1.1's writes have the server's own deadline."""

        async def send_in_time(message: dict[str, Any]) -> None:
            with trio.move_on_after(self.gateway.write_timeout) as scope:
                await send(message)
            if scope.cancelled_caught:
                self.depart("write_timeout")
                await trio.lowlevel.checkpoint()

        return send_in_time


def encoded(headers: Mapping[str, str]) -> Headers:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _printable(name: str) -> str:
    """A parameter's name, which may be anything the client wrote, fit for a header."""
    return re.sub(r"[^A-Za-z0-9_.\[\]-]", "?", name[:100])


def _find_gateway_error(error: Exception) -> GatewayError | None:
    """The gateway error itself, or the first in an exception group: a provider may use a nursery of its own."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            found = _find_gateway_error(inner)
            if found is not None:
                return found
    return None
