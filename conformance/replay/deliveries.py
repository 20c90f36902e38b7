"""Deliveries: the ways in which the same answer can arrive. Pure functions from an answer to pieces with delays.

None of them changes what the answer says, so whoever reads it must get the same from all. The registry `DELIVERIES`
has one of each; the functions below make others.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from conformance.replay.answer import Answer, Piece
from conformance.replay.framing import CLOSE, ONE_BYTE_CHUNKS, PACKED, SPLIT_HEADERS, Framing
from providers.replay.events import has_data

DEFAULT_PACE = 0.02
"""Seconds between the events of a recording that has no timing of its own."""

_PING = {"anthropic-messages": b'event: ping\ndata: {"type": "ping"}\n\n'}
_COMMENTS = (b": keep-alive\n\n", b":\n\n", b": PROCESSING \xe2\x80\xa6\n\n", b"retry: 3000\n\n")
_LINE_END = re.compile(rb"\r\n|\r|\n")


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
    streams_only: bool = False
    """It says something only about server-sent events; any other body comes event by event."""


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


def with_line_ends(answer: Answer, line_end: bytes) -> Answer:
    """An event stream with all its line ends replaced; any other answer as it is."""
    if not answer.is_event_stream:
        return answer
    return msgspec.structs.replace(answer, body=_LINE_END.sub(line_end, answer.body), timing=None)


def with_comments(answer: Answer) -> Answer:
    """An event stream with comments, lone fields and the API's own pings put in, wherever those are allowed."""
    if not answer.is_event_stream:
        return answer
    ping = _PING.get(answer.api, b"")
    pieces: list[bytes] = []
    events = 0
    for block in answer.blocks:
        pieces.append(_COMMENTS[len(pieces) % len(_COMMENTS)])
        # A ping stands between the first event and the last: not before message_start, not after message_stop.
        if events % 3 == 1:
            pieces.append(ping)
        pieces.append(block)
        events += has_data(block)
    return msgspec.structs.replace(answer, body=b"".join(pieces), timing=None)


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
        Delivery(
            name="crlf",
            sentence="lines end in CRLF, in writes of 5 bytes",
            cut=_cut_every(5),
            rewrite=lambda answer: with_line_ends(answer, b"\r\n"),
            streams_only=True,
        ),
        Delivery(
            name="cr",
            sentence="lines end in CR alone",
            cut=cut_events,
            rewrite=lambda answer: with_line_ends(answer, b"\r"),
            streams_only=True,
        ),
        Delivery(
            name="comments",
            sentence="comments, lone fields and keep-alives among the events",
            cut=cut_events,
            rewrite=with_comments,
            streams_only=True,
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
