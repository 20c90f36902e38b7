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
            told_by = seen.expected.answered.failure
            what = f"holds an error ({told_by.message})" if told_by is not None else "holds nothing"
            return f"the provider's answer {what}, and the caller got a success"
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
        kept = [place for place, call in enumerate(expected.tool_calls) if not isinstance(call[1], str)]
        expected = msgspec.structs.replace(
            expected,
            tool_calls=[expected.tool_calls[place] for place in kept],
            call_ids=[expected.call_ids[place] for place in kept if place < len(expected.call_ids)],
        )
    if reader.calls_end_in_stop and expected.tool_calls and expected.finish == "stop":
        expected = msgspec.structs.replace(expected, finish="tool_calls")
    signed = reader.signs_reasoning and upstream.signatures_travel
    if reader.api != upstream.api and not signed:
        expected, received = expected.unsigned(), received.unsigned()
    return _details(reader, upstream, expected, received)


def _details(reader: WireFormat, upstream: WireFormat, expected: Facts, received: Facts) -> tuple[Facts, Facts]:
    """Both, alike in all details that need not come through."""
    alike: dict[str, object] = {}
    if reader.api != upstream.api:
        shared = reader.tells & upstream.tells
        alike = {name: getattr(expected, name) for name in ("id", "citations")}
        alike |= {name: getattr(expected, name) for name in ("others", "refusal", "logprobs") if name not in shared}
        if _names_calls(reader, expected, received):
            alike["call_ids"] = expected.call_ids
    else:
        # What an API leaves out, the model in the middle may have made up.
        named = len(expected.call_ids) == len(received.call_ids)
        ids = [told or got for told, got in zip(expected.call_ids, received.call_ids, strict=False)]
        expected = msgspec.structs.replace(
            expected, id=expected.id or received.id, call_ids=ids if named else expected.call_ids
        )
        alike = {name: getattr(expected, name) for name in ("citations", "logprobs") if name not in upstream.tells}
        if not expected.call_ids:
            alike["call_ids"] = []
    return expected, msgspec.structs.replace(received, **alike)


def _names_calls(reader: WireFormat, expected: Facts, received: Facts) -> bool:
    """Whether each call has a name of its own, wherever the caller's API has names for calls."""
    ids = received.call_ids
    if "call_ids" not in reader.tells:
        return True
    told = [id_ for id_ in expected.call_ids if id_]
    may_repeat = len(set(told)) < len(told)
    return len(ids) == len(received.tool_calls) and all(ids) and (may_repeat or len(set(ids)) == len(ids))


def _differences_for_sdk(seen: Seen, through: Reading) -> list[str]:
    """The SDK as the caller. Field for field is for "lossless" to judge."""
    if through.error is not None and not _told_error(seen):
        return [f"the SDK raised {through.error[0]}: {through.error[1]}"]
    return [f"read by the SDK, {one}" for one in differences(*_comparable(seen, seen.expected.facts, through.facts))]
