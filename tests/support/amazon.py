"""Frames of `application/vnd.amazon.eventstream`, written by hand (https://smithy.io/2.0/aws/amazon-eventstream.html)."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def frame(payload: Any, **headers: str) -> bytes:
    """One frame. Headers are given without their colon, with `_` for `-`; a payload that is no bytes is JSON."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    packed = b"".join(_header(":" + name.replace("_", "-"), value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(packed) + len(data), len(packed))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    message = prelude + packed + data
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, payload: Any) -> bytes:
    return frame(payload, event_type=kind, content_type="application/json", message_type="event")


def exception(kind: str, message: str) -> bytes:
    return frame({"message": message}, exception_type=kind, content_type="application/json", message_type="exception")


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return bytes((len(key),)) + key + b"\x07" + struct.pack(">H", len(text)) + text
