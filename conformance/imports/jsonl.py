"""A stream's events, one as JSON on each line: the framing that the API has on the wire is put back. No network I/O.

What an API frames its events in is a table; nothing within an event is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from conformance.capture.build import slug
from conformance.capture.captured import Captured
from conformance.capture.frames import make_frame
from conformance.capture.recognise import APIS, api_of_document
from conformance.imports.entry import Entry, ImportFault, read_file
from providers.replay.events import AMAZON_EVENT_STREAM, EVENT_STREAM
from providers.replay.recording import JSON

DONE = b"[DONE]"
_TOLD = 10
"""Events that are asked which API they are of."""


class _Event(msgspec.Struct, frozen=True):
    line: int
    data: bytes
    document: JSON


class _Framing(msgspec.Struct, frozen=True):
    content_type: str
    frame: Callable[[_Event], bytes]
    end: bytes = b""


def _data_only(event: _Event) -> bytes:
    return b"data: " + event.data + b"\n\n"


def _named(event: _Event) -> bytes:
    name = event.document.get("type") if isinstance(event.document, dict) else None
    if not isinstance(name, str) or not name.isprintable():
        raise ImportFault(f"line {event.line}: `type`: expected the event's name")
    return b"event: " + name.encode() + b"\n" + _data_only(event)


def _line(event: _Event) -> bytes:
    return event.data + b"\n"


def _amazon_frame(event: _Event) -> bytes:
    if not isinstance(event.document, dict) or len(event.document) != 1:
        raise ImportFault(f'line {event.line}: expected one event as {{"messageStart": {{...}}}}')
    name, payload = next(iter(event.document.items()))
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return make_frame(headers, msgspec.json.encode(payload))


_FRAMINGS = {
    "openai-chat": _Framing(EVENT_STREAM, _data_only, b"data: " + DONE + b"\n\n"),
    "openai-responses": _Framing(EVENT_STREAM, _named),
    "anthropic-messages": _Framing(EVENT_STREAM, _named),
    "gemini-generate": _Framing(EVENT_STREAM, _data_only),
    "cohere-chat": _Framing(EVENT_STREAM, _named),
    "ollama-chat": _Framing("application/x-ndjson", _line),
    "bedrock-converse": _Framing(AMAZON_EVENT_STREAM, _amazon_frame),
}
assert set(_FRAMINGS) == set(APIS)


def read(path: Path, api: str | None = None) -> list[Entry]:
    """The one stream of a file. Raises `ImportFault`: a line is no event, or nothing tells the API."""
    events = _events(read_file(path))
    if api is None:
        told = filter(None, (api_of_document(event.document) for event in events[:_TOLD]))
        api = next(told, None)
    if api is None:
        raise ImportFault("the first events do not tell their API: name it with --api")
    framing = _FRAMINGS[api]
    captured = Captured(
        headers=[("content-type", framing.content_type)],
        body=b"".join(map(framing.frame, events)) + framing.end,
        source={
            "format": "jsonl",
            "path": path.name,
            "bytes": "events as recorded, one JSON a line; the event-stream framing is put back",
        },
    )
    return [Entry(captured=captured, api=api, name=slug(path.stem) or None)]


def _events(data: bytes) -> Sequence[_Event]:
    events: list[_Event] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = line.strip()
        if not line or line == DONE:
            continue
        try:
            events.append(_Event(number, line, msgspec.json.decode(line)))
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            what = "a line of a framed stream, not a JSON event" if line.startswith(b"data:") else f"not JSON: {error}"
            raise ImportFault(f"line {number}: {what}") from error
    if not events:
        raise ImportFault("no events in it")
    return events
