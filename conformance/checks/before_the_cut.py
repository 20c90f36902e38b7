"""What a provider had said before its fault: what a caller may know, and what there is to be counted."""

from __future__ import annotations

from itertools import takewhile

import msgspec

from conformance.checks.base import Seen
from conformance.facts import Facts
from conformance.oracles.expected import read_answer
from conformance.replay.faults.base import MAX_EVENT_BYTES


def told_before_the_cut(seen: Seen) -> Facts:
    """The facts of the events that came whole. Only for a case with a fault."""
    assert seen.fault is not None
    answer = seen.fault.edit(seen.play.answer)
    cut = seen.fault.cut(answer)
    if cut is None:
        # An event that is too large is where reading ends.
        readable: list[bytes] = list(takewhile(_is_readable, answer.blocks))
        body = b"".join(readable)
    else:
        body = answer.body[: max(0, cut.at)]
        # An event that was cut was never said.
        ends = [end for end in answer.event_offsets() if end <= cut.at]
        body = body[: ends[-1]] if ends else b""
    return read_answer(seen.upstream, msgspec.structs.replace(answer, body=body)).facts


def _is_readable(block: bytes) -> bool:
    return len(block) <= MAX_EVENT_BYTES
