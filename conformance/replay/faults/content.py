"""Faults of the content: HTTP is in order, what it carries is not. Does no I/O.

The events that are put in carry nothing of the answer, so where a fault must be survived the answer must be the same.
Event numbers count from 0; one past the last event means the place before the terminator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from conformance.replay.answer import Answer
from conformance.replay.faults.base import MAX_EVENT_BYTES, SUCCESS, Expectation, Fault
from providers.errors import ErrorKind

_UNKNOWN_FIELD = b'"x_triway_unknown":{"nested":[1,null,"\\u00e9"]},'
_OBJECT_START = re.compile(rb"\A(\s*\{)(?=\s*\")")
_NOT_UTF8 = b"\xc3\x28 \xff \xe6\xbc"

_HTML = (
    b"<!doctype html>\n<html><head><title>Attention required</title></head><body><h1>Checking ...</h1></body></html>\n"
)


def _with_body(answer: Answer, body: bytes) -> Answer:
    return msgspec.structs.replace(answer, body=body, timing=None)


def _offset_before(answer: Answer, number: int) -> int:
    """Where event `number` begins, or the terminator if it comes earlier."""
    events = 0
    for part in answer.parts:
        # Comments before an event belong to it.
        if events == number or part.terminates:
            return part.start
        events += part.event is not None
    return len(answer.body)


def _insert(answer: Answer, number: int, name: str, data: bytes) -> Answer:
    """With one more event before event `number`."""
    assert answer.framing is not None
    offset = _offset_before(answer, number)
    event = answer.framing.frame(name, data)
    return _with_body(answer, answer.body[:offset] + event + answer.body[offset:])


def _filler(answer: Answer, note: bytes) -> bytes:
    """The data of an event that says nothing, with a note of these bytes in it."""
    data = answer.wire.filler.data.encode().rstrip()
    return data[:-1] + b',"note":"' + note + b'"}'


def _with_fields(data: bytes) -> bytes:
    return _OBJECT_START.sub(lambda match: match[1] + _UNKNOWN_FIELD, data)


@dataclass(frozen=True)
class ErrorEvent(Fault):
    """The provider reports an error in band, in its API's own shape, and ends the body in good order."""

    event: int
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"an error event in place of event {self.event}, then the end of the body"

    def edit(self, answer: Answer) -> Answer:
        assert answer.framing is not None
        error = answer.framing.write(answer.wire.error_event)
        return _with_body(answer, answer.body[: _offset_before(answer, self.event)] + error)

    def expect(self, answer: Answer) -> Expectation:
        kinds = (ErrorKind.SERVER, ErrorKind.OVERLOADED, ErrorKind.UNAVAILABLE)
        return Expectation(outcome="error", in_band=self.event > 0, kinds=kinds, retried=False if self.event else None)


@dataclass(frozen=True)
class MalformedEvent(Fault):
    """An event of a known type whose data is not JSON stands among the others. It is skipped and counted."""

    event: int
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"an event that is not JSON before event {self.event}"

    def edit(self, answer: Answer) -> Answer:
        events = [part.event for part in answer.parts if part.event is not None]
        name = events[min(self.event, len(events) - 1)].name if events else ""
        return _insert(answer, self.event, name, b'{"broken": [1, 2')

    def expect(self, answer: Answer) -> Expectation:
        return SUCCESS


@dataclass(frozen=True)
class InvalidUTF8(Fault):
    """An event holds bytes that are not UTF-8, in a field that says nothing. It is skipped, or its bytes replaced."""

    event: int
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"an event with bytes that are not UTF-8 before event {self.event}"

    def edit(self, answer: Answer) -> Answer:
        return _insert(answer, self.event, answer.wire.filler.name, _filler(answer, _NOT_UTF8))

    def expect(self, answer: Answer) -> Expectation:
        return SUCCESS


@dataclass(frozen=True)
class UnknownEvent(Fault):
    """An event of a type that nobody has heard of, as APIs bring them in without notice."""

    event: int
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"an event of an unknown type before event {self.event}"

    def edit(self, answer: Answer) -> Answer:
        unknown = answer.wire.unknown_event
        return _insert(answer, self.event, unknown.name, unknown.data.encode())

    def expect(self, answer: Answer) -> Expectation:
        return SUCCESS


@dataclass(frozen=True)
class UnknownFields(Fault):
    """Every JSON object on the top level has a field that nobody has heard of."""

    @property
    def sentence(self) -> str:
        return "an unknown field in every event"

    def edit(self, answer: Answer) -> Answer:
        framing = answer.framing
        if framing is None:
            return _with_body(answer, _with_fields(answer.body))
        pieces = [framing.edit(part.data, _with_fields) if part.event else part.data for part in answer.parts]
        return _with_body(answer, b"".join(pieces))

    def expect(self, answer: Answer) -> Expectation:
        return SUCCESS if answer.status < 400 else Expectation(outcome="error", status=answer.status)


@dataclass(frozen=True)
class DuplicateTerminator(Fault):
    """The terminator comes twice."""

    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return "the terminator comes twice"

    def fits(self, answer: Answer) -> bool:
        return any(part.terminates for part in answer.parts)

    def edit(self, answer: Answer) -> Answer:
        last = [part.data for part in answer.parts if part.terminates][-1]
        return _with_body(answer, answer.body + last)

    def expect(self, answer: Answer) -> Expectation:
        return SUCCESS


@dataclass(frozen=True)
class MissingTerminator(Fault):
    """The body ends in good order, but without the terminator."""

    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return "the body ends without the terminator"

    def fits(self, answer: Answer) -> bool:
        return any(part.terminates for part in answer.parts)

    def edit(self, answer: Answer) -> Answer:
        return _with_body(answer, b"".join(part.data for part in answer.parts if not part.terminates))

    def expect(self, answer: Answer) -> Expectation:
        kinds = (ErrorKind.BAD_RESPONSE, ErrorKind.CONNECTION)
        left = self.edit(answer)
        if any(part.finishes for part in left.parts):
            # The finish reason was there, so to call the answer whole is as defensible as to call it cut.
            return Expectation(outcome="either", kinds=kinds)
        # The terminator is what carries the finish reason in this API.
        begun = any(part.event for part in left.parts)
        return Expectation(outcome="error", in_band=begun, kinds=kinds, retried=False if begun else None)


@dataclass(frozen=True)
class EarlyEnd(Fault):
    """The body ends in good order between two events: only the content tells that it is cut.

    It ends before the event with the finish reason, if that is among the first `events`.
    """

    events: int
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"the body ends in good order after {self.events} events, before the finish reason"

    def edit(self, answer: Answer) -> Answer:
        return _with_body(answer, answer.body[: _offset_before(answer, self._kept(answer))])

    def _kept(self, answer: Answer) -> int:
        """How many events come."""
        events = 0
        for part in answer.parts:
            if events == self.events or part.finishes:
                break
            events += part.event is not None
        return events

    def expect(self, answer: Answer) -> Expectation:
        begun = self._kept(answer) > 0
        return Expectation(
            outcome="error",
            in_band=begun,
            kinds=(ErrorKind.BAD_RESPONSE, ErrorKind.CONNECTION),
            retried=False if begun else None,
        )


@dataclass(frozen=True)
class OversizedEvent(Fault):
    """One event of `size` bytes among the others."""

    size: int = MAX_EVENT_BYTES + 1024
    event: int = 1
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"an event of {self.size} bytes before event {self.event}"

    def edit(self, answer: Answer) -> Answer:
        assert answer.framing is not None
        name = answer.wire.filler.name
        bare = len(answer.framing.frame(name, _filler(answer, b"")))
        return _insert(answer, self.event, name, _filler(answer, b"x" * max(0, self.size - bare)))

    def expect(self, answer: Answer) -> Expectation:
        if self.size <= MAX_EVENT_BYTES:
            return SUCCESS
        return Expectation(outcome="error", in_band=self.event > 0, kinds=(ErrorKind.BAD_RESPONSE,), retried=False)


@dataclass(frozen=True)
class CorruptEvent(Fault):
    """A bit of an event flips on the way, where the framing has a checksum that tells. It may be the length's."""

    event: int = 2
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"a bit of event {self.event} is flipped, so that its checksum does not fit"

    def fits(self, answer: Answer) -> bool:
        return answer.framing is not None and answer.framing.has_checksum and bool(answer.body)

    def edit(self, answer: Answer) -> Answer:
        assert answer.framing is not None
        blocks = answer.blocks
        place = self._place(answer)
        blocks[place] = answer.framing.corrupt(blocks[place])
        return _with_body(answer, b"".join(blocks))

    def _place(self, answer: Answer) -> int:
        return min(self.event, len(answer.parts) - 1)

    def expect(self, answer: Answer) -> Expectation:
        begun = self._place(answer) > 0
        kinds = (ErrorKind.BAD_RESPONSE,)
        return Expectation(outcome="error", in_band=begun, kinds=kinds, retried=False if begun else None)


@dataclass(frozen=True)
class EmptyBody(Fault):
    """A good status, the right content type, and not one byte."""

    @property
    def sentence(self) -> str:
        return "an empty body"

    def edit(self, answer: Answer) -> Answer:
        return _with_body(answer, b"")

    def expect(self, answer: Answer) -> Expectation:
        if answer.status >= 400:
            return Expectation(outcome="error", status=answer.status)
        return Expectation(outcome="error", kinds=(ErrorKind.BAD_RESPONSE, ErrorKind.CONNECTION))


@dataclass(frozen=True)
class WrongContentType(Fault):
    """A page of HTML with a good status, as captive portals and bot walls send it."""

    @property
    def sentence(self) -> str:
        return "status 200 with a page of HTML"

    def edit(self, answer: Answer) -> Answer:
        headers = {**answer.headers, "content-type": "text/html; charset=utf-8"}
        return msgspec.structs.replace(answer, status=200, headers=headers, body=_HTML, timing=None)

    def expect(self, answer: Answer) -> Expectation:
        return Expectation(outcome="error", status=502, kinds=(ErrorKind.BAD_RESPONSE,))
