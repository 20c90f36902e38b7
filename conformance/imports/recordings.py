"""Recordings of our own format: checked, scrubbed, and copied into another set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from conformance.capture.build import Choice, json_or_text
from conformance.capture.captured import Captured, CapturedRequest
from conformance.capture.scrubber import Scrubber
from conformance.imports.entry import ImportFault
from conformance.recorder.tally import Tally
from providers.replay.recording import JSON, RecordedRequest, Recording, RecordingError, Scrubbed, load_recording


def copies(path: Path, scrubber: Scrubber, choice: Choice, tally: Tally) -> Iterator[tuple[str, Recording]]:
    """The recordings of a folder, or the one of a `NAME.json`, scrubbed again; a wrong one is told and left out.

    Names, sources and times stay; what was scrubbed before stays on the list. Raises `ImportFault`: there are none.
    """
    found = sorted(path.glob("*/*/*.json")) if path.is_dir() else [path]
    if not found:
        raise ImportFault("no recordings in it: expected API/KIND/NAME.json")
    for file in found:
        try:
            recording = load_recording(file)
        except RecordingError as error:
            tally.not_recorded(str(error))
        else:
            yield str(file), _scrubbed(recording, scrubber, choice)


def _scrubbed(recording: Recording, scrubber: Scrubber, choice: Choice) -> Recording:
    request, response = recording.request, recording.response
    clean = scrubber.scrub(
        Captured(
            request=_captured(request) if request is not None else None,
            headers=list(response.headers.items()),
            body=response.body,
        )
    )
    if request is not None and clean.request is not None:
        request = RecordedRequest(
            method=request.method,
            path=clean.request.path,
            query=clean.request.query,
            headers=dict(clean.request.headers),
            body=_body(request, clean.request),
        )
    return msgspec.structs.replace(
        recording,
        name=choice.name or recording.name,
        api=choice.api or recording.api,
        vendor=choice.vendor or recording.vendor,
        request=request,
        response=msgspec.structs.replace(response, headers=dict(clean.headers), body=clean.body),
        scrubbed=_together(recording.scrubbed, clean.scrubbed),
    )


def _captured(request: RecordedRequest) -> CapturedRequest:
    body = request.body
    data = b"" if body is None else body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    return CapturedRequest(
        method=request.method, host="", path=request.path, query=request.query, headers=headers, body=data
    )


def _body(request: RecordedRequest, clean: CapturedRequest) -> JSON:
    if request.body is None or isinstance(request.body, str):
        return clean.body.decode() if clean.body else request.body
    return json_or_text(clean.body)


def _together(before: list[Scrubbed], now: list[Scrubbed]) -> list[Scrubbed]:
    known = {(item.what, item.where) for item in before}
    return [*before, *(item for item in now if (item.what, item.where) not in known)]
