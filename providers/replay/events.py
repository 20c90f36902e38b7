"""Where the events of a recorded body begin and end. Pure functions; imports nothing of ours.

Deliberately not the decoder in `providers.wire.sse`: what plays a stream must not share the faults of what reads it.
"""

from __future__ import annotations

import re

EVENT_STREAM = "text/event-stream"
AMAZON_EVENT_STREAM = "application/vnd.amazon.eventstream"
NDJSON_STREAM = "application/x-ndjson"

_BLANK_LINE = re.compile(rb"(?:\r\n|\r(?!\n)|\n){2}")
_LINE = re.compile(rb"\n\s*")
_DATA = re.compile(rb"(?:^|[\r\n])data")


def split_events(body: bytes, content_type: str) -> list[bytes]:
    """Cut a body into its events, each with what separates it from the next. Joined again they are the body.

    Knows server-sent events, JSON lines and Amazon's binary frames; any other body, and one without any event, is one
    piece. `content_type` is a media type in lower case, without parameters.
    """
    if content_type == EVENT_STREAM:
        ends = [match.end() for match in _BLANK_LINE.finditer(body)]
    elif content_type == AMAZON_EVENT_STREAM:
        ends = _frame_ends(body)
    elif content_type == NDJSON_STREAM:
        ends = [match.end() for match in _LINE.finditer(body)]
    else:
        ends = []
    pieces: list[bytes] = []
    start = 0
    for end in [*ends, len(body)]:
        if end > start:
            pieces.append(body[start:end])
            start = end
    return pieces


def has_data(event: bytes) -> bool:
    """Whether a server-sent event has a data line; without one it is a comment or a lone field, no event."""
    return _DATA.search(event) is not None


def _frame_ends(body: bytes) -> list[int]:
    """Each frame begins with its own length, four bytes big endian (the vnd.amazon.eventstream prelude)."""
    ends: list[int] = []
    start = 0
    while start + 4 <= len(body):
        length = int.from_bytes(body[start : start + 4], "big")
        if length < 16 or start + length > len(body):
            break
        start += length
        ends.append(start)
    return ends
