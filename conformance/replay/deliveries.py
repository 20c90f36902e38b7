"""Deliveries: the ways in which the same answer can arrive. Pure functions from an answer to pieces with delays.

None of them changes what the answer says, so whoever reads it must get the same from all. The registry `DELIVERIES`
has one of each; the functions below make others. What can be done to a body's events depends on their framing alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from conformance.replay.answer import Answer, Piece
from conformance.replay.framing import CLOSE, ONE_BYTE_CHUNKS, PACKED, SPLIT_HEADERS, Framing

DEFAULT_PACE = 0.02
"""Seconds between the events of a recording that has no timing of its own."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    sentence: str
    cut: Callable[[Answer], Iterable[Piece]]
    """The body in pieces; joined they are the body."""
    rewrite: Callable[[Answer], Answer] = lambda answer: answer
    """Says the same in other bytes."""
    framing: Framing | None = None
    """None: HTTP chunks for a stream, content-length for the rest."""
    gzip: bool = False
    head: Literal["apart", "with-body", "bytes"] = "apart"
    """The response's head: a write of its own, in one write with the whole body, or byte by byte."""
    fits: Callable[[Answer], bool] = lambda answer: True
    """Whether it does anything to such an answer. One that it does not fit comes as it is, cut all the same."""


def cut_whole(answer: Answer) -> Iterator[Piece]:
    if answer.body:
        yield Piece(answer.body)


def cut_events(answer: Answer) -> Iterator[Piece]:
    for block in answer.blocks:
        yield Piece(block)


def _cut_every(size: int) -> Callable[[Answer], Iterator[Piece]]:
    def cut(answer: Answer) -> Iterator[Piece]:
        body = answer.body
        for start in range(0, len(body), size):
            yield Piece(body[start : start + size])

    return cut


def bytes_each(size: int) -> Delivery:
    """`size` bytes a write, wherever that cuts."""
    sentence = f"{size} byte{'s' if size > 1 else ''} a write, without pause"
    return Delivery(name=f"bytes-{size}", sentence=sentence, cut=_cut_every(size))


def split_at(offset: int) -> Delivery:
    """Two writes, with the border after `offset` bytes of the body."""

    def cut(answer: Answer) -> Iterator[Piece]:
        for half in (answer.body[:offset], answer.body[offset:]):
            if half:
                yield Piece(half)

    return Delivery(name=f"split-{offset}", sentence=f"two writes, cut after byte {offset} of the body", cut=cut)


def every_split(answer: Answer) -> Iterator[Delivery]:
    """All ways to cut the body once. For short bodies: there are as many as bytes."""
    for offset in range(1, len(answer.body)):
        yield split_at(offset)


def random_splits(seed: int, mean: int = 40) -> Delivery:
    """Pieces of random sizes, `mean` bytes on average, very short ones among them; the same for the same seed."""

    def cut(answer: Answer) -> Iterator[Piece]:
        source = random.Random(seed)  # noqa: S311 - repeatable, not secret
        position = 0
        while position < len(answer.body):
            size = 1 + int(source.expovariate(1 / mean))
            yield Piece(answer.body[position : position + size])
            position += size

    return Delivery(name=f"random-splits-{seed}", sentence=f"writes of random sizes (seed {seed})", cut=cut)


def slow_drip(size: int = 256, delay: float = 0.02) -> Delivery:
    """`size` bytes, then a pause of `delay` seconds, and again."""

    def cut(answer: Answer) -> Iterator[Piece]:
        for piece in _cut_every(size)(answer):
            yield Piece(piece.data, delay)

    return Delivery(name="slow-drip", sentence=f"{size} bytes every {round(delay * 1000)} ms", cut=cut)


def original_timing(scale: float = 1.0) -> Delivery:
    """The reads of the recording, as far apart as they were, times `scale`. Without timing: an event every 20 ms."""

    def cut(answer: Answer) -> Iterator[Piece]:
        if answer.timing is None:
            for block in answer.blocks:
                yield Piece(block, DEFAULT_PACE * scale)
            return
        position, now = 0, 0.0
        for time, count in answer.timing:
            yield Piece(answer.body[position : position + count], (time - now) / 1000 * scale)
            position += count
            now = time

    return Delivery(name="original-timing", sentence=f"as it was recorded, time scaled by {scale:g}", cut=cut)


def knows_line_end(answer: Answer, line_end: bytes) -> bool:
    """Whether the answer's events may be told in lines that end so."""
    return answer.framing is not None and line_end in answer.framing.line_ends


def with_line_ends(answer: Answer, line_end: bytes) -> Answer:
    """A stream with all its line ends replaced; one whose framing has no such line end as it is."""
    if answer.framing is None or not knows_line_end(answer, line_end):
        return answer
    return msgspec.structs.replace(answer, body=answer.framing.with_line_ends(answer.body, line_end), timing=None)


def _has_idle_blocks(answer: Answer) -> bool:
    return answer.framing is not None and bool(answer.framing.idle or answer.wire.ping)


def with_comments(answer: Answer) -> Answer:
    """A stream with comments, lone fields and the API's own pings put in, wherever those are allowed."""
    framing = answer.framing
    if framing is None:
        return answer
    idle = framing.idle or (b"",)
    ping = framing.write(answer.wire.ping) if answer.wire.ping is not None else b""
    pieces: list[bytes] = []
    events = 0
    for part in answer.parts:
        pieces.append(idle[len(pieces) % len(idle)])
        # A ping stands between the first event and the last: not before message_start, not after message_stop.
        if events % 3 == 1:
            pieces.append(ping)
        pieces.append(part.data)
        events += part.event is not None
    return msgspec.structs.replace(answer, body=b"".join(pieces), timing=None)


def _with_line_ends(name: str, sentence: str, cut: Callable[[Answer], Iterable[Piece]], line_end: bytes) -> Delivery:
    return Delivery(
        name=name,
        sentence=sentence,
        cut=cut,
        rewrite=lambda answer: with_line_ends(answer, line_end),
        fits=lambda answer: knows_line_end(answer, line_end),
    )


WHOLE = Delivery(name="whole", sentence="head and body in one write", cut=cut_whole, head="with-body")
EVENT = Delivery(name="event", sentence="one write for each event", cut=cut_events)

DELIVERIES: dict[str, Delivery] = {
    delivery.name: delivery
    for delivery in (
        WHOLE,
        EVENT,
        bytes_each(1),
        bytes_each(7),
        random_splits(1),
        random_splits(2, mean=5),
        _with_line_ends("crlf", "lines end in CRLF, in writes of 5 bytes", _cut_every(5), b"\r\n"),
        _with_line_ends("cr", "lines end in CR alone", cut_events, b"\r"),
        Delivery(
            name="comments",
            sentence="comments, lone fields and keep-alives among the events",
            cut=cut_events,
            rewrite=with_comments,
            fits=_has_idle_blocks,
        ),
        original_timing(),
        slow_drip(),
        Delivery(name="one-byte-chunks", sentence=ONE_BYTE_CHUNKS.sentence, cut=cut_events, framing=ONE_BYTE_CHUNKS),
        Delivery(name="split-chunks", sentence=SPLIT_HEADERS.sentence, cut=_cut_every(50), framing=SPLIT_HEADERS),
        Delivery(name="packed-chunks", sentence=PACKED.sentence, cut=cut_events, framing=PACKED),
        Delivery(name="until-close", sentence=CLOSE.sentence, cut=cut_events, framing=CLOSE),
        Delivery(name="split-head", sentence="the response's head byte by byte", cut=cut_events, head="bytes"),
        Delivery(name="gzip", sentence="content-encoding: gzip, flushed after each event", cut=cut_events, gzip=True),
    )
}
"""By name. The slow ones are `original-timing` and `slow-drip`."""
