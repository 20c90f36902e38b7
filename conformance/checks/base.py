"""What a check is: of the answers of a case, or a probe that asks questions of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec

from conformance.answered import Answered
from conformance.cases import Case
from conformance.facts import Usage
from conformance.oracles import Reading
from conformance.oracles.expected import Expected
from conformance.replay import Fault, Play
from conformance.replay.faults import Expectation
from conformance.stage import Stage
from conformance.subjects.base import Subject, Traits
from conformance.wires import WireFormat
from providers.replay.recording import Recording


class Seen(msgspec.Struct, kw_only=True):
    """All that is known of a case once it was asked."""

    case: Case
    traits: Traits
    wire: WireFormat
    upstream: WireFormat
    recording: Recording
    play: Play
    fault: Fault | None
    expectation: Expectation | None
    """What the fault must lead to; None without a fault."""
    expected: Expected
    baseline: Answered | None
    """The same subject's reading of the same recording, in the baseline delivery; None in the baseline itself."""
    answered: Answered
    requests: int
    """How many requests the provider's side got for this one."""
    counted: Usage | None
    """What the subject itself counted for it."""
    sdk: Reading | None
    """What the official SDK made of the same case, where it was asked too."""
    leaks: list[str]
    """What was still held once the case was over."""

    @property
    def is_baseline(self) -> bool:
        """The undisturbed answer in the delivery that is held against the oracle."""
        return self.fault is None and self.baseline is None


class Check(ABC):
    """A promise. The name is the column of the report, the sentence says what is promised."""

    name: ClassVar[str]
    sentence: ClassVar[str]


class AnswerCheck(Check):
    """Judges what came of a case. A pure function."""

    @abstractmethod
    def applies(self, seen: Seen) -> bool:
        """Whether this case says anything about the promise."""

    @abstractmethod
    def judge(self, seen: Seen) -> str | None:
        """Why the promise is broken; None: it is kept."""


class BrokenPromiseError(Exception):
    """A probe found its promise broken; the message says how."""


class TooLateError(BrokenPromiseError):
    """What a probe waited for did not come."""


class Probe(Check):
    """Asks questions of its own, in one or more variants."""

    @abstractmethod
    def variants(self, traits: Traits) -> list[str]:
        """Names of the ways to probe such a subject; none: the promise says nothing about it."""

    @abstractmethod
    async def run(self, subject: Subject, stage: Stage, variant: str) -> None:
        """Raises `BrokenPromiseError`. Leaves nothing behind that is its own."""
