"""How events lie in a streamed body: server-sent events, JSON lines, Amazon's binary frames."""

from conformance.wires.framings.amazon import AMAZON
from conformance.wires.framings.base import EventFraming
from conformance.wires.framings.ndjson import NDJSON
from conformance.wires.framings.sse import SSE

FRAMINGS: dict[str, EventFraming] = {framing.content_type: framing for framing in (SSE, NDJSON, AMAZON)}
"""By content type. A body of any other is one document."""

__all__ = ["AMAZON", "FRAMINGS", "NDJSON", "SSE", "EventFraming"]
