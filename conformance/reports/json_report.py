"""All results as one JSON document: `{"seed", "scope", "seconds", "recordings", "checks", "results": [...]}`."""

from __future__ import annotations

import msgspec

from conformance.result import Report


def render(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"


def read(document: bytes) -> Report:
    """A report that was written by `render`. Raises `msgspec.ValidationError`."""
    return msgspec.json.decode(document, type=Report)
