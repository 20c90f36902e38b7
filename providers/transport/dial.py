"""Makes connected sockets: name resolution, TCP, the proxy's tunnel, TLS. The caller sets the deadline."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import trio
from trio.lowlevel import wait_readable, wait_writable

from providers.transport.address import Address, Proxy
from providers.transport.failures import ConnectError, ProxyError, explain

_MAX_TUNNEL_HEAD = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r\n)")
_REFUSALS = {407: "it wants other credentials", 403: "it does not allow this host", 502: "it could not reach the host"}

T = TypeVar("T")


class Dialer:
    """Opens connections to one address. `tls` is None for plain HTTP."""

    __slots__ = ("_address", "_connect_request", "_host", "_port", "_proxy", "_server_name", "_tls")

    def __init__(self, address: Address, proxy: Proxy | None, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._proxy = proxy
        self._tls = tls
        self._host, self._port = (address.host, address.port) if proxy is None else (proxy.host, proxy.port)
        # A certificate never has the dot that makes a name absolute; for an IP address ssl sends no SNI by itself.
        self._server_name = address.host.removesuffix(".")
        target = address.authority_with_port
        lines = [b"CONNECT %b HTTP/1.1" % target, b"host: %b" % target]
        if proxy is not None and proxy.authorization is not None:
            lines.append(b"proxy-authorization: " + proxy.authorization)
        self._connect_request = b"\r\n".join([*lines, b"", b""])

    async def dial(self) -> socket.socket:
        """A non-blocking socket, connected and, for https, past the handshake.

        Addresses are tried as RFC 8305 ("happy eyeballs") has it. Raises `ConnectError` or `ProxyError`. When
        cancelled, everything it opened is closed first.
        """
        connected = await self._connect()
        done = False
        try:
            if self._tls is not None:
                if self._proxy is not None:
                    await self._open_tunnel(connected)
                connected = await self._start_tls(connected, self._tls)
            done = True
        finally:
            if not done:
                connected.close()
        return connected

    async def _connect(self) -> socket.socket:
        failure = ConnectError if self._proxy is None else ProxyError
        where = f"{self._host}:{self._port}" if self._proxy is None else f"the proxy {self._host}:{self._port}"
        try:
            stream = await trio.open_tcp_stream(self._host, self._port)
        except OSError as error:
            raise failure(f"cannot connect to {where}: {explain(error)}") from error
        connected = socket.socket(fileno=stream.socket.detach())
        connected.setblocking(False)
        # trio has switched Nagle's algorithm off. It also keeps the kernel's send buffer small, for streams that may
        # change their mind; a request does not, and should leave in one call: 0 is the system's own setting.
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with suppress(OSError):
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 0)
        return connected

    async def _open_tunnel(self, connected: socket.socket) -> None:
        """CONNECT (RFC 9110, 9.3.6). In TLS the client speaks first, so nothing may follow the proxy's answer yet."""
        try:
            request = memoryview(self._connect_request)
            while request:
                request = request[await _when_ready(connected, wait_writable, partial(connected.send, request)) :]
            head = b""
            while b"\r\n\r\n" not in head and len(head) <= _MAX_TUNNEL_HEAD:
                received = await _when_ready(connected, wait_readable, partial(connected.recv, 4096))
                if not received:
                    raise ProxyError("the proxy closed the connection without an answer to CONNECT")
                head += received
        except OSError as error:
            raise ProxyError(f"the connection to the proxy broke: {explain(error)}") from error
        status = _STATUS.match(head)
        head, end, rest = head.partition(b"\r\n\r\n")
        if status is None or not end:
            raise ProxyError("the proxy's answer to CONNECT is not HTTP")
        code = int(status[1])
        if not 200 <= code < 300:
            reason = _REFUSALS.get(code)
            raise ProxyError(f"the proxy refused to connect with status {code}{': ' + reason if reason else ''}")
        if rest:
            raise ProxyError("the proxy sent something before TLS began")

    async def _start_tls(self, connected: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        where = f"{self._address.host}:{self._address.port}"
        secured: ssl.SSLSocket | None = None
        done = False
        try:
            # An end without close_notify must be seen: a body that lasts until the connection ends is cut then.
            secured = context.wrap_socket(
                connected,
                server_hostname=self._server_name,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
            )
            await _when_ready(secured, wait_writable, secured.do_handshake)
            done = True
        except (OSError, ssl.CertificateError, ValueError) as error:
            raise ConnectError(f"cannot connect to {where}: {explain(error)}") from error
        finally:
            if not done and secured is not None:
                secured.close()
        return secured


async def _when_ready(
    connected: socket.socket, wait: Callable[[socket.socket], Awaitable[None]], operation: Callable[[], T]
) -> T:
    """Do `operation` as soon as the socket lets it. `wait` is for a plain socket; TLS says itself what it waits for."""
    while True:
        await wait(connected)
        try:
            return operation()
        except ssl.SSLWantReadError:
            wait = wait_readable
        except ssl.SSLWantWriteError:
            wait = wait_writable
        except BlockingIOError:
            pass
