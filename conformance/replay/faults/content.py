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
from conformance.replay.faults.terminator import is_terminator, tells_finish
from providers.errors import ErrorKind
from providers.replay.events import has_data

_ERROR_EVENTS = {
    "openai-chat": b'data: {"error":{"message":"The server had an error while processing your request.",'
    b'"type":"server_error","param":null,"code":null}}\n\n',
    "anthropic-messages": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
    b'"message":"Overloaded"}}\n\n',
    "openai-responses": b'event: error\ndata: {"type":"error","code":"server_error","message":"The server had an error '
    b'while processing your request.","param":null,"sequence_number":1}\n\n',
    "gemini-generate": b'data: {"error":{"code":503,"message":"The model is overloaded.",'
    b'"status":"UNAVAILABLE"}}\r\n\r\n',
}

_UNKNOWN_EVENTS = {
    "anthropic-messages": b'event: triway_surprise\ndata: {"type":"triway_surprise","index":0,"news":["x",1,null]}\n\n',
}
_UNKNOWN_EVENT = b'event: triway.surprise\ndata: {"object":"triway.surprise","news":["x",1,null]}\n\n'

_UNKNOWN_FIELD = b'"x_triway_unknown":{"nested":[1,null,"\\u00e9"]},'
_EVENT_OBJECT = re.compile(rb"^(data: ?\{)(?=\s*\")", re.MULTILINE)
_WHOLE_OBJECT = re.compile(rb"\A(\s*\{)(?=\s*\")")

_HTML = (
    b"<!doctype html>\n<html><head><title>Attention required</title></head><body><h1>Checking ...</h1></body></html>\n"
)


def _with_body(answer: Answer, body: bytes) -> Answer:
    return msgspec.structs.replace(answer, body=body, timing=None)


def _offset_before(answer: Answer, number: int) -> int:
    """Where event `number` begins, or the terminator if it comes earlier."""
    events = 0
    position = 0
    offsets = answer.event_offsets()
    for block in answer.blocks:
        if events == number or is_terminator(block, answer.api):
            return position
        position += len(block)
        if position in offsets:
            events += 1
    return position


def _insert(answer: Answer, number: int, event: bytes) -> Answer:
    offset = _offset_before(answer, number)
    return _with_body(answer, answer.body[:offset] + event + answer.body[offset:])


@dataclass(frozen=True)
class ErrorEvent(Fault):
    """The provider reports an error in band, in its API's own shape, and ends the body in good order."""

    event: int
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"an error event in place of event {self.event}, then the end of the body"

    def edit(self, answer: Answer) -> Answer:
        error = _ERROR_EVENTS.get(answer.api, _ERROR_EVENTS["openai-chat"])
        return _with_body(answer, answer.body[: _offset_before(answer, self.event)] + error)

    def expect(self, answer: Answer) -> Expectation:
        kinds = (ErrorKind.SERVER, ErrorKind.OVERLOADED, ErrorKind.UNAVAILABLE)
        return Expectation(outcome="error", in_band=self.event > 0, kinds=kinds, retried=False if self.event else None)


@dataclass(frozen=True)
class MalformedEvent(Fault):
    """An event whose data is not JSON stands among the others. It is skipped and counted."""

    event: int
    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return f"an event that is not JSON before event {self.event}"

    def edit(self, answer: Answer) -> Answer:
        return _insert(answer, self.event, b'data: {"broken": [1, 2\n\n')

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
        return _insert(answer, self.event, b'data: {"type":"ping","object":"ping","note":"\xc3\x28 \xff \xe6\xbc"}\n\n')

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
        return _insert(answer, self.event, _UNKNOWN_EVENTS.get(answer.api, _UNKNOWN_EVENT))

    def expect(self, answer: Answer) -> Expectation:
        return SUCCESS


@dataclass(frozen=True)
class UnknownFields(Fault):
    """Every JSON object on the top level has a field that nobody has heard of."""

    @property
    def sentence(self) -> str:
        return "an unknown field in every event"

    def edit(self, answer: Answer) -> Answer:
        start = _EVENT_OBJECT if answer.is_event_stream else _WHOLE_OBJECT
        return _with_body(answer, start.sub(lambda match: match[1] + _UNKNOWN_FIELD, answer.body))

    def expect(self, answer: Answer) -> Expectation:
        return SUCCESS if answer.status < 400 else Expectation(outcome="error", status=answer.status)


@dataclass(frozen=True)
class DuplicateTerminator(Fault):
    """The terminator comes twice."""

    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return "the terminator comes twice"

    def edit(self, answer: Answer) -> Answer:
        last = [block for block in answer.blocks if is_terminator(block, answer.api)][-1:]
        return _with_body(answer, answer.body + b"".join(last))

    def expect(self, answer: Answer) -> Expectation:
        return SUCCESS


@dataclass(frozen=True)
class MissingTerminator(Fault):
    """The body ends in good order after the finish reason, but without the terminator."""

    streams_only: ClassVar[bool] = True

    @property
    def sentence(self) -> str:
        return "the body ends without the terminator"

    def edit(self, answer: Answer) -> Answer:
        kept = [block for block in answer.blocks if not is_terminator(block, answer.api)]
        return _with_body(answer, b"".join(kept))

    def expect(self, answer: Answer) -> Expectation:
        # The finish reason was there, so to call the answer whole is as defensible as to call it cut.
        return Expectation(outcome="either", kinds=(ErrorKind.BAD_RESPONSE,))


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
        for block in answer.blocks:
            if events == self.events or tells_finish(block, answer.api):
                break
            events += has_data(block)
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
        start, end = b'data: {"type":"ping","object":"ping","note":"', b'"}\n\n'
        filling = b"x" * max(0, self.size - len(start) - len(end))
        return _insert(answer, self.event, start + filling + end)

    def expect(self, answer: Answer) -> Expectation:
        if self.size <= MAX_EVENT_BYTES:
            return SUCCESS
        return Expectation(outcome="error", in_band=self.event > 0, kinds=(ErrorKind.BAD_RESPONSE,), retried=False)


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
