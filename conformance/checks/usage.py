"""Usage: tokens are counted once, also when the stream was cut."""

from __future__ import annotations

from conformance.checks.base import AnswerCheck, Seen
from conformance.checks.before_the_cut import told_before_the_cut
from conformance.facts import Usage
from conformance.replay.faults import ErrorEvent, Fin, Stall


class UsageCounted(AnswerCheck):
    name = "usage"
    sentence = (
        "tokens reach the caller and the subject's own count as the provider told them, once, also when it was cut"
    )

    def applies(self, seen: Seen) -> bool:
        if seen.answered.hung or seen.recording.kind == "error":
            return False
        if seen.fault is None:
            return seen.is_baseline and seen.answered.failure is None
        # A reset may overtake what was sent before it; the others arrive to the last byte.
        in_band = seen.expectation is not None and seen.expectation.in_band
        return seen.traits.strict and in_band and isinstance(seen.fault, (Fin, Stall, ErrorEvent))

    def judge(self, seen: Seen) -> str | None:
        told = seen.expected.facts.usage if seen.fault is None else told_before_the_cut(seen).usage
        received = seen.answered.facts.usage
        if seen.counted is not None and seen.counted.or_zero() != told.or_zero():
            return f"the subject counted {_words(seen.counted)}, the provider told {_words(told)}"
        if seen.fault is not None and seen.traits.http:
            return None  # what an API tells its client of a cut answer's usage is its own affair
        if seen.traits.lossless and (received.input, received.output) != (told.input, told.output):
            return f"the caller reads {_words(received)}, the provider told {_words(told)}"
        if received.or_zero() != told.or_zero():
            return f"the caller reads {_words(received)}, the provider told {_words(told)}"
        shared = seen.wire.tells & seen.upstream.tells
        for name, count in told.details().items():
            if name not in shared and not seen.traits.lossless:
                continue
            # A vendor may count it apart from the whole; an API in which it is a part cannot say more than the whole.
            whole = (told.input if name == "cached" else told.output) or 0
            allowed = {count} if seen.traits.lossless else {count, min(count, whole)}
            if received.details()[name] not in allowed:
                return f"the caller reads {received.details()[name]} {name} tokens, the provider told {count}"
        return None


def _words(usage: Usage) -> str:
    return f"{usage.input} tokens in and {usage.output} out"
