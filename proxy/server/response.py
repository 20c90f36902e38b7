"""Bytes of responses: heads from ASGI's `http.response.start`, and the server's own short error answers. No I/O."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

import msgspec

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CLOSE = b"connection: close\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_OWN = frozenset((b"content-length", b"transfer-encoding", b"connection", b"date"))

_date_second = 0
_date = b""


def date_line() -> bytes:
    """The `date` header, made once a second."""
    global _date, _date_second
    second = int(time.time())
    if second != _date_second:
        _date = b"date: " + formatdate(second, usegmt=True).encode("ascii") + b"\r\n"
        _date_second = second
    return _date


class ResponseStart:
    """A response's status and headers, checked, waiting for the body that decides its framing."""

    __slots__ = ("close", "content_length", "lines", "status")

    def __init__(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises `ValueError` or `TypeError` for what must not go on the wire: the app's fault.

        A `transfer-encoding` of the app is dropped, framing being the server's; of `connection` only `close` counts.
        """
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is no status of a final response")
        self.status = status
        self.content_length: int | None = None
        self.close = False
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        dated = False
        for name, value in headers:
            name = name.lower()
            if name in _OWN:
                if name == b"content-length":
                    if not value.isdigit() or self.content_length not in (None, int(value)):
                        raise ValueError("invalid content-length in a response")
                    self.content_length = int(value)
                    continue
                if name == b"connection":
                    self.close = self.close or b"close" in value.lower()
                    continue
                if name == b"transfer-encoding":
                    continue
                dated = True
            lines.append(b"%b: %b\r\n" % (name, value))
        if not dated:
            lines.append(date_line())
        head = b"".join(lines)
        # One line a header and no other line ends: a value that a provider or a plugin chose cannot start a header
        # or a body of its own.
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise ValueError("a line break or NUL in a response header")
        self.lines = head


_ENCODER = msgspec.json.Encoder()


def error_response(status: int, message: str, kind: str = "invalid_request_error") -> bytes:
    """A whole short answer of the server itself, in the JSON that clients of LLM APIs can read. Ends the connection."""
    body = _ENCODER.encode({"error": {"message": message, "type": kind}})
    return b"".join(
        (
            _STATUS_LINES[status],
            b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body),
            date_line(),
            CLOSE,
            b"\r\n",
            body,
        )
    )
