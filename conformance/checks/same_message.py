"""Same message: what the caller reads is what the official SDK reads straight from the provider."""

from __future__ import annotations

import msgspec

from conformance.checks.base import AnswerCheck, Seen
from conformance.facts import Facts, differences
from conformance.oracles import Reading
from conformance.wires import WireFormat


class SameMessage(AnswerCheck):
    name = "same message"
    sentence = (
        "text, reasoning, tool calls and finish reason are what the official SDK reads straight from the provider"
    )

    def applies(self, seen: Seen) -> bool:
        if seen.recording.kind == "error":
            return False
        if seen.expectation is not None:
            return seen.expectation.outcome == "success" and seen.expectation.same_answer
        return seen.is_baseline

    def judge(self, seen: Seen) -> str | None:
        if seen.expected.doubt:
            return f"the oracle is in doubt, the SDK and the suite read different things: {seen.expected.doubt}"
        answered = seen.answered
        if answered.breaches:
            return f"the provider interface was broken: {'; '.join(answered.breaches)}"
        told = _told_error(seen)
        if answered.failure is not None and not told:
            return f"no answer: {answered.failure.message}"
        if answered.failure is None and told:
            return "the provider's answer holds an error (or nothing), and the caller got a success"
        found = differences(*_comparable(seen, seen.expected.facts, answered.facts))
        if not found and seen.sdk is not None:
            found = _differences_for_sdk(seen, seen.sdk)
        return "; ".join(found) or None


def _told_error(seen: Seen) -> bool:
    """Whether the recorded answer itself is an error under a good status, or none that another API could say."""
    straight = seen.expected
    empty = seen.recording.kind == "json" and not straight.facts.finish and not seen.traits.lossless
    return straight.answered.failure is not None or empty


def _comparable(seen: Seen, expected: Facts, received: Facts) -> tuple[Facts, Facts]:
    expected, received = expected.without_usage(), received.without_usage()
    answers = sum(map(seen.upstream.begins, seen.expected.answered.events))
    if _told_error(seen) or answers > 1:
        # How a broken answer would have finished was never said; several answers have several ends.
        expected = msgspec.structs.replace(expected, finish=None)
        received = msgspec.structs.replace(received, finish=None)
    return as_told_in(seen.wire, seen.upstream, expected, received)


def as_told_in(reader: WireFormat, upstream: WireFormat, expected: Facts, received: Facts) -> tuple[Facts, Facts]:
    """What `upstream` said and what a caller of `reader` got, less what `reader` by design cannot say."""
    if not reader.says_cut_calls:
        whole = [call for call in expected.tool_calls if not isinstance(call[1], str)]
        expected = msgspec.structs.replace(expected, tool_calls=whole)
    if reader.calls_end_in_stop and expected.tool_calls and expected.finish == "stop":
        expected = msgspec.structs.replace(expected, finish="tool_calls")
    signed = reader.signs_reasoning and upstream.signatures_travel
    if reader.api != upstream.api and not signed:
        expected, received = expected.unsigned(), received.unsigned()
    return expected, received


def _differences_for_sdk(seen: Seen, through: Reading) -> list[str]:
    """The SDK as the caller. Field for field is for "lossless" to judge."""
    if through.error is not None and not _told_error(seen):
        return [f"the SDK raised {through.error[0]}: {through.error[1]}"]
    return [f"read by the SDK, {one}" for one in differences(*_comparable(seen, seen.expected.facts, through.facts))]
