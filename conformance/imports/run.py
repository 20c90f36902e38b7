"""`import_files`: files in, recordings out, with a word on everything that did not become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from conformance.capture.build import Choice, Unrecognised, build
from conformance.capture.recognise import recognise_api
from conformance.capture.scrubber import Scrubber
from conformance.imports import har, jsonl, recordings, vcr
from conformance.imports.entry import UNREADABLE, Entry, ImportFault, fault_of
from conformance.recorder.tally import Report, Tally
from providers.replay.recording import Recording, RecordingError, save_new_recording

READERS: dict[str, Callable[[Path, Choice], list[Entry]]] = {
    "vcr": lambda path, choice: vcr.read(path),
    "har": lambda path, choice: har.read(path),
    "jsonl": lambda path, choice: jsonl.read(path, choice.api),
}
"""By the name of the format. Recordings of our own are no captures: `recordings` copies them."""


def import_files(source: str, files: tuple[Path, ...], out: Path, choice: Choice, report: Report) -> Tally:
    """Import every file and report on each; nothing that goes wrong keeps the others from being imported."""
    tally = Tally(report)
    scrubber = Scrubber()
    for path in files:
        try:
            if source == "recordings":
                made = recordings.copies(path, scrubber, choice, tally)
            else:
                made = _recordings(path, READERS[source](path, choice), scrubber, choice, tally)
            for place, recording in made:
                try:
                    tally.saved(recording, save_new_recording(recording, out), out)
                except (RecordingError, OSError) as error:
                    tally.not_recorded(f"{place}: {error}")
        except ImportFault as fault:
            tally.not_recorded(f"{path}: {fault}")
        except UNREADABLE as error:
            tally.not_recorded(f"{path}: {fault_of(error)}")
    return tally


def _recordings(
    path: Path, entries: list[Entry], scrubber: Scrubber, choice: Choice, tally: Tally
) -> Iterator[tuple[str, Recording]]:
    for entry in entries:
        # A later entry may show the key that an earlier one's body holds.
        if entry.captured is not None:
            scrubber.learn(entry.captured)
    for entry in entries:
        place = f"{path}: {entry.place}" if entry.place else str(path)
        own = Choice(api=choice.api or entry.api, vendor=choice.vendor, name=choice.name or entry.name)
        if entry.captured is None or (entry.fault and (choice.api or recognise_api(entry.captured))):
            tally.not_recorded(f"{place}: {entry.fault}")
            continue
        try:
            yield place, build(entry.captured, scrubber, own)
        except Unrecognised as error:
            tally.passed_on(f"{place}: {error}")
        except UNREADABLE as error:
            tally.not_recorded(f"{place}: {fault_of(error)}")
