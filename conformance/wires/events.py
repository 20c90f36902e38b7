"""Server-sent events from a whole body (WHATWG HTML, 9.2.6). Imports nothing of ours.

Deliberately not `providers.wire.sse`: what judges a stream must not share the faults of what wrote it.
"""

from __future__ import annotations

import json
import re

import msgspec

from conformance.facts import JSON

_LINE_END = re.compile(r"\r\n|\r|\n")


class Event(msgspec.Struct, frozen=True):
    """One event that carries data."""

    name: str
    """The `event` field; empty if there is none."""
    data: str

    def json(self) -> JSON:
        """The data as JSON; None if it is not JSON."""
        try:
            return json.loads(self.data)
        except ValueError:
            return None


def read_events(body: bytes) -> list[Event]:
    """All events of a body. Comments, lone fields and events without data are none.

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
