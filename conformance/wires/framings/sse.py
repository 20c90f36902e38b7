"""Server-sent events (WHATWG HTML, 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Callable

from conformance.wires.events import Event
from conformance.wires.framings.base import EventFraming
from providers.replay.events import EVENT_STREAM, has_data, split_events

_LINE_END = re.compile(r"\r\n|\r|\n")
_LINE_END_BYTES = re.compile(rb"\r\n|\r|\n")
_DATA_LINE = re.compile(rb"^(data: ?)([^\r\n]*)", re.MULTILINE)


class ServerSentEvents(EventFraming):
    content_type = EVENT_STREAM
    line_ends = (b"\r\n", b"\r")
    idle = (b": keep-alive\n\n", b":\n\n", b": PROCESSING \xe2\x80\xa6\n\n", b"retry: 3000\n\n")

    def split(self, body: bytes) -> list[bytes]:
        return split_events(body, EVENT_STREAM)

    def is_event(self, block: bytes) -> bool:
        return has_data(block)

    def read(self, body: bytes) -> list[Event]:
        """Comments, lone fields and events without data are none.

        What follows the last blank line counts too: SDKs take it, although the standard does not.
        """
        text = body.decode("utf-8", "replace").removeprefix("\ufeff")
        events: list[Event] = []
        name, data = "", list[str]()
        for line in [*_LINE_END.split(text), ""]:
            if not line:
                if data:
                    events.append(Event(name, "\n".join(data)))
                name, data = "", []
                continue
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data.append(value)
            elif field == "event":
                name = value
        return events

    def frame(self, name: str, data: bytes, *, exception: bool = False) -> bytes:
        event = b"event: %b\n" % name.encode() if name else b""
        return event + b"data: " + data + b"\n\n"

    def edit(self, block: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """Of data over several lines the first is changed: that is where a JSON document begins."""
        return _DATA_LINE.sub(lambda match: match[1] + change(match[2]), block, count=1)

    def with_line_ends(self, body: bytes, line_end: bytes) -> bytes:
        return _LINE_END_BYTES.sub(line_end, body)


SSE = ServerSentEvents()
