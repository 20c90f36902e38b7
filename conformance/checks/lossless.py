"""Lossless: between two speakers of one API nothing is lost and nothing changed, known to anybody or not."""

from __future__ import annotations

from conformance.answered import comparable, without_model
from conformance.checks.base import AnswerCheck, Seen
from conformance.oracles.expected import read_answer
from conformance.replay.faults import UnknownEvent, UnknownFields

_HIDDEN_STATUS = 401
"""Its body speaks of the gateway's own key, which is not the client's to see."""


class Lossless(AnswerCheck):
    name = "lossless"
    sentence = "same API on both sides: every event is equal field for field, unknown events and fields included"

    def applies(self, seen: Seen) -> bool:
        if not seen.traits.lossless:
            return False
        if seen.fault is not None:
            return isinstance(seen.fault, (UnknownEvent, UnknownFields))
        if seen.recording.kind == "error":
            return seen.is_baseline and seen.traits.http and seen.recording.response.status != _HIDDEN_STATUS
        return seen.is_baseline

    def judge(self, seen: Seen) -> str | None:
        answer = seen.play.answer
        if seen.fault is not None:
            answer = seen.fault.edit(answer)
        sent = read_answer(seen.upstream, answer)
        if seen.recording.kind != "stream":
            return _compare_documents(sent.document, seen.answered.document)
        wanted = [comparable(event) for event in sent.events]
        got = [comparable(event) for event in seen.answered.events]
        for place, (one, other) in enumerate(zip(wanted, got, strict=False)):
            if one != other:
                return f"event {place}: sent {_short(one)}, received {_short(other)}"
        if len(wanted) != len(got):
            return f"{len(wanted)} events were sent, {len(got)} received"
        return _compare_readings(seen)


def _compare_readings(seen: Seen) -> str | None:
    """What the SDK yields through the subject, against what it yields straight from the provider."""
    straight, through = seen.expected.sdk, seen.sdk
    if straight is None or through is None or seen.fault is not None:
        return None
    for place, (wanted, got) in enumerate(zip(straight.items, through.items, strict=False)):
        if wanted != got:
            return f"the SDK's event {place} is {_short(got)}, straight from the provider {_short(wanted)}"
    if len(straight.items) != len(through.items):
        return f"the SDK got {len(through.items)} events, straight from the provider {len(straight.items)}"
    return None


def _compare_documents(sent: object, received: object) -> str | None:
    if sent is None:
        return None  # not JSON: nothing to keep
    if without_model(sent) == without_model(received):
        return None
    if isinstance(sent, dict) and isinstance(received, dict):
        keys = [key for key in {**sent, **received} if key != "model" and sent.get(key) != received.get(key)]
        return f"the body differs in {', '.join(map(str, keys))}"
    return f"sent {_short(sent)}, received {_short(received)}"


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 300 else shown[:297] + "..."
