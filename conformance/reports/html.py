"""One self-contained page: the matrix, a filter, and each failure with what was sent, expected and received."""

from __future__ import annotations

from pathlib import Path

import msgspec

from conformance.result import Evidence, Report

_PAGE = Path(__file__).with_name("page.html")
_FIELDS = ("subject", "api", "vendor", "recording", "delivery", "fault", "probe")


class _Failure(msgspec.Struct, kw_only=True):
    id: str
    reason: str
    rerun: str
    evidence: Evidence | None


class _Data(msgspec.Struct, kw_only=True):
    seed: int
    scope: str
    seconds: float
    recordings: int
    checks: dict[str, str]
    notes: list[str]
    strings: list[str]
    """The words of `rows`, each once: there are tens of thousands of rows."""
    rows: list[list[int]]
    """Indices into `strings` for the case's fields and the check; last the failure's number, or -1."""
    failures: list[_Failure]


def render(report: Report) -> str:
    numbers: dict[str, int] = {}
    rows: list[list[int]] = []
    failures: list[_Failure] = []
    for result in report.results:
        words = [*(getattr(result.case, field) for field in _FIELDS), result.check]
        number = -1
        if result.outcome == "failed":
            number = len(failures)
            failures.append(
                _Failure(id=result.case.id, reason=result.reason, rerun=result.rerun, evidence=result.evidence)
            )
        rows.append([*(numbers.setdefault(word, len(numbers)) for word in words), number])
    data = _Data(
        seed=report.seed,
        scope=report.scope,
        seconds=report.seconds,
        recordings=report.recordings,
        checks=report.checks,
        notes=report.notes,
        strings=list(numbers),
        rows=rows,
        failures=failures,
    )
    # Recorded text may hold "</script>": no "<" may stand in the page's data.
    text = msgspec.json.encode(data).decode().replace("<", "\\u003c")
    return _PAGE.read_text(encoding="utf-8").replace("__DATA__", text)
