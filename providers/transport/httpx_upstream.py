"""An `Upstream` over httpx's stock client: for HTTP/2, and for what only httpx can do (client certificates, mocks ...).

Slower than `ConnectionPool` by an order of magnitude. What httpcore, below httpx, does not do is done here:
* Waiting in line for a slot: httpcore's own queue loses slots when requests in it are cancelled (httpcore#1093), so its
  pool is left without a bound, and a semaphore of ours stands before it.
* Closing without waiting: httpx can only close a response with `await`, an `UpstreamResponse` must not. A system task
  of trio does it, one for each abandoned response, with a deadline; `aclose` waits for them.
* Keeping an HTTP/2 connection whole when one of its requests is cancelled, and telling the service: `httpcore_http2`.
"""

from __future__ import annotations

import http.cookiejar
import logging
import ssl
from collections.abc import AsyncIterable, AsyncIterator

import httpx
import trio

from providers.errors import BadResponseError, ProviderError, ProviderTimeoutError
from providers.transport.address import parse_base_url
from providers.transport.base import Headers, UpstreamResponse
from providers.transport.failures import (
    ConnectError,
    DisconnectedError,
    PoolClosedError,
    ReceiveError,
    SendError,
    SlotTimeoutError,
)
from providers.transport.httpcore_http2 import open_connections, reset_abandoned_streams, shield_writes
from providers.transport.request_head import HeadWriter
from providers.transport.response import decoded
from providers.transport.tls import own_client_context

_CLOSING_SECONDS = 2.0
"""How long an abandoned response may take to close before it is dropped."""

_log = logging.getLogger(__name__)


class HTTPXUpstream:
    """An `Upstream` on `httpx.AsyncClient`; see `ConnectionPool` for the settings.

    With `http2`, HTTP/2 is spoken to https services that offer it by ALPN; `max_connections` still bounds the requests
    under way, which then share connections. A `client` that is given is used as it is (its own limits, proxies and
    certificates, whatever the settings here say) and closed by `aclose`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        http2: bool = True,
        connect_timeout: float = 10.0,
        max_connections: int = 1000,
        max_idle: int = 100,
        keepalive_expiry: float = 30.0,
        proxy: str | None = None,
        trust_env: bool = True,
        ca_bundle: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        if max_connections < 1:
            raise ValueError("max_connections: expected at least 1")
        address = parse_base_url(base_url)
        self._writer = HeadWriter(address, None)
        self._origin = httpx.URL(f"{address.scheme}://{address.authority_with_port.decode()}")
        self._connect_timeout = connect_timeout
        self._max_connections = max_connections
        self._slots = trio.Semaphore(max_connections)
        self._closing = 0
        """System tasks that close abandoned responses."""
        self._one_closed = trio.Event()
        self._closed = False
        self._client = client or httpx.AsyncClient(
            http2=http2,
            verify=ssl_context or own_client_context(ca_bundle, trust_env=trust_env),
            proxy=proxy,
            trust_env=trust_env,
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=max_idle, keepalive_expiry=keepalive_expiry
            ),
            # Requests of different users share the client: no cookie must go from one to the other.
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
        )
        shield_writes(self._client)

    @property
    def open_connections(self) -> int:
        """Connections in httpx's pool, idle and connecting ones included; 0 for a client that does not tell."""
        return len(open_connections(self._client))

    @property
    def used_slots(self) -> int:
        """Requests under way, abandoned ones included until they are closed."""
        return self._max_connections - self._slots.value

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes],
        *,
        length: int | None = None,
    ) -> UpstreamResponse:
        """Send a request and wait for the head of the response; see `Upstream.request`.

        A cancelled request's HTTP/2 stream is reset before `Cancelled` goes on, which takes two seconds at most.
        """
        # Written only to be checked: the same requests are refused, and with the same words, as by the pool.
        if isinstance(body, bytes):
            length = len(body)
        self._writer.write(method, target, headers, length)
        framed = headers if isinstance(body, bytes) else _with_framing(headers, length)
        request = httpx.Request(
            method.decode("ascii"),
            self._origin.copy_with(raw_path=self._writer.path_of(target)),
            headers=_with_accept_encoding(framed),
            content=body if isinstance(body, bytes) else None,
            extensions={"timeout": {"connect": self._connect_timeout, "read": None, "write": None, "pool": None}},
        )
        request.stream = _Body(body) if isinstance(body, bytes) else _Pieces(body)
        await self._take_slot()
        response: httpx.Response | None = None
        try:
            response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        except httpx.TransportError as error:
            raise self._translated(error) from error
        finally:
            if response is None:
                try:
                    with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING_SECONDS):
                        await reset_abandoned_streams(self._client, request)
                finally:
                    self._slots.release()
        if response.is_stream_consumed:
            # A transport that answers from memory (a mock) gives a body that httpx has read, and decoded, already.
            return HTTPXResponse(self, response, _whole(response.content), dropped=b"content-encoding")
        answer = HTTPXResponse(self, response, response.aiter_raw())
        return decoded(answer, response.headers.get("content-encoding", "").encode())

    async def aclose(self) -> None:
        """Close everything. Waits for abandoned responses, each of which has a deadline of two seconds."""
        self._closed = True
        with trio.move_on_after(_CLOSING_SECONDS):
            while self._closing:
                self._one_closed = trio.Event()
                await self._one_closed.wait()
        await self._client.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise PoolClosedError("the connection pool was closed")

    async def _take_slot(self) -> None:
        self._check_open()
        with trio.move_on_after(self._connect_timeout) as scope:
            await self._slots.acquire()
        if scope.cancelled_caught:
            raise SlotTimeoutError(self._connect_timeout)
        try:
            self._check_open()
        except PoolClosedError:
            self._slots.release()
            raise

    def _translated(self, error: httpx.TransportError) -> ProviderError:
        if self._closed:
            # Whatever httpx says of it: the connection did not break by itself.
            return PoolClosedError("the connection pool was closed", sent=True)
        match error:
            case httpx.ConnectTimeout() | httpx.PoolTimeout():
                return ProviderTimeoutError("connect", self._connect_timeout)
            case httpx.ConnectError() | httpx.ProxyError() | httpx.UnsupportedProtocol():
                return ConnectError(f"cannot connect: {error}")
            case httpx.WriteError() | httpx.LocalProtocolError():
                return SendError("the connection broke while the request was sent", sent=True)
            case httpx.RemoteProtocolError():
                if "disconnected" in str(error) or "closed connection" in str(error):
                    return DisconnectedError(
                        "the provider closed the connection before the end of its answer", sent=True
                    )
                return BadResponseError("the provider's answer is not HTTP")
            case _:
                return ReceiveError("the connection to the provider broke", sent=True)

    # Closing without waiting.

    def _release(self) -> None:
        self._slots.release()

    def _abandon(self, response: httpx.Response, body: AsyncIterator[bytes]) -> None:
        self._closing += 1
        trio.lowlevel.spawn_system_task(self._close_abandoned, response, body)

    async def _close_abandoned(self, response: httpx.Response, body: AsyncIterator[bytes]) -> None:
        try:
            with trio.move_on_after(_CLOSING_SECONDS):
                # A generator that is dropped half way leaves those below it to the garbage collector; one that is
                # cancelled at its next await winds all of them up in order.
                with trio.CancelScope() as scope:
                    scope.cancel()
                    async for _ in body:
                        pass
                await response.aclose()
                await reset_abandoned_streams(self._client, response.request)
        except Exception as error:  # noqa: BLE001 - an exception here would end the whole trio run
            _log.warning("closing an abandoned response failed: %s", type(error).__name__)
        finally:
            self._closing -= 1
            self._one_closed.set()
            self._slots.release()


class HTTPXResponse:
    """A response from httpx, its body as it came off the wire."""

    def __init__(
        self, upstream: HTTPXUpstream, response: httpx.Response, body: AsyncIterator[bytes], *, dropped: bytes = b""
    ) -> None:
        self._upstream = upstream
        self._response = response
        self._body = body
        self._complete = self._closed = False
        self.status = response.status_code
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        self.headers: Headers = [header for header in headers if header[0] != dropped]

    async def receive(self) -> bytes:
        """See `UpstreamResponse.receive`."""
        if self._closed:
            raise trio.ClosedResourceError("the response was closed")
        try:
            async for data in self._body:
                if data:
                    return data
        except httpx.TransportError as error:
            raise self._upstream._translated(error) from error
        self._complete = True
        return b""

    def close(self) -> None:
        """Let go of the response. httpx finishes it by itself when the body was read; else a system task ends it."""
        if self._closed:
            return
        self._closed = True
        if self._complete:
            self._upstream._release()
        else:
            self._upstream._abandon(self._response, self._body)


class _Body(httpx.AsyncByteStream):
    """A request's body, instead of httpx's own: that is a generator, which a cancelled request leaves unfinished."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._left = [body]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Body(self._body)

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class _Pieces(httpx.AsyncByteStream):
    """A request's body that comes in pieces."""

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._pieces)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _with_framing(headers: Headers, length: int | None) -> list[tuple[bytes, bytes]]:
    """`headers` with what says where a body in pieces ends."""
    framing = (b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length)
    others = [header for header in headers if header[0].lower() not in (b"content-length", b"transfer-encoding")]
    return [*others, framing]


def _with_accept_encoding(headers: Headers) -> list[tuple[bytes, bytes]]:
    named = any(name.lower() == b"accept-encoding" for name, _ in headers)
    return [*headers] if named else [*headers, (b"accept-encoding", b"identity")]
