"""In order and on time: each event is passed on before the next one arrives."""

from __future__ import annotations

import trio

from conformance.checks.base import BrokenPromiseError, Probe, TooLateError
from conformance.checks.probing import HeldPlay, synthetic
from conformance.stage import Stage
from conformance.subjects.base import Question, Subject, Traits

EVENTS = 8
PATIENCE = 2.0
"""Seconds to wait for an event that should be passed on at once; far more than any scheduler needs."""


class OnTime(Probe):
    name = "on time"
    sentence = "each event reaches the caller before the provider sends the next one, and in order: nothing is buffered"

    def variants(self, traits: Traits) -> list[str]:
        return [""] if traits.replayed else []

    async def run(self, subject: Subject, stage: Stage, variant: str) -> None:
        words = [f"w{number}w " for number in range(EVENTS)]
        marks = [word.strip().encode() for word in words]
        seen = bytearray()
        late: list[int] = []
        waiting_since: dict[int, float] = {}

        def hold(_: int, data: bytes) -> bool:
            number = next((n for n, mark in enumerate(marks) if mark in data), 0)
            if not number or late or marks[number - 1] in seen:
                return False
            if trio.current_time() - waiting_since.setdefault(number, trio.current_time()) > PATIENCE:
                late.append(number - 1)
            return not late

        play = HeldPlay(synthetic(subject.upstream, words), hold=hold)
        prompt = stage.prompt_for(play)
        answered = await subject.ask(Question(prompt=prompt, stream=True, on_data=seen.extend))
        if answered.hung:
            raise TooLateError("the answer did not end")
        if answered.failure is not None:
            raise BrokenPromiseError(f"no answer: {answered.failure.message}")
        if late:
            raise BrokenPromiseError(
                f"the event with text {words[late[0]]!r} was not passed on within {PATIENCE:g} s, while no other came"
            )
        if answered.facts.text != "".join(words):
            raise BrokenPromiseError(f"out of order: {answered.facts.text!r}")
