"""What probes are made of: answers that wait for a word, and callers that leave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from conformance.answered import Answered
from conformance.checks.base import TooLateError
from conformance.replay import Answer, Play
from conformance.replay.answer import Piece
from conformance.replay.play import Plan
from conformance.subjects.base import Question, Subject
from conformance.wires import WireFormat
from providers.replay.recording import RecordedResponse, Recording

_POLL = 0.002
LONGEST_HOLD = 20.0
"""Seconds after which a held answer goes on by itself, so that nothing hangs for ever."""


class HeldPlay(Play, frozen=True, kw_only=True):
    """A play whose pieces wait: `hold(index, data)` is asked again and again until it says False.

    Piece 0 is the response's head.
    """

    hold: Callable[[int, bytes], bool]

    def plan(self) -> Plan:
        plan = Play.plan(self)
        return Plan(self._held(plan.pieces), plan.end)

    def _held(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        started = trio.current_time()
        for index, piece in enumerate(pieces):
            while self.hold(index, piece.data) and trio.current_time() < started + LONGEST_HOLD:
                yield Piece(b"", _POLL)
            yield piece


def synthetic(wire: WireFormat, texts: list[str]) -> Recording:
    """A streamed answer that says `texts`, an event for each."""
    body = b"".join(wire.framing.write(event) for event in wire.synthetic(texts))
    response = RecordedResponse(status=200, headers={"content-type": wire.framing.content_type}, body=body)
    return Recording(name="synthetic", api=wire.api, vendor="triway", kind="stream", response=response)


def whole_answer(wire: WireFormat) -> Answer:
    """Some answer that is not streamed, for a caller that leaves before it."""
    return Answer(headers={"content-type": "application/json"}, body=b"{}", api=wire.api)


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Leave the block after `seconds` at the latest. Raises `TooLateError`, which says that `what` took longer."""
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise TooLateError(f"{what} within {seconds:g} s")


class Asking:
    """A question that is being asked."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.answered: Answered | None = None
        """What came of it, once it is over and nobody left."""


@asynccontextmanager
async def asking(subject: Subject, question: Question) -> AsyncIterator[Asking]:
    """Ask beside the block. `scope.cancel()` is the caller's leaving; the block's end is that too, at the latest."""
    asked = Asking()

    async def ask() -> None:
        with asked.scope:
            asked.answered = await subject.ask(question)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        try:
            yield asked
        finally:
            asked.scope.cancel()
