"""`Event`: one event of a streamed body, whatever frames it. Imports nothing of the codecs under test."""

from __future__ import annotations

import json

import msgspec

from conformance.facts import JSON


class Event(msgspec.Struct, frozen=True):
    """One event that carries data."""

    name: str
    """Its type as the framing tells it (`event:` of SSE, `:event-type` of Amazon's frames); empty if it does not."""
    data: str
    exception: bool = False
    """It is marked as an error by the framing itself (`:message-type: exception` of Amazon's frames)."""

    def json(self) -> JSON:
        """The data as JSON; None if it is not JSON."""
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            return None
