"""What a provider's response headers say that the gateway keeps: its request's id, and what clients of the API want."""

from __future__ import annotations

from providers.model import RequestNotes
from providers.transport.base import Headers

_RELAYED_HEADERS = (
    b"retry-after",
    b"x-should-retry",
    b"x-ratelimit-",
    b"anthropic-ratelimit-",
    b"openai-processing-ms",
)
_REQUEST_ID_HEADERS = frozenset({b"x-request-id", b"request-id", b"x-amzn-requestid"})


def note_headers(notes: RequestNotes, headers: Headers) -> None:
    """Keep them in `notes`, in place of those of an earlier try."""
    notes.headers = {}
    for key, text in headers:
        if key in _REQUEST_ID_HEADERS:
            notes.upstream_request_id = text.decode("latin-1")
        elif key.startswith(_RELAYED_HEADERS):
            notes.headers[key.decode("latin-1")] = text.decode("latin-1")
