"""One question to each target before a run: does it reach the replay server at all?"""

from __future__ import annotations

import trio

from conformance.bench import Bench
from conformance.cases import BUNDLED_SET, EXEMPLAR, load_takes
from conformance.replay import Play
from conformance.subjects.base import Question

SECONDS = 10.0
"""How long a question may take from the target to the replay server and back."""


class PreflightError(Exception):
    """A target cannot be tested; the message says why and what to do."""


async def preflight(bench: Bench) -> None:
    """Ask every subject once. Raises `PreflightError` for the first whose request does not arrive."""
    recordings = {
        take.recording.api: take.recording
        for take in load_takes([])
        if take.source == BUNDLED_SET and take.recording.name == EXEMPLAR and take.recording.kind == "json"
    }
    stage = bench.stage
    for subject in bench.subjects:
        prompt = stage.prompt_for(Play(recordings[subject.upstream.api]))
        answered = None
        with trio.move_on_after(SECONDS):
            answered = await subject.ask(Question(prompt=prompt, stream=False))
        arrived = stage.received(prompt)
        stage.drop(prompt)
        if arrived:
            continue
        if answered is None:
            what = f"gave no answer within {SECONDS:g} s"
        elif answered.failure is None:
            what = "answered by itself"
        elif answered.failure.status is None:
            what = f"gave no answer: {answered.failure.message}"
        else:
            what = f"answered with status {answered.failure.status}: {answered.failure.message[:300]}"
        raise PreflightError(
            f"{subject.name} at {subject.base_url} {what}. Its request did not arrive at the replay server, "
            f"{stage.url}: the gateway must send there what it gets (--listen chooses the port; --header may bring the "
            "key that it asks for, --model a model that it knows)"
        )
