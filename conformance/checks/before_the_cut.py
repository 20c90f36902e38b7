"""What a provider had said before its fault: what a caller may know, and what there is to be counted."""

from __future__ import annotations

import msgspec

from conformance.checks.base import Seen
from conformance.facts import Facts
from conformance.oracles.expected import read_answer


def told_before_the_cut(seen: Seen) -> Facts:
    """The facts of the events that came whole. Only for a case with a fault."""
    assert seen.fault is not None
    answer = seen.fault.edit(seen.play.answer)
    cut = seen.fault.cut(answer)
    body = answer.body if cut is None else answer.body[: max(0, cut.at)]
    if cut is not None:
        # An event that was cut was never said.
        ends = [end for end in answer.event_offsets() if end <= cut.at]
        body = body[: ends[-1]] if ends else b""
    return read_answer(seen.upstream, msgspec.structs.replace(answer, body=body)).facts
