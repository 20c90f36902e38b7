"""`Result`: what one check said of one case. Does no I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

from conformance.cases import Case

Outcome = Literal["passed", "failed"]


class Evidence(msgspec.Struct, kw_only=True):
    """What a report shows beside a failure."""

    sent: str
    """The bytes that the replay server wrote, as text; long ones cut."""
    expected: list[str]
    received: list[str]


class Result(msgspec.Struct, kw_only=True):
    case: Case
    check: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    """How long the case took, all its checks together."""
    rerun: str = ""
    """The command that runs this case alone; only for a failure."""
    evidence: Evidence | None = None


def failed(case: Case, check: str, reason: str, evidence: Evidence | None = None) -> Result:
    """A broken promise. What was received may hold half characters, which no report could be written with."""
    if evidence is not None:
        expected, received = map(_writable, evidence.expected), map(_writable, evidence.received)
        evidence = Evidence(sent=_writable(evidence.sent), expected=list(expected), received=list(received))
    return Result(case=case, check=check, outcome="failed", reason=_writable(reason), evidence=evidence)


def _writable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


class Report(msgspec.Struct, kw_only=True):
    """A whole run."""

    seed: int
    scope: str
    seconds: float
    recordings: int
    results: list[Result]
    checks: dict[str, str]
    """Names and sentences, in the order of the columns."""
    notes: list[str] = []
    """What was left out, and why."""
    stopped_by: int = 0
    """The signal that ended the run before everything was asked; 0: it went to its end."""

    @property
    def failures(self) -> list[Result]:
        return [result for result in self.results if result.outcome == "failed"]
