"""`Exchange`: the life of one request, from its body to its log line.

Everything that the request starts lives in one cancel scope: the provider's call, its timers, and (where the server
tells of a client's leaving only to who asks) a nursery with the watch on the client. The scope is cancelled when the
client is gone, when the gateway stops, and by the request's deadline. When it closes, all of it is gone. Afterwards a
client that is still there is told why.

The outcome is recorded on every way out, by code that does not wait.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from providers.errors import BadResponseError, ErrorKind, GatewayError, ProviderError, RequestError
from providers.model import LLMRequest, Usage
from proxy.apis.base import ClientAPI, ClientCall, Operation
from proxy.exchange.body import ClientGoneError, read_body
from proxy.exchange.emitter import StreamEmitter
from proxy.exchange.model import ServedModel
from proxy.exchange.outcome import Outcome, record
from proxy.exchange.request_id import request_id_of
from proxy.observe.logs import describe_exception, get_logger
from proxy.server.app import ClientDisconnectedError

if TYPE_CHECKING:
    from proxy.gateway import Gateway

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]

_JSON = (b"content-type", b"application/json")
_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Exchange:
    """One request and its answer. Make it, await `run()` once, throw it away."""

    def __init__(
        self,
        gateway: Gateway,
        api: ClientAPI,
        operation: Operation,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        self._gateway = gateway
        self._api = api
        self._operation: Operation = operation
        self._scope = scope
        self._receive = receive
        self._send = send if scope.get("http_version") != "2" else self._send_with_deadline(send)
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id_of(self._headers.get(gateway.request_id_header))
        self._started_at = trio.current_time()
        self._work = trio.CancelScope(deadline=self._started_at + gateway.body_timeout)
        self._abort_error: GatewayError | None = None
        self._departed: str | None = None
        self._status = 0
        self._bytes_in = 0
        self._bytes_out = 0
        self._served: ServedModel | None = None
        self._request: LLMRequest | None = None
        self._emitter: StreamEmitter | None = None
        self._streaming = False
        """Whether the head of a stream has been sent."""
        self._usage: Usage | None = None
        self._error: GatewayError | None = None

    # -- control from outside -----------------------------------------------------------------------------------------

    def abort(self, error: GatewayError) -> None:
        """End the request with `error`, in band if its stream has begun. Takes effect at the next wait."""
        self._abort_error = error
        self._work.cancel()

    def depart(self, reason: str) -> None:
        """The client is gone (`disconnect`) or does not read (`write_timeout`): close everything the request started.

        With `onDisconnect: drain` a stream that has begun is read on, unheard, for its usage.
        """
        if self._departed is not None:
            return
        self._departed = reason
        served = self._served
        if served is not None and served.on_disconnect == "drain" and self._streaming and reason == "disconnect":
            self._work.deadline = min(self._work.deadline, trio.current_time() + served.drain_timeout)
        else:
            self._work.cancel()

    # -- the life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Answer the request. Returns when it is over, whatever came of it; raises nothing but cancellation."""
        extensions = self._scope.get("extensions")
        disconnect = extensions.get("triway.disconnect") if extensions else None
        try:
            if disconnect is not None:
                disconnect.subscribe(self.depart)
                await self._live(None)
            else:
                async with trio.open_nursery() as nursery:
                    await self._live(nursery)
                    nursery.cancel_scope.cancel()
        finally:
            if disconnect is not None:
                disconnect.unsubscribe()
            self._record()

    async def _live(self, nursery: trio.Nursery | None) -> None:
        error: GatewayError | None = None
        try:
            with self._work:
                await self._answer(nursery)
            if self._work.cancelled_caught:
                error = self._abort_error or self._out_of_time()
        except ClientGoneError:
            self.depart("disconnect")
        except ClientDisconnectedError as gone:
            self.depart(gone.reason)
        except GatewayError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - a provider's fault must not take the connection with it
            error = _find_gateway_error(caught) or self._internal_error(caught)
        if error is not None:
            self._error = error
            if self._departed is None:
                with suppress(ClientDisconnectedError):  # it left without hearing it
                    await self._fail(error)

    async def _answer(self, nursery: trio.Nursery | None) -> None:
        gateway = self._gateway
        refusal = gateway.refusal()
        if refusal is not None:
            raise refusal
        body = await read_body(self._headers, self._receive, max_bytes=gateway.max_body_bytes)
        self._bytes_in = len(body)
        self._work.deadline = self._started_at + gateway.request_timeout
        if nursery is not None:
            nursery.start_soon(self._watch)
        call = ClientCall(
            operation=self._operation,
            body=body,
            headers=self._headers,
            query=self._scope["query_string"].decode("latin-1"),
            request_id=self.request_id,
        )
        request = self._request = self._api.transform_input(call)
        served, request.metadata.matched = gateway.resolve(request.model)
        self._served = served
        if self._operation == "count_tokens":
            counted = await served.provider.count_tokens(request)
            await self._reply(200, self._api.transform_token_count(counted), self._answer_headers(request))
        elif request.stream:
            await self._stream(served, request)
        else:
            await self._whole(served, request)

    async def _watch(self) -> None:
        """See the client leave, on servers that tell it only through `receive`."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.depart("disconnect")
                return

    async def _whole(self, served: ServedModel, request: LLMRequest) -> None:
        response = await served.provider.execute(request)
        self._usage = response.usage
        raw = response.raw
        if raw is not None and raw.api == self._api.api:
            body = raw.body
        elif response.choices:
            body = self._api.transform_output(response, request)
        else:
            raise BadResponseError("the provider's answer holds no message")
        await self._reply(200, body, self._answer_headers(request))

    async def _stream(self, served: ServedModel, request: LLMRequest) -> None:
        emitter = self._emitter = StreamEmitter(self._api, request, served.metrics, self._write)
        await served.provider.execute_streaming(request, emitter)
        if emitter.error is not None:
            raise emitter.error
        await emitter.close()
        if self._departed is None:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    # -- writing ------------------------------------------------------------------------------------------------------

    async def _write(self, data: bytes) -> None:
        """Write a piece of a stream; the first one brings the head."""
        if self._departed is not None:
            await trio.lowlevel.checkpoint()  # draining: nobody hears
            return
        if not self._streaming:
            self._streaming = True
            self._status = 200
            assert self._served is not None
            assert self._request is not None
            self._served.metrics.open_streams.inc()
            headers = [*_STREAM, *self._answer_headers(self._request)]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._bytes_out += len(data)
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except ClientDisconnectedError as gone:
            self.depart(gone.reason)  # where a stream is drained, it goes on from here
            await trio.lowlevel.checkpoint_if_cancelled()

    def _send_with_deadline(self, send: Send) -> Send:
        """HTTP/2's flow control can hold a write for ever; HTTP/1.1's writes have the server's own deadline."""

        async def send_in_time(message: dict[str, Any]) -> None:
            with trio.move_on_after(self._gateway.write_timeout) as scope:
                await send(message)
            if scope.cancelled_caught:
                self.depart("write_timeout")
                await trio.lowlevel.checkpoint()

        return send_in_time

    async def _reply(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self._status = status
        self._bytes_out = len(body)
        head = [_JSON, (b"content-length", b"%d" % len(body)), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _fail(self, error: GatewayError) -> None:
        """Tell the client: by status while there is still one to choose, else in band and without a terminator."""
        raw = error.raw if isinstance(error, ProviderError) else None
        relayed = raw.body if raw is not None and raw.api == self._api.api else None
        if self._streaming:
            event = relayed or self._api.transform_stream_error(error)
            self._bytes_out += len(event)
            await self._send({"type": "http.response.body", "body": event, "more_body": False})
            return
        if relayed is not None and relayed.lstrip()[:1] != b"{":
            relayed = None  # the error came as a stream's event: a body needs the API's own shape
        headers = self._base_headers()
        if isinstance(error, ProviderError):
            headers += [
                (k.encode("latin-1"), v.encode("latin-1")) for k, v in error.headers.items() if k != "retry-after"
            ]
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after)))
        body = relayed or self._api.transform_error(error, self.request_id)
        await self._reply(error.status, body, headers)

    def _base_headers(self) -> list[tuple[bytes, bytes]]:
        headers = [
            (self._gateway.request_id_header, self.request_id.encode("latin-1")),
            *self._api.response_headers(self.request_id),
        ]
        if self._served is not None:
            headers.append((b"x-triway-model", self._served.name.encode()))
        return headers

    def _answer_headers(self, request: LLMRequest) -> list[tuple[bytes, bytes]]:
        headers = self._base_headers()
        notes = request.notes
        if notes.dropped:
            headers.append((b"x-triway-dropped", ", ".join(map(_printable, notes.dropped)).encode("ascii")))
        if notes.headers and self._served is not None and self._served.provider.api == self._api.api:
            headers += _encoded(notes.headers)
        return headers

    def _out_of_time(self) -> GatewayError:
        if self._request is None and not self._bytes_in:
            milliseconds = round(self._gateway.body_timeout * 1000)
            message = f"the request's body was not complete after {milliseconds} ms"
            return RequestError(message, status=408, kind=ErrorKind.TIMEOUT)
        milliseconds = round(self._gateway.request_timeout * 1000)
        message = f"the answer was not complete within {milliseconds} ms"
        return GatewayError(message, kind=ErrorKind.TIMEOUT, status=504)

    def _internal_error(self, error: Exception) -> GatewayError:
        get_logger().error(
            "unexpected exception",
            request_id=self.request_id,
            model=self._served.name if self._served else None,
            **describe_exception(error),
        )
        return GatewayError("internal error of the gateway; see its log", kind=ErrorKind.SERVER, status=500)

    # -- the record ---------------------------------------------------------------------------------------------------

    def _record(self) -> None:
        emitter = self._emitter
        if self._streaming and self._served is not None:
            self._served.metrics.open_streams.dec()
        now = trio.current_time()
        request = self._request
        record(
            Outcome(
                request_id=self.request_id,
                api=self._api.api,
                operation=self._operation,
                requested_model=request.model if request is not None else None,
                served=self._served,
                stream=request.stream if request is not None else False,
                status=self._status,
                in_band=self._streaming,
                error=self._error,
                departed=self._departed,
                duration=now - self._started_at,
                first_token=emitter.first_at - self._started_at if emitter is not None and emitter.first_at else None,
                usage=emitter.accumulator.usage if emitter is not None else self._usage,
                bytes_in=self._bytes_in,
                bytes_out=self._bytes_out,
                chunks=emitter.accumulator.chunks if emitter is not None else 0,
                dropped_blocks=emitter.dropped_blocks if emitter is not None else 0,
                notes=request.notes if request is not None else None,
                client=self._scope.get("client"),
            )
        )


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _printable(name: str) -> str:
    """A parameter's name, which may be anything the client wrote, fit for a header."""
    return re.sub(r"[^A-Za-z0-9_.\[\]-]", "?", name[:100])


def _find_gateway_error(error: Exception) -> GatewayError | None:
    """The first gateway error in an exception group: a provider may use a nursery of its own."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            found = inner if isinstance(inner, GatewayError) else _find_gateway_error(inner)
            if found is not None:
                return found
    return None
