"""What a subject made of one request: `Answered`, as the checks see it. Does no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from conformance.facts import JSON, UNREADABLE, Facts
from conformance.wires import Event, WireFormat


class Failure(msgspec.Struct, kw_only=True):
    """How the caller learnt that there is no whole answer."""

    message: str
    status: int | None = None
    """The HTTP status that the caller sees or would see."""
    type: str | None = None
    """The error's type, as the caller's API spells it."""
    kind: str | None = None
    """The `ErrorKind`, where the subject is a provider class."""
    retryable: bool | None = None
    in_band: bool = False
    """It came after the stream had begun."""
    shaped: bool = True
    """It has the shape of the caller's API: false for a connection that just ends, or a page of HTML."""


class Answered(msgspec.Struct, kw_only=True):
    facts: Facts = msgspec.field(default_factory=Facts)
    """What the caller reads. From a provider class: what it decoded, not its raw bytes."""
    events: list[Event] = []
    """The stream's events, without those that say nothing."""
    document: JSON = None
    """The answer that came whole."""
    decoded: list[bytes] = []
    """From a provider class: each chunk's decoded view."""
    failure: Failure | None = None
    terminated: bool = False
    """It was said that the answer is whole: the API's success terminator, or a provider's final call."""
    raw: bytes = b""
    """The body as it was received."""
    breaches: list[str] = []
    """What the subject did that its own interface forbids."""
    hung: bool = False
    """It neither ended nor failed in the time it was given."""

    def lines(self) -> list[str]:
        """It as lines of text, for a report."""
        lines = [f"{event.name or 'data'}: {event.data}" for event in self.events]
        if self.document is not None:
            try:
                lines += json.dumps(self.document, indent=1, ensure_ascii=False).splitlines()
            except RecursionError:
                lines += self.raw.decode("utf-8", "replace").splitlines()
        if not lines:
            lines = [chunk.decode("utf-8", "replace") for chunk in self.decoded]
        if self.failure is not None:
            failure = msgspec.to_builtins(self.failure)
            lines.append("failure: " + ", ".join(f"{key}={value!r}" for key, value in failure.items()))
        lines.append(f"success terminator: {'yes' if self.terminated else 'no'}")
        return lines


def without_model(data: JSON) -> JSON:
    """The data less the name of the model, which routing may change."""
    if isinstance(data, dict):
        return {key: without_model(value) for key, value in data.items() if key != "model"}
    if isinstance(data, list):
        return [without_model(item) for item in data]
    return data


def comparable(event: Event) -> tuple[str, JSON]:
    """An event as its fields, less the model: equal if and only if the two say the same, field for field."""
    data = event.json()
    return event.name, event.data if data is None else without_model(data)


def read_stream(wire: WireFormat, body: bytes, *, broken: bool = False) -> Answered:
    """A streamed body, read by the suite's own rules. Fills `failure` from an error event, if there is one.

    `broken`: the body did not end as HTTP wants it; where an API has no terminator, that is what says so.
    """
    answered = Answered(raw=body)
    try:
        _read_events(wire, body, answered, broken=broken)
    except UNREADABLE as error:
        answered.failure = _misshapen(wire, error)
    return answered


def _read_events(wire: WireFormat, body: bytes, answered: Answered, *, broken: bool) -> None:
    events = answered.events = [event for event in wire.framing.read(body) if not wire.is_noise(event)]
    answered.facts = wire.facts_of_stream(events)
    for event in events:
        error = wire.error_of_event(event)
        if error is not None:
            answered.failure = Failure(message=error.message, type=error.type, in_band=True)
            break
    if wire.terminator is not None:
        answered.terminated = any(wire.is_terminator(event) for event in events)
    else:
        answered.terminated = not broken and not answered.failure and any(wire.finishes(event) for event in events)


def _misshapen(wire: WireFormat, error: Exception) -> Failure:
    return Failure(message=f"not in the shape of {wire.api}: {type(error).__name__}: {error}", shaped=False)


def read_whole(wire: WireFormat, status: int, headers: Mapping[str, str], body: bytes) -> Answered:
    """A body that is one document: an answer, or an error if `status` is 400 or more."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    answered = Answered(document=document, raw=body)
    try:
        _read_document(wire, status, headers, body, answered)
    except UNREADABLE as error:
        answered.failure = _misshapen(wire, error)
        answered.failure.status = status if status >= 400 else None
    return answered


def _read_document(wire: WireFormat, status: int, headers: Mapping[str, str], body: bytes, answered: Answered) -> None:
    document = answered.document
    if status >= 400:
        error = wire.error_of_body(document, headers)
        shown = error.message if error is not None else body[:200].decode("utf-8", "replace")
        kind = error.type if error is not None else None
        answered.failure = Failure(message=shown, status=status, type=kind, shaped=error is not None)
    elif not isinstance(document, dict):
        answered.failure = Failure(message=f"status {status} with a body that is not JSON", shaped=False)
    else:
        answered.facts = wire.facts_of_whole(document)
        error = wire.error_of_body(document, headers)
        answered.terminated = error is None
        if error is not None:
            answered.failure = Failure(message=error.message, type=error.type)
