"""The deliveries of a run: the replay server's, with the seed's own splits, and with pauses that a long run can afford.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from conformance.replay.answer import Answer, Piece
from conformance.replay.deliveries import DELIVERIES, Delivery, original_timing, random_splits, slow_drip

BASELINE = "event"
"""The delivery by which a subject's reading is held against the oracle; the others are held against this one."""

PAUSE_SECONDS = 0.12
"""What all pauses of one answer add up to, at most."""
_SHORTEST_PAUSE = 0.004
"""Shorter ones are put together: a timer has no finer grain."""


def run_deliveries(seed: int) -> dict[str, Delivery]:
    """By name, in the order of the reports."""
    chosen = {name: one for name, one in DELIVERIES.items() if not name.startswith("random-splits-")}
    for split in (random_splits(2 * seed + 1), random_splits(2 * seed + 2, mean=5)):
        chosen[split.name] = split
    for paced in (original_timing(), slow_drip()):
        chosen[paced.name] = _bounded(paced)
    return chosen


def _bounded(delivery: Delivery) -> Delivery:
    def cut(answer: Answer) -> Iterator[Piece]:
        return _with_pauses(list(delivery.cut(answer)))

    return msgspec.structs.replace(
        delivery, cut=cut, sentence=f"{delivery.sentence}, in {PAUSE_SECONDS * 1000:g} ms at most"
    )


def _with_pauses(pieces: Iterable[Piece]) -> Iterator[Piece]:
    pieces = list(pieces)
    total = sum(piece.delay for piece in pieces)
    scale = min(1.0, PAUSE_SECONDS / total) if total else 1.0
    owed = 0.0
    for piece in pieces:
        owed += piece.delay * scale
        if owed >= _SHORTEST_PAUSE:
            yield Piece(piece.data, owed)
            owed = 0.0
        else:
            yield Piece(piece.data)
