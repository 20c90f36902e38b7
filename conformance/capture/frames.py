"""Amazon's binary event stream: frames taken apart and put together (the vnd.amazon.eventstream encoding). No I/O.

    total length (4) | headers length (4) | CRC of these (4) | headers | payload | CRC of all before (4)

All big endian, CRC-32 as in zlib. A header: length of its name (1), name, type (1; 7 is a string), length (2), value.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

PRELUDE = 12
CRC = 4


def parts_of(frame: bytes) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Where the headers and the payload of a frame stand in it; None: it is no whole frame."""
    if len(frame) < PRELUDE + CRC or int.from_bytes(frame[:4], "big") != len(frame):
        return None
    headers_end = PRELUDE + int.from_bytes(frame[4:8], "big")
    if headers_end > len(frame) - CRC:
        return None
    return (PRELUDE, headers_end), (headers_end, len(frame) - CRC)


def seal(frame: bytearray) -> None:
    """Write the frame's last checksum anew, after a change that kept all lengths."""
    frame[-CRC:] = zlib.crc32(frame[:-CRC]).to_bytes(CRC, "big")


def make_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame with string headers."""
    written = b"".join(
        bytes((len(name),)) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
        for name, value in headers.items()
    )
    total = PRELUDE + len(written) + len(payload) + CRC
    prelude = total.to_bytes(4, "big") + len(written).to_bytes(4, "big")
    frame = prelude + zlib.crc32(prelude).to_bytes(4, "big") + written + payload
    return frame + zlib.crc32(frame).to_bytes(CRC, "big")
