"""Incremental decoder for `application/vnd.amazon.eventstream`. Bytes in, frames out; no I/O.

A frame (https://smithy.io/2.0/aws/amazon-eventstream.html) is a prelude of its length, its headers' length and a CRC of
both; the headers; the payload; a CRC of all. botocore's own parser reads it and checks both CRCs. It is given one frame
at a time, cut out here by its length: that keeps the frame's bytes and costs linear time.

A frame whose CRC is wrong ends the stream with an error, as in botocore's client: a piece of the answer is lost, so
what is left is not the answer.

botocore is the extra `bedrock`; it is imported with this module, so import this where a stream is read.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
from botocore.eventstream import EventStreamBuffer, InvalidHeadersLength, InvalidPayloadLength, ParserError

from providers.errors import BadResponseError, OversizedEventError
from providers.wire.sse import MAX_EVENT_BYTES

_PRELUDE = 12
_SMALLEST = 16
"""The prelude and the CRC at the end."""

_UNREADABLE = (ParserError, ValueError, LookupError, struct.error)
"""What botocore's parser raises: its own errors, and those of UTF-8, of its table of header types, and of `struct`."""


class Frame(msgspec.Struct, gc=False):
    """One message of the stream."""

    raw: bytes
    headers: dict[str, Any]
    """By name, with the colon that the reserved ones begin with."""
    payload: bytes

    def text(self, name: str) -> str:
        """A header that is a string; empty if there is none."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class FrameDecoder:
    """Feed it bytes as they arrive; it returns the frames that are complete.

    `feed` raises `OversizedEventError` for a frame larger than `max_frame_bytes` and `BadResponseError` for a damaged
    one: at once if no frame came before it in the same bytes, else at the next call, so that no frame is lost. The
    decoder is of no use after that.
    """

    __slots__ = ("_buffer", "_failure", "_max", "_parser", "_size")

    def __init__(self, max_frame_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._max = max_frame_bytes
        self._size = 0
        """Of the frame that has begun; 0: its prelude is not complete."""
        self._parser: Any = None
        """botocore's parser with that prelude in it."""
        self._failure: BadResponseError | None = None

    @property
    def pending(self) -> bytes:
        """Bytes of a frame that is not complete yet."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Take in the next bytes and return the frames that they complete."""
        if self._failure is not None:
            raise self._failure
        self._buffer += data
        frames: list[Frame] = []
        try:
            self._cut(frames)
        except BadResponseError as failure:
            self._failure = failure
            if not frames:
                raise
        return frames

    def eof(self) -> None:
        """The stream is over; a frame without its end is none. Raises what `feed` held back."""
        self.feed(b"")

    def _cut(self, frames: list[Frame]) -> None:
        buffer = self._buffer
        start = 0
        while len(buffer) - start >= _PRELUDE:
            if not self._size:
                self._begin(bytes(buffer[start : start + _PRELUDE]))
            if len(buffer) - start < self._size:
                break
            frames.append(self._parse(bytes(buffer[start : start + self._size])))
            start += self._size
            self._size = 0
        del buffer[:start]

    def _begin(self, prelude: bytes) -> None:
        self._parser = EventStreamBuffer()
        self._parser.add_data(prelude)
        try:
            next(self._parser, None)  # checks the prelude; there is no message in it yet
        except (InvalidHeadersLength, InvalidPayloadLength) as error:
            raise OversizedEventError(self._max) from error
        except _UNREADABLE as error:
            raise BadResponseError("the provider's stream is damaged: a frame's prelude is wrong") from error
        size, headers = struct.unpack("!II", prelude[:8])
        if size < _SMALLEST + headers:
            raise BadResponseError("the provider's stream is damaged: a frame of impossible size")
        if size > self._max:
            raise OversizedEventError(self._max)
        self._size = size

    def _parse(self, raw: bytes) -> Frame:
        self._parser.add_data(raw[_PRELUDE:])
        try:
            message = next(self._parser)
        except _UNREADABLE as error:
            raise BadResponseError("the provider's stream is damaged: a frame's checksum is wrong") from error
        return Frame(raw, message.headers, message.payload)
