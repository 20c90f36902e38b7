"""Writes the head of a request. No I/O.

Rule of this file: nothing that came from a caller can end a line. Names and targets are checked against their grammar
once and remembered; values are checked all together by counting the line ends of the finished head, which costs less
than looking at each. An error never shows a value.
"""

from __future__ import annotations

import re

from providers.transport.address import Address, Proxy
from providers.transport.base import Headers
from providers.transport.failures import InvalidRequestError

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2: a method or a header's name."""
_TARGET = re.compile(rb"[/?][!\"$-~]*|")

_MAX_REMEMBERED = 1024
"""Names and targets come from configuration and code, but some may hold ids: what is remembered is bounded."""

_PLAIN, _HOST, _LENGTH, _CODING, _ACCEPT_ENCODING = 0, 1, 2, 4, 8
_SPECIAL = {
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"accept-encoding": _ACCEPT_ENCODING,
}
_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
"""Methods whose empty body is announced too (RFC 9110, 8.6)."""


class HeadWriter:
    """Writes heads for one address. Everything that is the same in each is made once, here."""

    __slots__ = ("_common", "_host", "_kinds", "_lines", "_path", "_prefix", "_query")

    def __init__(self, address: Address, proxy: Proxy | None) -> None:
        prefix = common = b""
        if proxy is not None and address.scheme == "http":
            # A proxy is asked for the whole URL (RFC 9112, 3.2.2); in a CONNECT tunnel the request is as without it.
            prefix = b"http://" + address.authority
            if proxy.authorization is not None:
                common = b"proxy-authorization: " + proxy.authorization + b"\r\n"
        self._host = b"host: " + address.authority + b"\r\n"
        self._prefix = prefix
        self._path = address.path
        self._query = address.query
        self._common = common
        self._lines: dict[tuple[bytes, bytes], bytes] = {}
        self._kinds: dict[bytes, int] = {}

    def write(self, method: bytes, target: bytes, headers: Headers, length: int | None) -> bytes:
        """The head, its blank line included, for a body of `length` bytes; None: a body in chunks.

        Adds `host`, and `accept-encoding: identity` unless the caller names codings: to compress a stream of events is
        to hold them back, and no header at all would permit it (RFC 9110, 12.5.3). `content-length` and
        `transfer-encoding` are written by the body that there is; the caller's may repeat it but not contradict it.

        Raises `InvalidRequestError`.
        """
        line = self._lines.get((method, target)) or self._request_line(method, target)
        parts = [line]
        kinds = self._kinds
        count = 2  # The request line and the blank line.
        seen = 0
        for name, value in headers:
            kind = kinds.get(name)
            if kind is None:
                kind = self._classify(name)
            if kind:
                seen |= kind
                if kind in (_LENGTH, _CODING):
                    _check_framing(kind, value, length)
                    continue
            parts += (name, b": ", value, b"\r\n")
            count += 1
        if not seen & _HOST:
            parts.append(self._host)
            count += 1
        if self._common:
            parts.append(self._common)
            count += 1
        if not seen & _ACCEPT_ENCODING:
            parts.append(b"accept-encoding: identity\r\n")
            count += 1
        if length is None:
            parts.append(b"transfer-encoding: chunked\r\n\r\n")
            count += 1
        elif length or method in _WITH_BODY:
            parts.append(b"content-length: %d\r\n\r\n" % length)
            count += 1
        else:
            parts.append(b"\r\n")
        head = b"".join(parts)
        if head.count(b"\n") != count or head.count(b"\r") != count or b"\0" in head:
            raise InvalidRequestError("a header's value holds a line end or a NUL")
        return head

    def path_of(self, target: bytes) -> bytes:
        """The path, and query, that a target stands for below the base URL. Raises `InvalidRequestError`."""
        if not _TARGET.fullmatch(target):
            raise InvalidRequestError("the target must begin with '/' or '?' and hold visible ASCII only")
        path, has_query, query = target.partition(b"?")
        path = self._path + path or b"/"
        queries = [part for part in (self._query, query) if part]
        if queries or has_query:
            path += b"?" + b"&".join(queries)
        return path

    def _request_line(self, method: bytes, target: bytes) -> bytes:
        if not _TOKEN.fullmatch(method):
            raise InvalidRequestError("the method is not an HTTP token")
        line = method + b" " + self._prefix + self.path_of(target) + b" HTTP/1.1\r\n"
        if len(self._lines) >= _MAX_REMEMBERED:
            self._lines.clear()
        self._lines[method, target] = line
        return line

    def _classify(self, name: bytes) -> int:
        if not _TOKEN.fullmatch(name):
            raise InvalidRequestError("a header's name is not an HTTP token")
        if len(self._kinds) >= _MAX_REMEMBERED:
            self._kinds.clear()
        kind = self._kinds[name] = _SPECIAL.get(name.lower(), _PLAIN)
        return kind


def _check_framing(kind: int, value: bytes, length: int | None) -> None:
    if kind == _LENGTH:
        if length is None or value.strip() != b"%d" % length:
            raise InvalidRequestError("content-length contradicts the body")
    elif length is not None or value.strip().lower() != b"chunked":
        raise InvalidRequestError("transfer-encoding contradicts the body")
