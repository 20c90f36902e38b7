"""Split-proof: how an answer is cut, framed and paced on its way changes nothing of what is read."""

from __future__ import annotations

import msgspec

from conformance.answered import comparable
from conformance.checks.base import AnswerCheck, Seen
from conformance.facts import differences


class SplitProof(AnswerCheck):
    name = "split-proof"
    sentence = "any delivery of the same answer reads the same"

    def applies(self, seen: Seen) -> bool:
        return seen.fault is None and seen.baseline is not None

    def judge(self, seen: Seen) -> str | None:
        answered, baseline = seen.answered, seen.baseline
        assert baseline is not None
        if (answered.failure is None) != (baseline.failure is None):
            failure = answered.failure or baseline.failure
            assert failure is not None
            where = "this delivery" if answered.failure is not None else "the baseline"
            return f"{where} alone failed: {failure.message}"
        if answered.failure is not None and baseline.failure is not None:
            now, then = answered.failure, baseline.failure
            if (now.status, now.type, now.kind) != (then.status, then.type, then.kind):
                return f"failed with {now}, in the baseline with {then}"
        then_read, now_read = baseline.facts, answered.facts
        if not seen.traits.lossless:
            # Names that the gateway made up are new each time.
            now_read = msgspec.structs.replace(now_read, id=then_read.id, call_ids=then_read.call_ids)
        found = differences(then_read, now_read)
        if found:
            return "; ".join(found)
        if answered.terminated != baseline.terminated:
            return f"success terminator: {answered.terminated}, in the baseline: {baseline.terminated}"
        if answered.decoded != baseline.decoded:
            return _first("decoded chunk", baseline.decoded, answered.decoded)
        if seen.traits.lossless:
            wanted = [comparable(event) for event in baseline.events]
            got = [comparable(event) for event in answered.events]
            if wanted != got:
                return _first("event", wanted, got)
        return None


def _first(what: str, wanted: list[object] | list[bytes] | list[tuple[str, object]], got: object) -> str:
    assert isinstance(got, list)
    for place, (one, other) in enumerate(zip(wanted, got, strict=False)):
        if one != other:
            return f"{what} {place}: in the baseline {one!r:.300}, here {other!r:.300}"
    return f"{len(got)} {what}s, in the baseline {len(wanted)}"
