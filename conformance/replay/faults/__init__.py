"""Everything that goes wrong after a provider has taken a request, by name. Does no I/O.

`connection`: it ends, is reset or falls silent. `content`: HTTP is in order, what it carries is not. `status`: an error
status. What goes wrong before there is a request (no listener, no TLS ...) is in `conformance.replay.listeners`.
"""

from __future__ import annotations

from conformance.replay.faults.base import MAX_EVENT_BYTES, Cut, End, Expectation, Fault
from conformance.replay.faults.connection import (
    AFTER_HEAD,
    BEFORE_HEAD,
    Fin,
    Place,
    Reset,
    Stall,
    after_events,
    at_byte,
    inside_event,
)
from conformance.replay.faults.content import (
    CorruptEvent,
    DuplicateTerminator,
    EarlyEnd,
    EmptyBody,
    ErrorEvent,
    InvalidUTF8,
    MalformedEvent,
    MissingTerminator,
    OversizedEvent,
    UnknownEvent,
    UnknownFields,
    WrongContentType,
)
from conformance.replay.faults.status import BODIES, STATUSES, StatusFault

FAULTS: dict[str, Fault] = {
    "fin-before-head": Fin(BEFORE_HEAD),
    "fin-after-head": Fin(AFTER_HEAD),
    "fin-in-first-event": Fin(inside_event(0)),
    "fin-between-events": Fin(after_events(3)),
    "fin-in-event": Fin(inside_event(3)),
    "fin-at-byte": Fin(at_byte(100)),
    "reset-before-head": Reset(BEFORE_HEAD),
    "reset-after-head": Reset(AFTER_HEAD),
    "reset-in-first-event": Reset(inside_event(0)),
    "reset-between-events": Reset(after_events(3)),
    "reset-in-event": Reset(inside_event(3)),
    "reset-at-byte": Reset(at_byte(100)),
    "silent": Stall(BEFORE_HEAD),
    "stall-after-head": Stall(AFTER_HEAD),
    "stall-between-events": Stall(after_events(3)),
    "stall-in-event": Stall(inside_event(3)),
    "error-first": ErrorEvent(0),
    "error-late": ErrorEvent(3),
    "malformed-first": MalformedEvent(0),
    "malformed-late": MalformedEvent(3),
    "invalid-utf8": InvalidUTF8(2),
    "unknown-event": UnknownEvent(2),
    "unknown-fields": UnknownFields(),
    "duplicate-terminator": DuplicateTerminator(),
    "missing-terminator": MissingTerminator(),
    "early-end": EarlyEnd(3),
    "oversized-event": OversizedEvent(),
    "large-event": OversizedEvent(size=1024 * 1024),
    "corrupt-event": CorruptEvent(),
    "empty-body": EmptyBody(),
    "wrong-content-type": WrongContentType(),
    **{f"{status}-{body}": StatusFault(status, body) for status in STATUSES for body in BODIES},
    "429-retry-after": StatusFault(429, retry_after=1),
    "429-retry-after-date": StatusFault(429, retry_after=1, http_date=True),
    "429-retry-after-long": StatusFault(429, retry_after=3600),
    "503-retry-after": StatusFault(503, retry_after=1),
}
"""One of each. `oversized-event` needs 16 MiB of memory for each play."""

__all__ = [
    "AFTER_HEAD",
    "BEFORE_HEAD",
    "BODIES",
    "FAULTS",
    "MAX_EVENT_BYTES",
    "STATUSES",
    "CorruptEvent",
    "Cut",
    "DuplicateTerminator",
    "EarlyEnd",
    "EmptyBody",
    "End",
    "ErrorEvent",
    "Expectation",
    "Fault",
    "Fin",
    "InvalidUTF8",
    "MalformedEvent",
    "MissingTerminator",
    "OversizedEvent",
    "Place",
    "Reset",
    "Stall",
    "StatusFault",
    "UnknownEvent",
    "UnknownFields",
    "WrongContentType",
    "after_events",
    "at_byte",
    "inside_event",
]
