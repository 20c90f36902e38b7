"""The checks, one a file. The order here is the order of the report's columns."""

from conformance.checks.back_pressure import BackPressure
from conformance.checks.base import AnswerCheck, BrokenPromiseError, Check, Probe, Seen, TooLateError
from conformance.checks.cancel import Cancel
from conformance.checks.error_map import ErrorMap
from conformance.checks.honest_ending import HonestEnding
from conformance.checks.linear import Linear
from conformance.checks.lossless import Lossless
from conformance.checks.no_leak import NoLeak
from conformance.checks.on_time import OnTime
from conformance.checks.same_message import SameMessage
from conformance.checks.split_proof import SplitProof
from conformance.checks.usage import UsageCounted

ANSWER_CHECKS: tuple[AnswerCheck, ...] = (
    SameMessage(),
    Lossless(),
    SplitProof(),
    HonestEnding(),
    ErrorMap(),
    UsageCounted(),
    NoLeak(),
)
PROBES: tuple[Probe, ...] = (Linear(), Cancel(), BackPressure(), OnTime())
CHECKS: tuple[Check, ...] = (*ANSWER_CHECKS, *PROBES)

__all__ = [
    "ANSWER_CHECKS",
    "CHECKS",
    "PROBES",
    "AnswerCheck",
    "BrokenPromiseError",
    "Check",
    "Probe",
    "Seen",
    "TooLateError",
]
