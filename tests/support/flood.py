"""A stream as fast as it is taken, and longer than all buffers on the way: for clients that do not read."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.replay import Answer, Play
from conformance.replay.answer import Piece
from conformance.replay.deliveries import Delivery

CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":'
    b'[{"index":0,"delta":{"content":"' + b"lorem ipsum " * 80 + b'"},"finish_reason":null}]}\n\n'
)
MANY = 64 * 1024 * 1024
"""Bytes of a stream that no buffer on the way can hold."""


def endless(answer: Answer) -> Iterator[Piece]:
    burst = CHUNK * 64
    for _ in range(MANY // len(burst)):
        yield Piece(burst)


FLOOD = Play(
    Answer(headers={"content-type": "text/event-stream"}, api="openai-chat"),
    delivery=Delivery(name="flood", sentence="events as fast as they are taken", cut=endless),
)
