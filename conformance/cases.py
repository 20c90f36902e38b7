"""What a run is made of: which recording comes in which delivery, with which fault, to which subject. Does no I/O.

The rules of choice are here and nowhere else:

* every recording of its API meets every subject, but for samples, in the baseline delivery at least;
* the bundled `text`, streamed and whole, meets every delivery and every fault, before every subject;
* the other recordings meet the deliveries and, in the full run, the faults whose outcome depends on what was recorded,
  as far as nothing before has shown it for the subject (`Depth`): a provider that reads answers by code of its own
  meets all of them, and the bundled set in every delivery; this gateway, in front of such a provider, the coarse ones;
* a stream that never says why it ended meets no fault: it cannot be told from its own cut;
* the representative run takes the bundled set and, of every other set, one recording of each vendor and kind; of the
  faults, those that meet the bundled `text`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from conformance.deliveries import BASELINE
from conformance.replay import FAULTS, Answer, Delivery, Fault
from conformance.replay.answer import finishes_answer
from conformance.replay.faults import MAX_EVENT_BYTES, OversizedEvent, Stall, StatusFault
from conformance.replay.faults.content import EmptyBody, WrongContentType
from conformance.subjects.base import Traits
from providers.replay.recording import BUNDLED, Recording, load_recordings

Scope = Literal["representative", "full"]

BUNDLED_SET = "bundled"
EXEMPLAR = "text"
"""The recording of the bundled set that every fault meets."""


class Take(msgspec.Struct, frozen=True):
    """A recording and where it comes from."""

    source: str
    recording: Recording

    @property
    def key(self) -> str:
        return f"{self.source}/{self.recording.api}/{self.recording.kind}/{self.recording.name}"

    @property
    def is_exemplar(self) -> bool:
        return self.source == BUNDLED_SET and self.recording.name == EXEMPLAR


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One question to one subject, or one probe of it."""

    subject: str
    api: str = ""
    """The provider's API."""
    vendor: str = ""
    recording: str = ""
    """`Take.key`; empty for a probe."""
    delivery: str = BASELINE
    fault: str = ""
    probe: str = ""
    """The check that probes, and the variant."""

    @property
    def id(self) -> str:
        """Its name in reports and for `--only`."""
        if self.probe:
            return f"{self.subject}::{self.probe}"
        return f"{self.subject}::{self.recording}::{self.fault or self.delivery}"


def load_takes(folders: Sequence[Path]) -> list[Take]:
    """The bundled recordings and those of `folders`. Raises `RecordingError`."""
    takes = [Take(BUNDLED_SET, recording) for recording in load_recordings(BUNDLED)]
    sources = {BUNDLED_SET}
    for folder in folders:
        if folder.resolve() == BUNDLED.resolve():
            continue
        source = base = folder.resolve().name
        number = 1
        while source in sources:
            number += 1
            source = f"{base}-{number}"
        sources.add(source)
        takes += [Take(source, recording) for recording in load_recordings(folder)]
    return takes


def representative(takes: Sequence[Take]) -> list[Take]:
    """The bundled set, and of every other one the smallest recording of each API, kind and vendor."""
    chosen: dict[tuple[str, ...], Take] = {}
    for take in takes:
        recording = take.recording
        key: tuple[str, ...] = (take.source, recording.api, recording.kind, recording.vendor)
        if take.source == BUNDLED_SET:
            key = (take.key,)
        known = chosen.get(key)
        if known is None or len(recording.response.body) < len(known.recording.response.body):
            chosen[key] = take
    return list(chosen.values())


def cases_of(
    take: Take, subject: str, traits: Traits, deliveries: Mapping[str, Delivery], scope: Scope
) -> Iterator[Case]:
    """The cases of one recording before one subject. The baseline comes first."""
    recording = take.recording
    blank = Case(subject=subject, api=recording.api, vendor=recording.vendor, recording=take.key)
    if traits.depth == "sample":
        if take.is_exemplar or recording.vendor == traits.vendor:
            yield blank
        return
    yield blank
    answer = Answer.of(recording)
    for name, delivery in deliveries.items():
        if name != BASELINE and delivery.fits(answer) and _is_delivered(take, name, traits):
            yield msgspec.structs.replace(blank, delivery=name)
    streamed = recording.kind == "stream"
    if not traits.replayed or recording.kind == "error" or (streamed and not _ends(answer)):
        return
    for name, fault in FAULTS.items():
        if not fault.fits(answer) or not _is_met(take, name, traits, scope):
            continue
        if not traits.strict and not _owed_by_anyone(fault):
            continue
        if isinstance(fault, StatusFault) and fault.retry_after and not (streamed and _is_worth_a_second(fault, scope)):
            continue
        yield msgspec.structs.replace(blank, fault=name)


_CUTS = {"full": ("whole", "bytes-1", "random-splits-*[02468]"), "encoder": ("whole",), "kin": ()}
"""Deliveries that meet every recording, by depth: they cut its content in other places. All others change what is
around the content (HTTP's chunks, the head, line ends, comments, gzip, pauses), and say the same whatever it is."""

_CONTENT_FAULTS = {
    "full": (
        "fin-between-events",
        "fin-in-event",
        "error-late",
        "early-end",
        "malformed-late",
        "unknown-event",
        "unknown-fields",
        "duplicate-terminator",
        "missing-terminator",
        "corrupt-event",
    ),
    "encoder": ("fin-in-event",),
    "kin": (),
}
"""Faults that meet every recorded stream, by depth: what must be told then depends on what was recorded."""


def _is_delivered(take: Take, name: str, traits: Traits) -> bool:
    if take.is_exemplar or (take.source == BUNDLED_SET and traits.depth == "full"):
        return True
    return any(fnmatchcase(name, pattern) for pattern in _CUTS[traits.depth])


def _is_met(take: Take, name: str, traits: Traits, scope: Scope) -> bool:
    streamed = take.recording.kind == "stream"
    return take.is_exemplar or (scope == "full" and streamed and name in _CONTENT_FAULTS[traits.depth])


def _ends(answer: Answer) -> bool:
    """Whether a stream says anywhere why it ended. One that never does cannot be told from its own cut."""
    return any(part.event is not None and finishes_answer(answer.wire, part.event) for part in answer.parts)


def _is_worth_a_second(fault: StatusFault, scope: Scope) -> bool:
    """Faults that make the subject wait: all of them in the full run, one of them in the representative one."""
    return scope == "full" or fault == FAULTS["429-retry-after"]


def _owed_by_anyone(fault: Fault) -> bool:
    """Whether a gateway that promised nothing must get it right: not time limits and size limits of ours."""
    if isinstance(fault, OversizedEvent):
        return fault.size <= MAX_EVENT_BYTES
    return not isinstance(fault, (Stall, WrongContentType, EmptyBody))


def selects(only: Collection[str], case: Case) -> bool:
    """Whether `--only` patterns (an id, or shell wildcards that match one) let a case in; none lets all in."""
    return not only or case.id in only or any(fnmatchcase(case.id, pattern) for pattern in only)
