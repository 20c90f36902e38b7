"""`HTTPProvider`: the base that most providers take. It owns the upstream client, retries, deadlines, the error map and
the loop over the stream. Imports the SDK's lower layers, nothing of proxy/.

What is left to a provider are four small pure functions and a schema:

    request_out(request)                 -> OutgoingRequest      what to send
    response_in(body, request)           -> LLMResponse          a whole answer
    chunk_in(event, request)             -> LLMResponse | None   one server-sent event
    error_in(status, headers, body)      -> ProviderError        an answer of status 400 or more

The life of one call: (1) `request_out`; (2) the request is sent, under `connectTimeout`, and for a stream read up to
its first real event, under `firstTokenTimeout`; whatever fails here may be tried again; (3) events are passed on as
they come, under `idleTimeout`; what fails now ends the stream with an error, never with a retry; (4) after the wire's
terminator the body's end is awaited for `AFTER_DONE_GRACE`, so that the connection can be used again. `timeout` holds
for all of it. The response is closed on every way out, cancellation included, by a call that cannot block.
"""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

import msgspec
import trio

from providers.errors import (
    BadResponseError,
    GatewayError,
    ProviderError,
    ProviderTimeoutError,
    error_of_event,
    kind_of_status,
)
from providers.extension import Config
from providers.http.event_stream import EventStreamDecoder
from providers.http.headers import note_headers
from providers.http.idle import IdleDeadline
from providers.http.masking import mask_credentials
from providers.http.opened import AFTER_DONE_GRACE, OpenedStream, feed_of
from providers.http.outgoing import OutgoingRequest
from providers.http.reading import MAX_ERROR_BYTES, MAX_RESPONSE_BYTES, UNREADABLE, read_all, read_answer
from providers.http.relaying import relay
from providers.http.retry import RetryPolicy, parse_retry_after
from providers.http.settings import HTTPSettings, check_http_config
from providers.model import EventKind, LLMRequest, LLMResponse, ServiceRequest, chunk_of_whole
from providers.model.text_run import TextRun, expand
from providers.provider import ChunkEmitter, PhaseExecution, Provider, RelayRequest
from providers.transport import ConnectionPool
from providers.transport.base import Headers, Upstream, UpstreamResponse
from providers.wire.base import StreamDecoder
from providers.wire.sse import SSEvent

log = logging.getLogger("triway.provider")

KEEP_ALIVE_PATIENCE = 10.0
"""A keep-alive later than this many seconds after the request counts as a first event: the client needs one too."""

MAX_HELD_KEEP_ALIVES = 100
"""So many keep-alives are held back for a first event; more count as late."""

T = TypeVar("T")


class HTTPProvider(Provider):
    """See the module's docstring. A subclass that overrides `configure` calls `super().configure(config)` first."""

    settings: HTTPSettings
    upstream: Upstream

    stream_content_types: ClassVar[tuple[bytes, ...]] = (
        b"text/event-stream",
        b"application/x-ndjson",
        b"application/octet-stream",
    )
    """What the content type of a streamed answer may start with, in lower case. JSON is an answer that was not
    streamed after all; anything else is no answer."""

    def __init__(self) -> None:
        self._retry = RetryPolicy(0, 0.0)
        # Most providers need no more than fixed headers: they do not pay for a coroutine on each try.
        self._authorizes = type(self).authorize is not HTTPProvider.authorize
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_names: frozenset[str] = frozenset()

    # -- the four functions -------------------------------------------------------------------------------------------

    @abstractmethod
    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        """The upstream request for `request`. Raises `RequestError` for what the provider cannot do."""

    @abstractmethod
    def response_in(self, body: bytes, request: LLMRequest) -> LLMResponse:
        """The whole answer in `body`. Raises `ProviderError`; a ValueError, KeyError and the like are a 502."""

    def chunk_in(self, event: SSEvent, request: LLMRequest) -> LLMResponse | None:
        """The chunk in one server-sent event; None: the event says nothing.

        ValueError (msgspec.DecodeError is one) marks the event as malformed: it is skipped and counted. Set `kind` for
        terminators and errors.
        """
        raise BadResponseError("this provider does not stream")

    def error_in(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """The error in an answer of status 400 or more. If it raises a ValueError, KeyError and the like, this one."""
        return ProviderError(f"the provider answered with status {status}", kind=kind_of_status(status), status=status)

    # -- what a provider may change -----------------------------------------------------------------------------------

    def auth_headers(self, settings: HTTPSettings) -> dict[str, str]:
        """The headers that carry the credentials. Default: a bearer token, if there is a key."""
        return {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}

    async def authorize(self, outgoing: OutgoingRequest) -> OutgoingRequest:
        """`outgoing` with credentials that fixed headers cannot carry: a signature over it, a token that expires.

        Awaited before every try, inside its deadlines; it may wait, and is cancelled with the request. It returns a
        request of its own and leaves the one it was given as it is. Raises `ProviderError` when there are no
        credentials to be had; a retryable one is tried again like a failure of the provider.
        """
        return outgoing

    def stream_decoder(self, request: LLMRequest) -> StreamDecoder:
        """The decoder of one streamed body. Default: server-sent events, each through `chunk_in`."""
        return EventStreamDecoder(lambda event: self.chunk_in(event, request))

    def model_for(self, request: ServiceRequest) -> str:
        """The model's name to send upstream."""
        if self.settings.bypass_model or self.settings.model is None:
            return request.metadata.matched or request.model
        return self.settings.model

    # -- life cycle ---------------------------------------------------------------------------------------------------

    def validate_config(self, config: Config) -> bool | str:
        return check_http_config(config)

    async def configure(self, config: Config) -> None:
        known = {field.encode_name for field in msgspec.structs.fields(HTTPSettings)}
        settings = msgspec.convert({k: v for k, v in config.items() if k in known}, HTTPSettings)
        self.settings = settings
        self._retry = RetryPolicy(settings.retry_attempts, settings.retry_delay / 1000)
        headers = {
            "content-type": "application/json",
            "user-agent": "triway",
            **self.auth_headers(settings),
            **{name.lower(): value for name, value in settings.custom_headers.items()},
        }
        self._headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        self._header_names = frozenset(headers)
        connect = settings.connect_timeout / 1000
        if settings.http2:
            from providers.transport.httpx_upstream import HTTPXUpstream  # httpx is large: only who wants it pays

            self.upstream = HTTPXUpstream(
                settings.base_url,
                connect_timeout=connect,
                max_connections=settings.max_connections,
                proxy=settings.proxy,
                ca_bundle=settings.ca_bundle,
                http2=True,
            )
        else:
            self.upstream = ConnectionPool(
                settings.base_url,
                connect_timeout=connect,
                max_connections=settings.max_connections,
                proxy=settings.proxy,
                ca_bundle=settings.ca_bundle,
            )

    def outlives_reload(self, config: Config) -> bool:  # not with certificates or credentials read from files
        return "caBundle" not in config and (not self._authorizes or "apiKey" in config)

    async def aclose(self) -> None:
        if hasattr(self, "upstream"):
            await self.upstream.aclose()

    # -- the calls ----------------------------------------------------------------------------------------------------

    async def execute(self, request: LLMRequest) -> LLMResponse:
        outgoing = self.request_out(request)
        return await self.call(outgoing, request, lambda body: self.response_in(body, request))

    async def call(self, outgoing: OutgoingRequest, request: ServiceRequest, read: Callable[[bytes], T]) -> T:
        """Send a request that is answered whole, with retries, and return `read(body)`."""
        request.notes.dropped += outgoing.dropped
        deadline = trio.current_time() + self.settings.timeout / 1000

        async def attempt() -> T:
            with trio.CancelScope(deadline=deadline):
                response = await self._send(outgoing, request)
                try:
                    return read_answer(read, await read_all(response, MAX_RESPONSE_BYTES))
                finally:
                    response.close()
            raise ProviderTimeoutError("total", self.settings.timeout / 1000)

        return await self._with_retries(attempt, request, deadline)

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        outgoing = self.request_out(request)
        request.notes.dropped += outgoing.dropped
        deadline = trio.current_time() + self.settings.timeout / 1000
        opened: OpenedStream | None = None
        error: GatewayError | None = None
        try:
            # One scope for all of it, whose deadline moves: a scope costs more than a few events do.
            with trio.CancelScope(deadline=deadline) as scope:
                opened = await self._with_retries(
                    lambda: self._open(outgoing, request, emitter, scope, deadline), request, deadline
                )
                error = await self._pass_on(opened, emitter, scope, deadline)
            if scope.cancelled_caught and not (opened is not None and opened.done):
                error = self._overdue(opened, deadline)
        finally:
            if opened is not None:
                opened.response.close()
                request.notes.skipped_events += opened.decoder.skipped
                request.notes.dropped_blocks += opened.decoder.dropped_blocks
        if error is not None:
            if opened is None:
                raise error
            await emitter.emit_error(error)
            return PhaseExecution(success=False, status=error.status, error=error.message)
        await emitter.emit_chunk(emitter.accumulator.response(), first=False, final=True)
        return None

    def _overdue(self, opened: OpenedStream | None, deadline: float) -> ProviderTimeoutError:
        """Which of a stream's deadlines has just passed."""
        settings = self.settings
        now = trio.current_time()
        if now >= deadline:
            return ProviderTimeoutError("total", settings.timeout / 1000)
        if opened is None or now >= opened.first_deadline:
            return ProviderTimeoutError("first_token", settings.first_token_timeout / 1000)
        return ProviderTimeoutError("idle", settings.idle_timeout / 1000)

    async def relay(self, request: RelayRequest) -> UpstreamResponse:
        """See `Provider.relay`. Never tried again: what the request does is not known here."""
        body = request.body if isinstance(request.body, bytes) else b""
        outgoing = OutgoingRequest(request.target, body, request.headers, request.method)
        if self._authorizes:
            outgoing = await self.authorize(outgoing)
        return await relay(self.upstream, outgoing, self._headers, request, self.settings)

    # -- one try ------------------------------------------------------------------------------------------------------

    async def _with_retries(self, attempt: Callable[[], Awaitable[T]], request: ServiceRequest, deadline: float) -> T:
        retries = 0
        while True:
            try:
                return await attempt()
            except ProviderError as error:
                delay = self._retry.delay(error, retries)
                if delay is None or trio.current_time() + delay >= deadline:
                    raise
                budget = request.metadata.retry_budget
                if budget is not None and not budget.withdraw():
                    raise
                log.info(
                    "provider failed (%s, status %s): try %d in %.2f s", error.kind, error.status, retries + 2, delay
                )
            retries += 1
            request.notes.retries += 1
            await trio.sleep(delay)

    async def _send(self, outgoing: OutgoingRequest, request: ServiceRequest) -> UpstreamResponse:
        """Send the request; return the response if its status is good, else raise what it says."""
        if self._authorizes:
            outgoing = await self.authorize(outgoing)
        headers = list(self._headers)
        for name, value in outgoing.headers.items():
            if name not in self._header_names:
                headers.append((name.encode("ascii"), value.encode("latin-1")))
        metadata = request.metadata
        if metadata.request_id:
            headers.append((b"x-request-id", metadata.request_id.encode("latin-1")))
        response = await self.upstream.request(
            outgoing.method.encode(), outgoing.target.encode("ascii"), headers, outgoing.body
        )
        good = False
        try:
            note_headers(request.notes, response.headers)
            good = response.status < 300
            if good:
                return response
            names = {key.decode("latin-1"): text.decode("latin-1") for key, text in response.headers}
            error = await self._error_of(response, names, headers)
            error.headers = request.notes.headers
            raise error
        finally:
            if not good:
                response.close()

    async def _error_of(self, response: UpstreamResponse, headers: dict[str, str], sent: Headers) -> ProviderError:
        status = response.status
        if status < 400:
            return BadResponseError(f"the provider answered with a redirect (status {status}); check baseUrl")
        try:
            body = mask_credentials(await read_all(response, MAX_ERROR_BYTES), sent)
        except ProviderError:
            body = b""  # the status says enough
        try:
            error = self.error_in(status, headers, body)
        except UNREADABLE:
            error = HTTPProvider.error_in(self, status, headers, body)  # a proxy's HTML page, say: the status stands
        error.upstream_status = status
        if (wait := parse_retry_after(headers)) is not None:
            error.retry_after = wait  # else the body may have said one
        if headers.get("x-should-retry") == "false":
            error.retryable = False
        if status == 401:
            # The body speaks of the gateway's own key, perhaps with a piece of it: not for the client.
            error.raw = None
            error.message = "the provider refused the gateway's credentials for this model"
        return error

    async def _open(
        self,
        outgoing: OutgoingRequest,
        request: LLMRequest,
        emitter: ChunkEmitter,
        scope: trio.CancelScope,
        deadline: float,
    ) -> OpenedStream:
        """Send the request and read up to the stream's first real event."""
        started = trio.current_time()
        first_deadline = started + self.settings.first_token_timeout / 1000
        scope.deadline = min(deadline, first_deadline)
        response: UpstreamResponse | None = None
        opened: OpenedStream | None = None
        try:
            response = await self._send(outgoing, request)
            opened = await self._first_event(response, request, emitter, started)
            if all(chunk.kind is EventKind.KEEP_ALIVE for chunk in opened.chunks) and opened.whole is None:
                opened.first_deadline = first_deadline
            return opened
        finally:
            scope.deadline = deadline
            if opened is None and response is not None:
                response.close()

    async def _first_event(
        self, response: UpstreamResponse, request: LLMRequest, emitter: ChunkEmitter, started: float
    ) -> OpenedStream:
        decoder = self.stream_decoder(request)
        if not self._is_stream(response):
            # Some servers ignore `stream` and answer whole; an HTML page is not an answer.
            body = await read_all(response, MAX_RESPONSE_BYTES)
            whole = read_answer(lambda body: self.response_in(body, request), body)
            return OpenedStream(response, decoder, [], whole)
        feed = feed_of(decoder, emitter)
        chunks: list[LLMResponse | TextRun] = []
        while True:
            data = await response.receive()
            new = feed(data) if data else decoder.eof()
            chunks += new
            for chunk in new:
                if isinstance(chunk, LLMResponse) and chunk.error is not None:
                    raise error_of_event(chunk.error, chunk.raw)
                late = trio.current_time() - started > KEEP_ALIVE_PATIENCE or len(chunks) > MAX_HELD_KEEP_ALIVES
                if chunk.kind is not EventKind.KEEP_ALIVE or late:
                    return OpenedStream(response, decoder, chunks)
            if not data:
                return OpenedStream(response, decoder, chunks)

    def _is_stream(self, response: UpstreamResponse) -> bool:
        """Whether the body is a stream. Raises `BadResponseError` for what is neither a stream nor JSON."""
        kind = next((value for name, value in response.headers if name == b"content-type"), b"").lower()
        if not kind or kind.startswith(self.stream_content_types):
            return True
        if kind.startswith(b"application/json"):
            return False
        shown = kind.split(b";")[0].decode("latin-1")[:60]
        raise BadResponseError(f"the provider answered with content type '{shown}' instead of a stream")

    # -- the loop over the stream -------------------------------------------------------------------------------------

    async def _pass_on(
        self, opened: OpenedStream, emitter: ChunkEmitter, scope: trio.CancelScope, deadline: float
    ) -> GatewayError | None:
        """Pass events on until the body ends, moving the deadline of `scope`. Returns what ended the stream early, if
        anything but a deadline did."""
        if opened.whole is not None:
            if opened.whole.error is not None:
                return error_of_event(opened.whole.error, None)
            await emitter.emit_batch([chunk_of_whole(opened.whole)], True)
            return None
        response, decoder = opened.response, opened.decoder
        feed = feed_of(decoder, emitter)
        idle = IdleDeadline(scope, deadline, self.settings.idle_timeout / 1000)
        chunks: Sequence[LLMResponse | TextRun] = opened.chunks
        first, done_at = True, math.inf
        while True:
            for place, chunk in enumerate(chunks):
                kind = chunk.kind
                if kind is not EventKind.KEEP_ALIVE:
                    opened.first_deadline = math.inf
                if kind is EventKind.CHUNK:
                    opened.done = False  # even behind a terminator: a second answer in the same body
                elif kind is EventKind.DONE:
                    opened.done, done_at = True, trio.current_time()
                elif isinstance(chunk, LLMResponse) and chunk.error is not None:
                    await emitter.emit_batch(chunks[:place], first)
                    return await opened.told_error(expand(chunks[place:]))
            emitter.ends = ends = opened.body_is_complete
            if chunks:
                await emitter.emit_batch(chunks, first)
                first = False
            if not ends:
                if opened.done:
                    idle.wait_begins_until(done_at + AFTER_DONE_GRACE)
                elif opened.first_deadline < math.inf:
                    idle.wait_begins_until(opened.first_deadline)
                else:
                    idle.wait_begins()
            try:
                data = await response.receive()
                if not ends:
                    idle.wait_is_over()
                if data:
                    chunks = feed(data)
                    continue
                ended = decoder.eof()
            except ProviderError as error:
                # After its terminator an answer is whole, however the connection ends.
                return None if opened.done else error
            if ended:
                last = [chunk for chunk in ended if chunk.kind is not EventKind.ERROR]
                await emitter.emit_batch(last, first)
                for chunk in ended:
                    if chunk.error is not None:
                        return error_of_event(chunk.error, chunk.raw)
            return None
