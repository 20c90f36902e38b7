"""Overwrites the secrets in a body without moving a byte. No I/O.

Theory of operation. A body is read in three ways, and what any of them finds is overwritten:

* as it is, for what looks like a secret or is known to be one;
* as JSON (of a server-sent event, a line, an Amazon frame, or of the whole), string by string: by the key that a string
  stands under, and decoded, where escapes hide it;
* along each string's *thread*: the deltas of one text or one tool call put together, since a model says a secret token
  by token. Texts that are JSON themselves (arguments of tool calls) are read as such, some levels deep.

A secret is overwritten with as many `x` as it has bytes, a number with ones. So the body keeps its length, and with it
the recorded times, the lengths that binary frames hold (their checksums are made anew) and the syntax of its JSON.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from conformance.capture.frames import parts_of, seal
from conformance.capture.json_text import JSON_STARTS, Text, Value, join, scan
from conformance.capture.shapes import Hit, is_secret_key, literals_in, shapes_in
from providers.replay.events import AMAZON_EVENT_STREAM, EVENT_STREAM, split_events

MIN_SECRET = 8
"""Characters. What is shorter is not looked for elsewhere: `test` as a key would take the word out of every text."""
MAX_DEPTH = 3
"""JSON in a string in JSON in a string ..."""
FILLER = ord("x")
_DIGIT = ord("1")
_JSON_LINES = frozenset({"application/x-ndjson", "application/jsonl", "application/stream+json"})
_SYNTAX = frozenset(b'{}[]",:\\\r\n')
_DIGITS = frozenset(b"0123456789")

Place = tuple[int, int]
Within = Literal["text", "number", "syntax"]
"""`text`: a string's inside, or a body that is no JSON: every byte may be overwritten. `number`: of a JSON number only
the digits may. `syntax`: around strings the marks of JSON must stay."""


class Finding(msgspec.Struct, kw_only=True):
    """One secret in a body."""

    what: str
    path: str
    """Of the JSON value that it stands in; empty if it is not in one."""
    places: list[Place]
    within: Within = "text"


class ScrubbedBody(msgspec.Struct):
    """A body without its secrets."""

    body: bytes
    findings: list[Finding]
    """In order; of those that overlap only the first."""
    secrets: dict[str, str]
    """What was found by its key, and what it is: it may stand elsewhere too."""


def scrub_body(body: bytes, media_type: str, literals: Mapping[str, str]) -> ScrubbedBody:
    """Overwrite what looks secret, and every one of `literals` (texts that are known to be, and what each is)."""
    pieces = _pieces(body, media_type)
    search = _Search(body, literals)
    for kind, start, end in pieces:
        if kind is not _HEADERS:
            search.read_json(start, end)
    search.follow_threads()
    if media_type == AMAZON_EVENT_STREAM:
        for _, start, end in pieces:
            search.read_plain(start, end)
    else:
        search.read_plain(0, len(body))
    findings = sorted(search.findings, key=lambda finding: (finding.places[0][0], -finding.places[0][1]))
    scrubbed = bytearray(body)
    counted: list[Finding] = []
    until = 0
    for finding in findings:
        _overwrite(scrubbed, finding)
        if finding.places[0][0] >= until:
            counted.append(finding)
            until = finding.places[0][1]
    if findings and media_type == AMAZON_EVENT_STREAM:
        _seal_frames(scrubbed, body)
    return ScrubbedBody(bytes(scrubbed), counted, search.secrets)


_HEADERS, _JSON = "headers", "json"


def _pieces(body: bytes, media_type: str) -> list[tuple[str, int, int]]:
    """Where the documents of a body are."""
    if media_type in _JSON_LINES:
        blocks = body.splitlines(keepends=True)
    elif media_type in (EVENT_STREAM, AMAZON_EVENT_STREAM):
        blocks = split_events(body, media_type)
    else:
        blocks = [body]
    pieces: list[tuple[str, int, int]] = []
    at = 0
    for block in blocks:
        parts = parts_of(block) if media_type == AMAZON_EVENT_STREAM else None
        if parts is None:
            pieces.append((_JSON, at, at + len(block)))
        else:
            pieces += [
                (kind, at + start, at + end) for kind, (start, end) in zip((_HEADERS, _JSON), parts, strict=True)
            ]
        at += len(block)
    return pieces


class _Search:
    """The findings of one body."""

    def __init__(self, body: bytes, literals: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self.secrets: dict[str, str] = {}
        self._literals = literals
        self._text = Text(body.decode("latin-1"))
        self._values: list[Value] = []
        """Strings and numbers of the body itself, in order."""

    def read_json(self, start: int, end: int) -> None:
        for value in scan(self._text, start, end):
            self._values.append(value)
            self._by_key(value, "")

    def follow_threads(self) -> None:
        self._follow(self._values, "", MAX_DEPTH)

    def read_plain(self, start: int, end: int) -> None:
        """After the JSON: a hit inside of a string gets that string's path."""
        starts = [value.start for value in self._values]
        for hit in self._hits(self._text.chars[start:end]):
            first, last = hit.start + start, hit.end + start
            at = bisect_right(starts, first) - 1
            value = self._values[at] if at >= 0 else None
            within: Within = "text"
            path = ""
            if value is None or first >= value.end:
                within = "syntax" if self._values else "text"
            elif not value.is_plain:
                continue  # Read decoded, in `follow_threads`: here an escape could be cut in two.
            else:
                path = value.path
                within = "syntax" if last > value.end else "number" if value.is_number else "text"
            self.findings.append(Finding(what=hit.what, path=path, places=[(first, last)], within=within))

    def _follow(self, values: list[Value], prefix: str, depth: int) -> None:
        threads: dict[str, list[Value]] = {}
        for value in values:
            if value.is_number:
                continue
            if value.is_key or value.container is None:
                self._decoded([value], prefix, depth)
            else:
                threads.setdefault(value.thread, []).append(value)
        for thread in threads.values():
            self._decoded(thread, prefix, depth)

    def _decoded(self, values: list[Value], prefix: str, depth: int) -> None:
        """What stands in a string, or in several that go on from each other."""
        if len(values) == 1 and not values[0].needs_decoding:
            return  # As it is in the body, and no JSON itself: `read_plain` sees it.
        text = join([value.text for value in values])
        path = prefix + values[0].path
        if not text.is_plain:
            for hit in self._hits(text.chars):
                self.findings.append(Finding(what=hit.what, path=path, places=text.places(hit.start, hit.end)))
        if depth and not values[0].is_key and text.chars.lstrip()[:1] in JSON_STARTS:
            inner = list(scan(text, 0, len(text.chars)))
            for value in inner:
                self._by_key(value, path)
            self._follow(inner, path, depth - 1)

    def _by_key(self, value: Value, prefix: str) -> None:
        chars = value.chars
        if value.is_key or not chars.strip("1.+-eE" if value.is_number else "x"):
            return
        if not is_secret_key(value.key, chars, value.within):
            return
        what = f"value of a key `{value.path.rpartition('.')[2].partition('[')[0]}`"
        self.findings.append(
            Finding(
                what=what,
                path=prefix + value.path,
                places=value.text.places(0, len(chars)),
                within="number" if value.is_number else "text",
            )
        )
        if len(chars) >= MIN_SECRET and not value.is_number and not chars.isdigit():
            self.secrets[chars] = what

    def _hits(self, chars: str) -> Iterator[Hit]:
        for hits in (literals_in(chars, self._literals), shapes_in(chars)):
            for hit in hits:
                if chars[hit.start : hit.end].strip("x"):
                    yield hit


def _overwrite(body: bytearray, finding: Finding) -> None:
    for start, end in finding.places:
        if finding.within == "text":
            body[start:end] = bytes((FILLER,)) * (end - start)
            continue
        for at in range(start, end):
            if body[at] in _DIGITS:
                body[at] = _DIGIT
            elif finding.within == "syntax" and body[at] not in _SYNTAX:
                body[at] = FILLER


def _seal_frames(scrubbed: bytearray, body: bytes) -> None:
    at = 0
    for block in split_events(body, AMAZON_EVENT_STREAM):
        end = at + len(block)
        if parts_of(block) is not None and scrubbed[at:end] != block:
            frame = scrubbed[at:end]
            seal(frame)
            scrubbed[at:end] = frame
        at = end
