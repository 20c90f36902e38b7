"""Reads a request's head: all bytes up to the blank line in, a `RequestHead` out, or a `RefusedRequestError`. No I/O.

Two parsers must agree. One regular expression checks the bytes against a grammar that is narrower than RFC 9112's (no
bare LF, no line folding, no control characters, nothing between a name and its colon); llhttp takes them apart, and
has strict rules of its own for what is framing. What neither knows (Host, HTTP/1.0 with a transfer coding, the forms of
a target) is checked here. Everything that decides where a request ends is in this file and in `chunked.py`.
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

from proxy.server.errors import RefusedRequestError

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_FIELDS = rb"(?:" + TOKEN + rb":[\t -~\x80-\xff]*\r\n)*"
_HEAD = re.compile(TOKEN + rb" [!-~]+ HTTP/1\.[01]\r\n" + _FIELDS + rb"\r\n")
TRAILERS = re.compile(_FIELDS + rb"\r\n")
"""The trailers of a chunked body, with the blank line that ends them."""
_REQUEST_LINE = re.compile(TOKEN + rb" [!-~]+ HTTP/1\.[01]\r\n")
_OTHER_VERSION = re.compile(TOKEN + rb" [!-~]+ HTTP/[0-9]\.[0-9]\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[-0-9A-Za-z._~%!$&'()*+,;=]*)(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)([/?].*)?", re.IGNORECASE)
_CONTROLLING = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"))


class RequestHead:
    """A request line with its headers. llhttp's callbacks fill it in; `parse_head` checks it."""

    __slots__ = (
        "chunked",
        "close",
        "content_length",
        "expects_continue",
        "headers",
        "host",
        "http_version",
        "method",
        "raw_path",
        "upgrade",
        "wants_upgrade",
    )

    def __init__(self) -> None:
        self.method = ""
        self.raw_path = b""
        """The target as it came, the query included; of an absolute form only what follows the authority."""
        self.http_version = "1.1"
        self.headers: list[tuple[bytes, bytes]] = []
        """Names in lower case, values without white space around, in the order they came."""
        self.host: bytes | None = None
        self.content_length: int | None = None
        self.chunked = False
        self.close = False
        """The connection ends with this request: the client said so, or speaks HTTP/1.0."""
        self.expects_continue = False
        self.upgrade: bytes | None = None
        self.wants_upgrade = False

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.content_length)

    @property
    def is_websocket(self) -> bool:
        return self.upgrade == b"websocket" and self.wants_upgrade and self.method == "GET"

    # llhttp's callbacks

    def on_url(self, url: bytes) -> None:
        self.raw_path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        value = value.rstrip(b"\t ")
        self.headers.append((name, value))
        if name in _CONTROLLING:
            self._on_controlling(name, value)

    def _on_controlling(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            if self.host is not None:
                raise RefusedRequestError("more than one Host header")
            if _HOST.fullmatch(value) is None:
                raise RefusedRequestError("invalid Host header")
            self.host = value
        elif name == b"connection":
            for option in value.lower().split(b","):
                option = option.strip(b"\t ")
                if option == b"close":
                    self.close = True
                elif option == b"upgrade":
                    self.wants_upgrade = True
        elif name == b"content-length":
            if self.content_length is not None:
                raise RefusedRequestError("more than one Content-Length header")
            if _LENGTH.fullmatch(value) is None:
                raise RefusedRequestError("invalid Content-Length header")
            self.content_length = int(value)
        elif name == b"transfer-encoding":
            if self.chunked or value.lower() != b"chunked":
                raise RefusedRequestError("the only transfer coding that is supported is chunked, once", 501)
            self.chunked = True
        elif name == b"expect":
            self.expects_continue = value.lower() == b"100-continue"
        else:
            self.upgrade = value.lower()


def parse_head(data: bytes, *, max_headers: int) -> RequestHead:
    """Parse a head, its blank line included and nothing behind it. Raises `RefusedRequestError`."""
    if _HEAD.fullmatch(data) is None:
        raise _explain(data)
    head = RequestHead()
    parser = HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass  # CONNECT, or an `upgrade` header: what follows is decided here, not by llhttp
    except HttpParserInvalidMethodError:
        raise RefusedRequestError("unknown method", 501) from None
    except HttpParserError as error:
        # llhttp takes framing headers for errors before or after our callback saw them: ours has the better words.
        if isinstance(error.__context__, RefusedRequestError):
            raise error.__context__ from None
        raise _refine(data) from None
    if len(head.headers) > max_headers:
        raise RefusedRequestError(f"more than {max_headers} headers", 431)
    head.method = parser.get_method().decode("ascii")
    head.http_version = parser.get_http_version()
    if head.http_version == "1.0":
        if head.chunked:
            raise RefusedRequestError("a transfer coding in an HTTP/1.0 request")
        head.close = True
        head.expects_continue = False
    elif head.host is None:
        raise RefusedRequestError("no Host header")
    if head.chunked and head.content_length is not None:
        raise RefusedRequestError("both Content-Length and Transfer-Encoding")
    if head.raw_path[:1] != b"/":
        _settle_target(head)
    return head


def check_beginning(data: bytes, searched: int) -> None:
    """Raise `RefusedRequestError` for the beginning of a head that can no longer become one.

    So a client that speaks something else is told at once, not when its time is up. `searched` bytes of it have been
    here before.
    """
    if data[0] < 0x21:
        raise RefusedRequestError("malformed request line")  # white space, or a TLS handshake
    if _BARE_LF.search(data, max(0, searched - 1)) is not None:
        raise RefusedRequestError("a line that does not end with CRLF")
    line_end = data.find(b"\r\n", max(0, searched - 1))
    if line_end >= 0 and data.find(b"\r\n") == line_end and _REQUEST_LINE.match(data) is None:
        raise _explain(data)


def _settle_target(head: RequestHead) -> None:
    """Turn the absolute form into the origin form (RFC 9112, 3.2.2), and refuse what is no target for a server."""
    if head.raw_path == b"*" and head.method == "OPTIONS":
        return
    if head.method == "CONNECT":
        raise RefusedRequestError("CONNECT is not supported", 501)
    absolute = _ABSOLUTE.fullmatch(head.raw_path)
    if absolute is None or not absolute[1] or _HOST.fullmatch(absolute[1]) is None:
        raise RefusedRequestError("malformed request target")
    rest = absolute[2] or b"/"
    head.raw_path = rest if rest[:1] == b"/" else b"/" + rest
    # "the Host header field is ignored": the app must see only the authority that the target names.
    head.host = absolute[1]
    head.headers = [(b"host", head.host), *(pair for pair in head.headers if pair[0] != b"host")]


def _explain(data: bytes) -> RefusedRequestError:
    """Why bytes are no head, in words for the client."""
    if _REQUEST_LINE.match(data) is None:
        if _OTHER_VERSION.match(data) is not None:
            return RefusedRequestError("only HTTP/1.1 and HTTP/1.0 are supported here", 505)
        return RefusedRequestError("malformed request line")
    if _BARE_LF.search(data) is not None:
        return RefusedRequestError("a line that does not end with CRLF")
    return RefusedRequestError("malformed header")


def _refine(data: bytes) -> RefusedRequestError:
    """llhttp has refused what our grammar let through: say whether the framing is contradictory."""
    lower = data.lower()
    if b"\r\ntransfer-encoding:" in lower:
        if b"\r\ncontent-length:" in lower:
            return RefusedRequestError("both Content-Length and Transfer-Encoding")
        return RefusedRequestError("the only transfer coding that is supported is chunked, once", 501)
    if b"\r\ncontent-length:" in lower:
        return RefusedRequestError("invalid Content-Length header")
    return RefusedRequestError("malformed request")
