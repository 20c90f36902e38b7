"""The APIs that the suite can judge, read by its own rules. Imports nothing of `providers.wire` or `proxy`."""

from conformance.wires.anthropic_messages import WIRE as ANTHROPIC_MESSAGES
from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event, read_events
from conformance.wires.openai_chat import WIRE as OPENAI_CHAT

WIRES: dict[str, WireFormat] = {wire.api: wire for wire in (OPENAI_CHAT, ANTHROPIC_MESSAGES)}
"""By API. A provider whose `api` is not here cannot be judged, and a run that meets one fails."""

__all__ = ["WIRES", "ErrorShape", "Event", "WireFormat", "read_events"]
