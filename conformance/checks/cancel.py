"""Cancel: a caller that leaves takes the provider's connection with it, whatever was going on."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio

from conformance.checks.base import BrokenPromiseError, Probe
from conformance.checks.probing import HeldPlay, asking, synthetic, whole_answer, within
from conformance.replay import Answer, Exchange, Play
from conformance.replay.deliveries import EVENT
from conformance.stage import Stage
from conformance.subjects.base import Question, Subject, Traits

SOON = 0.1
"""How soon the provider's connection must be closed, in seconds: the promise."""
TRIES = 5
"""One that is in time proves it; a busy machine may spoil the others."""
LONG = 0.8
"""After so many seconds nobody will close it any more."""
RETRY_AFTER = 1
ARRIVAL = 10.0
"""Seconds that a request may take to the provider."""
PATIENCE = 1.0
"""Seconds after which the caller leaves, whether or not it has seen what it waits for. Events flow for longer."""

_WORDS = [f"w{number}w " for number in range(400)]
_RETRY = "in a retry's sleep"
_MID_STREAM = "in mid-stream"
_HELD_PIECES = {"before the head": 0, "after the head": 1, "before a whole answer": 0}
"""Phases in which the provider is silent, by the piece that it holds back."""
_SHOWN, _HELD = b"w1w", b"w5w"
"""In mid-stream the caller has seen the one text, and the provider holds the other one back."""
_FLOWING = "while events flow"
_PACE = 0.005
"""Seconds between the events that flow."""


class Cancel(Probe):
    name = "cancel"
    sentence = "when the caller leaves, in any phase, the provider's connection is closed within 100 ms"

    def variants(self, traits: Traits) -> list[str]:
        if not traits.replayed:
            return []
        phases = [*_HELD_PIECES, _MID_STREAM, _FLOWING]
        if traits.http:
            phases += [f"{phase} (reset)" for phase in phases]
        return [*phases, _RETRY] if traits.strict else phases

    async def run(self, subject: Subject, stage: Stage, variant: str) -> None:
        phase, _, reset = variant.partition(" (")
        if phase == _RETRY:
            await _leave_in_retry(subject, stage)
            return
        took = [await _leave(subject, stage, phase, bool(reset))]
        while SOON <= min(took) < LONG and len(took) < TRIES:
            took.append(await _leave(subject, stage, phase, bool(reset)))
        if min(took) >= LONG:
            raise BrokenPromiseError(f"{LONG:g} s after the caller left, the provider's connection was still open")
        if min(took) >= SOON:
            raise BrokenPromiseError(
                f"the provider's connection was closed {min(took) * 1000:.0f} ms after the caller left"
            )


async def _leave(subject: Subject, stage: Stage, phase: str, reset: bool) -> float:
    """Seconds from the caller's leaving to the end of the provider's connection; `LONG` if it did not end by then."""
    released = False
    seen = bytearray()
    recording = synthetic(subject.upstream, _WORDS)
    started = trio.current_time()
    holding = False

    def hold(index: int, data: bytes) -> bool:
        nonlocal holding
        if phase == _FLOWING:
            return not released and trio.current_time() < started + _PACE * index
        holding = holding or (_HELD in data if phase == _MID_STREAM else index == _HELD_PIECES[phase])
        return holding and not released

    play = HeldPlay(whole_answer(subject.upstream) if "whole" in phase else recording, EVENT, hold=hold)
    prompt = stage.prompt_for(play)
    question = Question(prompt=prompt, stream="whole" not in phase, on_data=seen.extend, reset=reset)
    try:
        async with asking(subject, question) as asked:
            exchange = await _until(stage, prompt, phase, seen)
            left_at = trio.current_time()
            asked.scope.cancel()
            with trio.move_on_after(LONG):
                await exchange.peer_closed.wait()
            closed_at = exchange.peer_closed.time
            released = True  # whoever is still reading gets the rest, and ends
            with trio.move_on_after(LONG):
                await exchange.ended.wait()
    finally:
        released = True
    return LONG if closed_at is None else min(LONG, closed_at - left_at)


async def _until(stage: Stage, prompt: str, phase: str, seen: bytearray) -> Exchange:
    """Wait for the phase."""
    with within(ARRIVAL, "the request did not reach the provider"):
        exchange = await stage.exchange(prompt)
    with trio.move_on_after(PATIENCE):
        if phase == "after the head":
            await _poll(lambda: exchange.bytes_written > 0)
        elif phase in (_MID_STREAM, _FLOWING):
            # A caller that is shown nothing may leave as well: that it is late is for "on time" to tell.
            await _poll(lambda: _SHOWN in seen)
    await trio.sleep(0.01)
    return exchange


async def _poll(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - bytes that arrive are no event of trio's
        await trio.sleep(0.002)


async def _leave_in_retry(subject: Subject, stage: Stage) -> None:
    wire = subject.upstream
    overloaded = Answer(
        status=503,
        headers={
            "content-type": "application/json",
            "retry-after": str(RETRY_AFTER),
            **wire.error_headers(503),
        },
        body=msgspec.json.encode(wire.error_body(503, "Overloaded")),
        api=wire.api,
    )
    prompt = stage.prompt_for(Play(overloaded))
    async with asking(subject, Question(prompt=prompt, stream=True)) as asked:
        with within(ARRIVAL, "the request did not reach the provider, or its answer was not taken,"):
            exchange = await stage.exchange(prompt)
            await exchange.completed.wait()
        await trio.sleep(0.05)
        asked.scope.cancel()
        await trio.sleep(RETRY_AFTER + 0.25)
    if stage.received(prompt) > 1:
        raise BrokenPromiseError("the request was tried again after the caller had left")
