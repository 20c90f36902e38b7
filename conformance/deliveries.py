"""The deliveries of a run: the replay server's, with the seed's own splits, and with pauses that a long run can afford.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from conformance.replay.answer import Answer, Piece
from conformance.replay.deliveries import DELIVERIES, Delivery, original_timing, random_splits, slow_drip

BASELINE = "event"
"""The delivery by which a subject's reading is held against the oracle; the others are held against this one."""

PAUSE_SECONDS = 0.08
"""What all pauses of one answer add up to, at most."""
_SHORTEST_PAUSE = 0.004
"""Shorter ones are put together: a timer has no finer grain."""
FINE_PIECES = 6000
COARSE = 16
"""After so many pieces of one answer, so many go together: the longest bodies would take minutes byte by byte."""


def run_deliveries(seed: int) -> dict[str, Delivery]:
    """By name, in the order of the reports."""
    chosen = {name: one for name, one in DELIVERIES.items() if not name.startswith("random-splits-")}
    for split in (random_splits(2 * seed + 1), random_splits(2 * seed + 2, mean=5)):
        chosen[split.name] = split
    for paced in (original_timing(), slow_drip()):
        sentence = f"{paced.sentence}; {PAUSE_SECONDS * 1000:g} ms in all at most"
        chosen[paced.name] = msgspec.structs.replace(paced, sentence=sentence)
    return {name: _bounded(delivery) for name, delivery in chosen.items()}


def _bounded(delivery: Delivery) -> Delivery:
    def cut(answer: Answer) -> Iterator[Piece]:
        return _with_pauses(_coarser(delivery.cut(answer)))

    return msgspec.structs.replace(delivery, cut=cut)


def _coarser(pieces: Iterable[Piece]) -> Iterator[Piece]:
    pieces = iter(pieces)
    yield from islice(pieces, FINE_PIECES)
    while together := list(islice(pieces, COARSE)):
        yield Piece(b"".join(piece.data for piece in together), sum(piece.delay for piece in together))


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
