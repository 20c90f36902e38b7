"""Reads responses: bytes in, status, headers and body out. No I/O; httptools (llhttp) does the grammar.

Theory of operation. One parser serves one connection; `start` readies it for each response. What it knows moves only
forward:

    head awaited -> head_done -> complete
                \\-> fault    \\-> fault

* 1xx responses are passed over while the head is awaited (a bounded number; 101 is a fault: nobody asked for it).
* A fault never hides what came before it: the head and the body's pieces up to the garbage are handed out first. So
  any split of the same bytes gives the same response.
* What comes after a complete response is not an error of that response, but the connection is not `reusable` then.
* Whatever can grow is bounded: heads by `max_head_bytes`, and so is what a body may spend on chunk extensions and
  trailers without giving a byte of content.
"""

from __future__ import annotations

import httptools

from providers.errors import BadResponseError

MAX_HEAD_BYTES = 64 * 1024
_MAX_INFORMATIONAL = 16
"""1xx responses before the real one. Real services send one or two."""

_NOTED = frozenset({b"content-encoding", b"transfer-encoding"})
_NO_BODY = frozenset({204, 304})


class _Stop(Exception):  # noqa: N818 - no error: it makes the C parser return
    """Nothing more of these bytes is wanted."""


class ResponseParser:
    """Feed it what a connection receives."""

    __slots__ = (
        "_awaiting",
        "_chunked",
        "_fed",
        "_head_only",
        "_informational",
        "_interim",
        "_keep_alive",
        "_max_head",
        "_noted",
        "_parser",
        "complete",
        "content_encoding",
        "fault",
        "head_done",
        "headers",
        "on_body",
        "pieces",
        "status",
    )

    def __init__(self, max_head_bytes: int = MAX_HEAD_BYTES) -> None:
        self._max_head = max_head_bytes
        self.pieces: list[bytes] = []
        """The body's pieces that came and were not taken yet. Whoever takes them clears the list."""
        # The parser calls what this attribute is when it is made: the list's own method, without a frame of ours.
        self.on_body = self.pieces.append
        self._parser = httptools.HttpResponseParser(self)
        self.start(head_only=False)

    def start(self, *, head_only: bool) -> None:
        """Be ready for the next response. `head_only`: it answers a HEAD, so it has no body, whatever it says."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.content_encoding = b""
        """The codings of the body, outermost last; b"" for none."""
        self.head_done = False
        self.complete = False
        self.fault: BadResponseError | None = None
        self.pieces.clear()
        self._head_only = head_only
        self._keep_alive = False
        self._chunked = False
        self._noted = False
        self._interim = False
        self._informational = 0
        self._awaiting = True
        self._fed = 0

    def detach(self) -> None:
        """Break the cycle between this object and the C parser. It must not be fed after that."""
        del self._parser

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request: this response is complete and nothing came after it."""
        return self._keep_alive

    @property
    def untouched(self) -> bool:
        """Whether no byte of the response has come."""
        return self._awaiting and not self._fed

    @property
    def http_version(self) -> str:
        """`1.1` or `1.0`."""
        return str(self._parser.get_http_version())

    def feed(self, data: memoryview | bytes) -> None:
        """Take in the next bytes. Never raises for what they hold: see `fault`."""
        if self.fault is not None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the provider switched protocols unasked")
        except httptools.HttpParserError as error:
            # The parser's reasons are fixed texts; none holds a byte of the input.
            self._fail(f"the provider's answer is not HTTP: {error}")
        if self.complete and not self._awaiting:
            return
        if self._awaiting:
            self._check_head(len(data))
        elif self.pieces:
            self._fed = 0
        else:
            self._fed += len(data)
            if self._fed > self._max_head:
                self._fail(f"the framing of the provider's answer is larger than {self._max_head} bytes")

    def end(self) -> bool:
        """The connection is at its end. True: that completes the response; False: something is missing."""
        if self.fault is None and self.head_done and not self.complete and self._ends_with_connection():
            self.complete = True
        return self.complete

    def _ends_with_connection(self) -> bool:
        return not self._chunked and not any(name == b"content-length" for name, _ in self.headers)

    def _fail(self, message: str) -> None:
        self._keep_alive = False
        if not self.complete and self.fault is None:
            self.fault = BadResponseError(message)

    def _check_head(self, size: int) -> None:
        self._fed += size
        if self.head_done:
            self._awaiting = False
            too_large = self._fed > self._max_head and self._head_size() > self._max_head
            self._fed = 0
        else:
            too_large = self._fed > self._max_head
        if too_large:
            self.head_done = self.complete = False
            self.fault = None
            self._fail(f"the head of the provider's answer is larger than {self._max_head} bytes")

    def _head_size(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self.headers)

    # What the C parser calls.

    def on_message_begin(self) -> None:
        if self.complete:
            raise _Stop

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_done:
            return  # A trailer: nobody asked for one, and merging it into the head would be unsafe (RFC 9110, 6.5.1).
        name = name.lower()
        if name in _NOTED:
            self._noted = True
        self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._interim = True
            self._informational += 1
            self.headers = []
            self._noted = False
            if status < 100 or self._informational > _MAX_INFORMATIONAL:
                self._fail("the provider's answer does not go beyond 1xx responses")
                raise _Stop
            return
        self._interim = False
        self.status = status
        if self._noted:
            self._note_codings()
        self.head_done = True
        if self._head_only:
            # The C parser cannot be told that there is no body, so the connection ends with this response.
            self.complete = True
            raise _Stop

    def on_message_complete(self) -> None:
        if not self._interim:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()
        elif self.pieces:
            self.pieces.clear()
            self._fail("the provider sent a 1xx response with a body")
            raise _Stop

    def _note_codings(self) -> None:
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        self._chunked = codings == [b"chunked"]
        if codings and codings not in ([b"chunked"], [b"identity"]):
            self._fail("the provider's answer has a transfer coding that was not asked for")
            raise _Stop
        if self.status not in _NO_BODY:
            self.content_encoding = b",".join(value for name, value in self.headers if name == b"content-encoding")
