"""`Play`: one answer, how it is delivered and what goes wrong; and the bytes that follow from these. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus

import msgspec

from conformance.replay.answer import Answer, Piece
from conformance.replay.deliveries import EVENT, Delivery
from conformance.replay.faults.base import End, Fault
from conformance.replay.framing import CHUNKED, LENGTH, gzip_pieces
from providers.replay.recording import Recording


class Plan(msgspec.Struct, frozen=True):
    """What the server writes, and what it does then."""

    pieces: Iterator[Piece]
    """The whole response, head included. Can be gone through once."""
    end: End


class Play(msgspec.Struct, frozen=True):
    """How one request is answered."""

    what: Recording | Answer
    delivery: Delivery = EVENT
    fault: Fault | None = None

    @property
    def answer(self) -> Answer:
        """The answer before the fault and the delivery."""
        return self.what if isinstance(self.what, Answer) else Answer.of(self.what)

    def plan(self) -> Plan:
        """The bytes. The fault edits the answer, the delivery rewrites it, and the fault's cut counts in the result."""
        answer, delivery, fault = self.answer, self.delivery, self.fault
        if fault is not None:
            answer = fault.edit(answer)
        answer = delivery.rewrite(answer)
        cut = fault.cut(answer) if fault is not None else None
        if cut is not None and cut.at < 0:
            return Plan(iter(()), cut.end)
        streamed = answer.framing is not None or delivery.gzip
        framing = delivery.framing or (CHUNKED if streamed else LENGTH)
        headers = {**answer.headers, **framing.headers(len(answer.body))}
        pieces: Iterable[Piece] = delivery.cut(answer)
        if cut is not None:
            pieces = _until(pieces, cut.at)
        if delivery.gzip:
            headers["content-encoding"] = "gzip"
            pieces = gzip_pieces(pieces, complete=cut is None)
        body = framing.frame(pieces)
        end = b"" if cut is not None else framing.end
        wire = _with_head(_head(answer.status, headers), body, end, delivery)
        if cut is not None:
            return Plan(wire, cut.end)
        return Plan(wire, End.FIN if framing.closes else End.KEEP)


def _head(status: int, headers: dict[str, str]) -> bytes:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _with_head(head: bytes, body: Iterator[Piece], end: bytes, delivery: Delivery) -> Iterator[Piece]:
    if delivery.head == "with-body":
        yield Piece(b"".join((head, *(piece.data for piece in body), end)))
        return
    if delivery.head == "bytes":
        for byte in head:
            yield Piece(bytes((byte,)))
    else:
        yield Piece(head)
    yield from body
    if end:
        yield Piece(end)


def _until(pieces: Iterable[Piece], size: int) -> Iterator[Piece]:
    """The pieces up to `size` bytes, the last one cut."""
    left = size
    for piece in pieces:
        if left <= 0:
            return
        yield Piece(piece.data[:left], piece.delay)
        left -= len(piece.data)
