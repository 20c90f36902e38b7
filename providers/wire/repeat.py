"""Encodes many events that differ in one text only. Does no I/O."""

from __future__ import annotations

import msgspec

_ENCODER = msgspec.json.Encoder()


def repeat_event(before: bytes, texts: list[str], after: bytes) -> bytes:
    """For each text: `before`, the text as a JSON string, `after`; all joined."""
    strings = _ENCODER.encode_lines(texts)  # each ends in LF, and no JSON string holds one
    return before + strings[:-1].replace(b"\n", after + before) + after
