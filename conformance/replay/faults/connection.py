"""Faults of the connection: it ends, is reset or falls silent, at a chosen place. Does no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from conformance.replay.answer import Answer
from conformance.replay.faults.base import SUCCESS, Cut, End, Expectation, Fault
from providers.errors import ErrorKind


class Place(msgspec.Struct, frozen=True):
    """A place in an answer. One that lies past the last event moves to just before it, so that it always bites."""

    where: Literal["before-head", "after-events", "inside-event", "at-byte"]
    number: int = 0
    """How many whole events come first; for `at-byte`: how many bytes."""

    def offset(self, answer: Answer) -> int:
        """In bytes of the body; -1: before the head."""
        if self.where == "before-head":
            return -1
        if self.where == "at-byte":
            return min(self.number, max(0, len(answer.body) - 1))
        offsets = answer.event_offsets()
        event = min(self.number, max(0, len(offsets) - 2))
        if self.where == "after-events" or len(offsets) == 1:
            return offsets[event]
        return (offsets[event] + offsets[event + 1]) // 2

    def __str__(self) -> str:
        match self.where:
            case "before-head":
                return "before the response's head"
            case "after-events":
                return f"after {self.number} events" if self.number else "after the head"
            case "inside-event":
                return f"inside event {self.number}"
            case _:
                return f"after {self.number} bytes of the body"


BEFORE_HEAD = Place("before-head")
AFTER_HEAD = Place("after-events", 0)


def after_events(count: int) -> Place:
    return Place("after-events", count)


def inside_event(number: int) -> Place:
    """In the middle of event `number`, counted from 0."""
    return Place("inside-event", number)


def at_byte(count: int) -> Place:
    return Place("at-byte", count)


@dataclass(frozen=True)
class _Broken(Fault):
    place: Place

    def _cut(self, answer: Answer, end: End) -> Cut:
        return Cut(self.place.offset(answer), end)

    def _expect(self, answer: Answer, kinds: tuple[ErrorKind, ...], status: int, retried: bool | None) -> Expectation:
        offset = self.place.offset(answer)
        if answer.framing is not None:
            if 0 <= answer.complete_at <= offset:
                # Without a terminator only the body's end would have said that nothing more comes.
                return SUCCESS if answer.wire.terminator else Expectation(outcome="either", kinds=kinds)
            offsets = answer.event_offsets()
            in_band = len(offsets) > 1 and offset >= offsets[1]
        else:
            in_band = False
        if in_band:
            return Expectation(outcome="error", in_band=True, kinds=kinds, retried=False)
        return Expectation(outcome="error", status=status, kinds=kinds, retried=retried)


@dataclass(frozen=True)
class Fin(_Broken):
    """The connection is closed in good order, but too early."""

    @property
    def sentence(self) -> str:
        return f"the connection is closed {self.place}"

    def cut(self, answer: Answer) -> Cut:
        return self._cut(answer, End.FIN)

    def expect(self, answer: Answer) -> Expectation:
        # Where the end of the connection is the end of the body, only the content can tell that it is cut.
        kinds = (ErrorKind.CONNECTION, ErrorKind.BAD_RESPONSE)
        return self._expect(answer, kinds, 502, retried=None)


@dataclass(frozen=True)
class Reset(_Broken):
    """The connection is reset."""

    @property
    def sentence(self) -> str:
        return f"the connection is reset {self.place}"

    def cut(self, answer: Answer) -> Cut:
        return self._cut(answer, End.RST)

    def expect(self, answer: Answer) -> Expectation:
        return self._expect(answer, (ErrorKind.CONNECTION,), 502, retried=None)


@dataclass(frozen=True)
class Stall(_Broken):
    """The provider falls silent and keeps the connection open for as long as the peer does.

    `BEFORE_HEAD`: it takes the request and sends nothing. `AFTER_HEAD`: it sends the response's head and nothing more.
    """

    @property
    def sentence(self) -> str:
        return f"the provider falls silent {self.place}"

    def cut(self, answer: Answer) -> Cut:
        return self._cut(answer, End.STALL)

    def expect(self, answer: Answer) -> Expectation:
        return self._expect(answer, (ErrorKind.TIMEOUT,), 504, retried=None)
