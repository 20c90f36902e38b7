"""Back-pressure: what a caller does not take is not taken from the provider either, so memory stays bounded."""

from __future__ import annotations

import trio

from conformance.checks.base import BrokenPromiseError, Probe
from conformance.checks.probing import asking, synthetic, within
from conformance.replay import Play
from conformance.replay.deliveries import bytes_each
from conformance.stage import Stage
from conformance.subjects.base import Question, Subject, Traits

TEXT_BYTES = 16 * 1024
EVENTS = 3000
LIMIT = 24 * 1024 * 1024
"""Bytes of the answer's 48 MiB that may have left the provider: Linux keeps up to 10 MiB in the buffers of a loopback
connection, and there are two."""
STEADY = 15
"""Looks without a further byte, after which the subject is taken to have stopped reading. Looks, not seconds: a machine
that is too busy for the subject is too busy to look."""
LOOK = 0.02
"""Seconds between two looks."""
WAIT = 20.0
ARRIVAL = 10.0
"""Seconds that a request may take to the provider."""


class BackPressure(Probe):
    name = "back-pressure"
    sentence = "a caller that reads nothing stops the reading from the provider: what is held for it stays bounded"

    def variants(self, traits: Traits) -> list[str]:
        return [""] if traits.replayed else []

    async def run(self, subject: Subject, stage: Stage, variant: str) -> None:
        recording = synthetic(subject.upstream, ["x" * TEXT_BYTES] * EVENTS)
        prompt = stage.prompt_for(Play(recording, bytes_each(64 * 1024)))
        async with asking(subject, Question(prompt=prompt, stream=True, hold=trio.Event())):
            with within(ARRIVAL, "the request did not reach the provider"):
                exchange = await stage.exchange(prompt)
            with within(WAIT, "the reading from the provider did not stop, nor come to an end,"):
                steady, written = 0, -1
                while steady < STEADY and not exchange.completed.is_set():
                    steady = steady + 1 if exchange.bytes_written == written else 0
                    written = exchange.bytes_written
                    await trio.sleep(LOOK)
            taken = exchange.bytes_written
            # Before the caller goes: what its leaving does to the provider's connection is for "cancel" to judge.
            stage.hang_up(prompt)
        stage.drop(prompt)
        if taken > LIMIT:
            size = len(recording.response.body)
            raise BrokenPromiseError(f"{taken >> 20} of {size >> 20} MiB were taken from the provider for nobody")
