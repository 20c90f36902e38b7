"""JSON documents, one a line (https://github.com/ndjson/ndjson-spec), as Ollama streams them."""

from __future__ import annotations

from collections.abc import Callable

from conformance.wires.events import Event
from conformance.wires.framings.base import EventFraming
from providers.replay.events import NDJSON_STREAM, split_events


class NewlineDelimitedJSON(EventFraming):
    content_type = NDJSON_STREAM
    line_ends = (b"\r\n",)
    """A CR is white space to JSON. Blank lines, the only idle block there could be, are optional to tolerate."""

    def split(self, body: bytes) -> list[bytes]:
        return split_events(body, NDJSON_STREAM)

    def is_event(self, block: bytes) -> bool:
        return bool(block.strip())

    def read(self, body: bytes) -> list[Event]:
        # Not `splitlines`: it also cuts at characters that may stand inside a JSON string (U+2028).
        lines = (line.strip() for line in body.decode("utf-8", "replace").split("\n"))
        return [Event("", line) for line in lines if line]

    def frame(self, name: str, data: bytes, *, exception: bool = False) -> bytes:
        return data + b"\n"

    def edit(self, block: bytes, change: Callable[[bytes], bytes]) -> bytes:
        line = block.rstrip(b"\r\n")
        return change(line) + block[len(line) :]

    def with_line_ends(self, body: bytes, line_end: bytes) -> bytes:
        return body.replace(b"\r\n", b"\n").replace(b"\n", line_end)


NDJSON = NewlineDelimitedJSON()
