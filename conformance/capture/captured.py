"""`Captured`: one exchange as a proxy saw it or another tool wrote it down, before anything is taken out of it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from providers.replay.recording import JSON, Timing

Headers = list[tuple[str, str]]
"""In order, names in lower case."""


HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110, 7.6.1: of one connection, so neither passed on nor recorded."""


FRAMING = frozenset({"content-length", "content-encoding", "host", "accept-encoding", "expect"})
"""Of how a body was sent: it is recorded as it is without that."""


class CapturedRequest(msgspec.Struct, kw_only=True):
    """The request, content coding undone."""

    method: str
    host: str
    """Of the provider, without the port; empty if it is not known."""
    path: str
    query: str = ""
    headers: Headers = []
    body: bytes = b""
    secrets: list[str] = []
    """What is known to be secret beside what the headers say: a password in the URL."""


class Captured(msgspec.Struct, kw_only=True):
    """Request and response. Holds secrets: it is never written, and never printed."""

    request: CapturedRequest | None = None
    status: int = 200
    headers: Headers = []
    """Of the response."""
    body: bytes = b""
    """Of the response, content coding undone."""
    timing: Timing | None = None
    incomplete: str = ""
    """See `Recording.incomplete`."""
    source: dict[str, JSON] = {}

    @property
    def media_type(self) -> str:
        """The response's, in lower case, without parameters; empty if it has none."""
        return media_type(self.headers)


def header(headers: Headers, name: str) -> str:
    """The first header of that name (in lower case); empty if there is none."""
    return next((value for key, value in headers if key == name), "")


def media_type(headers: Headers) -> str:
    """The media type that the headers name, in lower case, without parameters; empty if they name none."""
    return header(headers, "content-type").partition(";")[0].strip().lower()


def joined(headers: Headers, name: str) -> str:
    """All values of the header as one (RFC 9110, 5.3)."""
    return ",".join(value for key, value in headers if key == name)


def end_to_end(headers: Headers) -> Headers:
    """The headers without those of the connection: the known ones, and those that `connection` names."""
    dropped = HOP_BY_HOP | {option.strip().lower() for option in joined(headers, "connection").split(",")}
    return [(name, value) for name, value in headers if name not in dropped]


def as_text(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers from the wire."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def as_bytes(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers for the wire."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
