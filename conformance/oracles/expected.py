"""`Expected`: what a recording says, by the official SDK where the API has one, else by the suite's own reading."""

from __future__ import annotations

import msgspec

from conformance.answered import Answered, read_stream, read_whole
from conformance.deliveries import BASELINE
from conformance.facts import Facts, differences
from conformance.oracles import Reading, ask_sdk, oracle_of
from conformance.replay import DELIVERIES, Answer, Play
from conformance.stage import Stage
from conformance.wires import WIRES, WireFormat
from providers.replay.recording import Recording


class Expected(msgspec.Struct, kw_only=True):
    facts: Facts
    answered: Answered
    """The recording's own bytes, as the suite reads them."""
    sdk: Reading | None
    """What the official SDK reads straight from the replay server."""
    doubt: str = ""
    """The SDK and the suite do not agree on what was said: then a check of either would prove nothing."""


def read_answer(wire: WireFormat, answer: Answer) -> Answered:
    """An answer as the suite reads its bytes."""
    if answer.framing is not None and answer.status < 400:
        return read_stream(wire, answer.body)
    return read_whole(wire, answer.status, answer.headers, answer.body)


async def expect(recording: Recording, stage: Stage) -> Expected:
    """The oracle of one recording. Raises `MissingSDKError`."""
    wire = WIRES[recording.api]
    answered = read_answer(wire, Answer.of(recording))
    oracle = oracle_of(recording.api)
    if oracle is None:
        return Expected(facts=answered.facts, answered=answered, sdk=None)
    prompt = stage.prompt_for(Play(recording, DELIVERIES[BASELINE]))
    reading = await ask_sdk(oracle, stage.url, "m", prompt, recording.kind == "stream")
    stage.drop(prompt)
    doubt = "; ".join(differences(reading.facts, answered.facts)) if reading.error is None else ""
    return Expected(facts=reading.facts, answered=answered, sdk=reading, doubt=doubt)
