"""Amazon's binary event stream (https://smithy.io/2.0/aws/amazon-eventstream.html).

A frame is a prelude (length of the whole, length of the headers, CRC-32 of these), headers, a payload, and the CRC-32
of everything before it. All numbers are big endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from conformance.wires.events import Event
from conformance.wires.framings.base import EventFraming
from providers.replay.events import AMAZON_EVENT_STREAM, split_events

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST = _PRELUDE.size + _CRC.size
_STRING = 7
_WIDTHS = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; types 6 and 7 (bytes and string) say their length themselves."""
_SIZED = (6, 7)


class _FrameError(ValueError):
    """Bytes that are no frame."""


class AmazonEventStream(EventFraming):
    content_type = AMAZON_EVENT_STREAM
    has_checksum = True

    def split(self, body: bytes) -> list[bytes]:
        return split_events(body, AMAZON_EVENT_STREAM)

    def read(self, body: bytes) -> list[Event]:
        """A frame that is cut, or whose checksums do not fit, becomes an event named `broken-frame`."""
        events: list[Event] = []
        for block in self.split(body):
            try:
                headers, payload = _unpack(block)
            except (_FrameError, struct.error, IndexError) as error:
                events.append(Event("broken-frame", f"{error}: {block[:64].hex()}"))
                continue
            exception = headers.get(":message-type") in ("exception", "error")
            name = headers.get(":exception-type" if exception else ":event-type") or headers.get(":error-code", "")
            events.append(Event(name, payload.decode("utf-8", "replace"), exception))
        return events

    def frame(self, name: str, data: bytes, *, exception: bool = False) -> bytes:
        kind = "exception" if exception else "event"
        headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
        return _pack(b"".join(_header(key, value) for key, value in headers.items()), data)

    def edit(self, block: bytes, change: Callable[[bytes], bytes]) -> bytes:
        _, size, _ = _PRELUDE.unpack_from(block)
        end = _PRELUDE.size + size
        return _pack(block[_PRELUDE.size : end], change(block[end : -_CRC.size]))

    def corrupt(self, block: bytes) -> bytes:
        """A bit of the payload's last byte: the lengths stay right, so only the last checksum tells."""
        place = len(block) - _CRC.size - 1
        return block[:place] + bytes((block[place] ^ 1,)) + block[place + 1 :]


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return bytes((len(key),)) + key + bytes((_STRING,)) + struct.pack(">H", len(text)) + text


def _pack(headers: bytes, payload: bytes) -> bytes:
    lengths = struct.pack(">II", _LEAST + len(headers) + len(payload), len(headers))
    message = lengths + _CRC.pack(zlib.crc32(lengths)) + headers + payload
    return message + _CRC.pack(zlib.crc32(message))


def _unpack(block: bytes) -> tuple[dict[str, str], bytes]:
    """The headers that are strings, and the payload. Raises `_FrameError`, or what `struct` raises over short ones."""
    total, size, check = _PRELUDE.unpack_from(block)
    if total != len(block) or size > total - _LEAST:
        raise _FrameError(f"a frame of {total} bytes, of which {len(block)} came")
    if check != zlib.crc32(block[:8]) or _CRC.unpack(block[-4:])[0] != zlib.crc32(block[:-4]):
        raise _FrameError("a frame whose checksum does not fit")
    headers: dict[str, str] = {}
    position, end = _PRELUDE.size, _PRELUDE.size + size
    while position < end:
        name_end = position + 1 + block[position]
        name = block[position + 1 : name_end].decode("utf-8", "replace")
        kind = block[name_end]
        position = name_end + 1
        if kind in _SIZED:
            (length,) = struct.unpack_from(">H", block, position)
            position += 2
        elif kind in _WIDTHS:
            length = _WIDTHS[kind]
        else:
            raise _FrameError(f"a header of the unknown type {kind}")
        if kind == _STRING:
            headers[name] = block[position : position + length].decode("utf-8", "replace")
        position += length
    return headers, block[end : -_CRC.size]


AMAZON = AmazonEventStream()
