"""Honest ending: a failed answer never looks like a whole one."""

from __future__ import annotations

from conformance.checks.base import AnswerCheck, Seen
from conformance.replay.faults import Fin, Reset


class HonestEnding(AnswerCheck):
    name = "honest ending"
    sentence = "after a fault the caller learns of it: no success terminator, no invented text, and the SDK raises"

    def applies(self, seen: Seen) -> bool:
        return seen.answered.hung or (seen.expectation is not None and seen.expectation.outcome != "success")

    def judge(self, seen: Seen) -> str | None:
        answered, expectation = seen.answered, seen.expectation
        if answered.hung:
            return "it hung: neither an end nor an error"
        assert expectation is not None
        whole, said = seen.expected.facts, answered.facts
        if not whole.text.startswith(said.text) or not whole.reasoning.startswith(said.reasoning):
            return f"text that was never sent: {said.text[-80:]!r}"
        if expectation.outcome == "either":
            if answered.failure is not None and answered.terminated:
                return "an error and a success terminator"
            return None
        if answered.terminated:
            return "a success terminator although the answer is not whole"
        # What ends well in HTTP and lacks only its content's end is passed on as it came by those who promise no more.
        broke = isinstance(seen.fault, (Fin, Reset))
        if answered.failure is None and (seen.traits.strict or broke or seen.recording.kind != "stream"):
            return "a silent success: neither an error nor a cut"
        if seen.sdk is not None and seen.sdk.hung:
            return f"the SDK hung: {seen.sdk.error[1] if seen.sdk.error else ''}"
        if seen.sdk is not None and seen.sdk.error is None and (seen.traits.strict or broke):
            return "the SDK raised nothing"
        return None
