"""The matrix on a terminal, folded by API and vendor, and the failures under it. Makes text; prints nothing."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.result import Report, Result

SHOWN_FAILURES = 30


def fold(results: Sequence[Result]) -> dict[tuple[str, str, str], dict[str, tuple[int, int]]]:
    """For each subject, API and vendor (`probes` for those without one), each check's count and its failures."""
    rows: dict[tuple[str, str, str], dict[str, tuple[int, int]]] = {}
    for result in results:
        case = result.case
        row = rows.setdefault((case.subject, case.api, case.vendor or "(probes)"), {})
        count, failed = row.get(result.check, (0, 0))
        row[result.check] = (count + 1, failed + (result.outcome == "failed"))
    return dict(sorted(rows.items()))


def matrix(report: Report, *, by_vendor: bool = True) -> str:
    """Rows are subjects (and vendors), columns checks: `120` cases passed, `3!120`: three of them failed."""
    rows: dict[tuple[str, ...], dict[str, tuple[int, int]]] = {}
    for (subject, api, vendor), cells in fold(report.results).items():
        for key in [(subject, api, "all")] + [(subject, api, vendor)] * by_vendor:
            row = rows.setdefault(key, {})
            for check, (count, failed) in cells.items():
                old = row.get(check, (0, 0))
                row[check] = (old[0] + count, old[1] + failed)
    checks = list(report.checks)
    table: list[list[str]] = [["subject", "recordings of", "vendor", *checks]]
    previous = ""
    for (subject, api, vendor), row in rows.items():
        shown = subject if subject != previous else ""
        previous = subject
        table.append([shown, api if shown else "", vendor, *(_cell(row.get(check)) for check in checks)])
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = []
    for line in table:
        left = [text.ljust(width) for text, width in zip(line[:3], widths[:3], strict=True)]
        right = [text.rjust(width) for text, width in zip(line[3:], widths[3:], strict=True)]
        lines.append("  ".join([*left, *right]).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _cell(counts: tuple[int, int] | None) -> str:
    if counts is None:
        return "."
    count, failed = counts
    return f"{failed}!{count}" if failed else str(count)


def failures(report: Report, limit: int = SHOWN_FAILURES) -> str:
    """Each failure with its reason and how to run it again."""
    found = report.failures
    lines: list[str] = []
    for result in found[:limit]:
        lines += [f"FAILED {result.check}: {result.case.id}", f"  {result.reason[:600]}", f"  {result.rerun}"]
    if len(found) > limit:
        lines.append(f"... and {len(found) - limit} more; --html or --json have them all")
    return "\n".join(lines)


def summary(report: Report) -> str:
    cases = len({result.case.id for result in report.results})
    verdict = f"{len(report.failures)} failed" if report.failures else "all passed"
    if report.stopped_by:
        verdict = f"stopped before the end, {len(report.failures)} failed so far"
    return (
        f"{len(report.results)} checks of {cases} cases on {report.recordings} recordings in {report.seconds:.1f} s "
        f"({report.scope}, seed {report.seed}): {verdict}"
    )
