"""Medians, ratios and tables of a session's samples. Imports measure and workloads."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.environment import Environment
from benchmarks.measure import FAULTS, NOISY, Sample
from benchmarks.workloads import Workload


class Row(msgspec.Struct, kw_only=True):
    """A subject in a workload's table: medians over its runs."""

    subject: str
    value: float
    low: float
    high: float
    runs: int
    ratio: float | None
    """Of the baseline's value; None: the baseline has none."""
    cpu_us: float
    """CPU time of the subject for each request, or for each event of a stream."""
    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    """Of the lag of events for paced streams, of the latency of answers otherwise."""
    subject_busy: float
    harness_busy: float
    rss_mb: float
    rss_peak_mb: float
    limited_by: str
    noisy: int
    """Runs in which others took more than `NOISY` of a core."""
    faults: dict[str, int]
    """Summed over all runs."""
    left_active: int
    delivered: float
    """Events that arrived before the run's time was up, as a fraction of those asked for; 1 for other workloads."""
    samples: list[Sample]


class Table(msgspec.Struct):
    workload: Workload
    rows: list[Row]


def tables(samples: list[Sample], workloads: list[Workload], baseline: str) -> list[Table]:
    """One table for each workload that has samples, its rows in the order in which subjects first ran."""
    result = []
    for workload in workloads:
        by_subject: dict[str, list[Sample]] = {}
        for sample in samples:
            if sample.workload == workload.name:
                by_subject.setdefault(sample.subject, []).append(sample)
        base = statistics.median(s.value for s in by_subject[baseline]) if baseline in by_subject else 0.0
        rows = [_row(workload, runs, base) for runs in by_subject.values()]
        if rows:
            result.append(Table(workload, rows))
    return result


def _row(workload: Workload, runs: list[Sample], base: float) -> Row:
    def median(of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, runs))

    values = [s.value for s in runs]
    paced = workload.metric.startswith("lag_us")
    times = "lag_us" if paced else "latency_us"

    def time_us(key: str) -> float:
        return median(lambda s: float(s.load.get(times, {}).get(key, 0)))

    faults = {name: total for name in FAULTS if (total := sum(s.faults.get(name, 0) for s in runs))}
    limits = {s.limited_by for s in runs}
    return Row(
        subject=runs[0].subject,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        runs=len(runs),
        ratio=statistics.median(values) / base if base else None,
        cpu_us=median(lambda s: s.cpu_us_per_event if workload.events else s.cpu_us_per_request),
        p50_us=time_us("p50"),
        p90_us=time_us("p90"),
        p99_us=time_us("p99"),
        max_us=max(float(s.load.get(times, {}).get("max", 0)) for s in runs),
        subject_busy=median(lambda s: s.subject_busy),
        harness_busy=median(lambda s: s.harness_busy),
        rss_mb=median(lambda s: s.rss_after_mb),
        rss_peak_mb=max(s.rss_peak_mb for s in runs),
        limited_by=limits.pop() if len(limits) == 1 else "mixed",
        noisy=sum(s.foreign > NOISY for s in runs),
        faults=faults,
        left_active=sum(s.left_active for s in runs),
        delivered=median(lambda s: s.load["events_all"] / (workload.connections * workload.events)) if paced else 1.0,
        samples=runs,
    )


def markdown(found: list[Table], environment: Environment, baseline: str, failed: dict[str, str]) -> str:
    """The whole report as Markdown."""
    parts = ["# Benchmark", "", *_environment(environment)]
    for table in found:
        parts += ["", f"## {table.workload.name}", "", f"{table.workload.about}.", "", *_table(table, baseline)]
    parts += ["", "## Is the harness what is measured?", "", *_harness(found)]
    if failed:
        parts += ["", "## Did not run", ""]
        parts += [f"- {name}: {error.splitlines()[0]}" for name, error in failed.items()]
    return "\n".join(parts) + "\n"


def _environment(environment: Environment) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    return [
        f"{environment.date}, commit {environment.commit or 'unknown'}. {environment.cpu}, {environment.cores} cores, "
        f"{environment.memory_gb} GB, Linux {environment.kernel}, {environment.python}; {packages}.",
        "",
        "The subject has one core, the mock provider and the load generator share another. Values are medians, with "
        "lowest and highest run. Ratios carry over to other machines, absolute numbers do not.",
    ]


def _table(table: Table, baseline: str) -> list[str]:
    workload = table.workload
    if workload.group == "startup":
        head = ["subject", "listens after (ms)", "idle RSS (MiB)"]
        cells = [[r.subject, _range(r), f"{r.rss_mb:.0f}"] for r in table.rows]
        return _grid(head, cells)
    if workload.group == "memory":
        head = ["subject", "RSS before (MiB)", "peak", "after", "requests", "abandoned", "left open upstream", "notes"]
        cells = [
            [
                *(r.subject, f"{s.rss_before_mb:.0f}", f"{s.rss_peak_mb:.0f}", f"{s.rss_after_mb:.0f}"),
                *(str(s.load["requests_all"]), str(s.load["abandoned"]), str(s.left_active), _notes(r)),
            ]
            for r in table.rows
            for s in r.samples
        ]
        return _grid(head, cells)
    per = "event" if workload.events else "request"
    times = "lag" if workload.metric.startswith("lag_us") else "latency"
    head = ["subject", workload.unit, f"of {baseline}", f"CPU us/{per}", f"{times} p50 (us)", "p90", "p99", "max"]
    head += ["its core", "harness", "RSS peak (MiB)"]
    if workload.abandon:
        head += ["abandoned", "closed at provider", "answered to nobody", "drained in (ms)"]
    head += ["notes"]
    cells = []
    for r in table.rows:
        ratio = f"{r.ratio:.2f}" if r.ratio is not None else "-"
        cpu = f"{r.cpu_us:.1f}" if r.subject_busy and r.value else "-"
        row = [r.subject, _range(r), ratio, cpu, *(f"{v:,.0f}" for v in (r.p50_us, r.p90_us, r.p99_us, r.max_us))]
        row += [f"{r.subject_busy:.0%}", f"{r.harness_busy:.0%}", f"{r.rss_peak_mb:.0f}"]
        if workload.abandon:
            last = r.samples[-1]
            # What was still under way when the load ended is closed early as well.
            gone = int(last.load["abandoned"]) + int(last.load["unfinished"])
            # The rest never reached the provider, or the provider went on to the end with nobody to read it.
            failed = sum(int(last.load[name]) for name in ("reset", "timeouts", "malformed", "connect_errors"))
            whole = int(last.load["requests_all"]) - int(last.load["abandoned"]) - failed
            wasted = max(int(last.mock["streams_finished"]) - whole, 0)
            row += [str(gone), str(last.mock["closed_early"]), str(wasted), f"{last.drain_ms:.0f}"]
        cells.append([*row, _notes(r)])
    return _grid(head, cells)


def _range(row: Row) -> str:
    if row.runs == 1:
        return f"{row.value:,.0f}"
    return f"{row.value:,.0f} ({row.low:,.0f} .. {row.high:,.0f})"


def _notes(row: Row) -> str:
    notes = []
    if row.limited_by == "harness" and row.subject != "direct":
        notes.append("harness-bound: a lower limit")
    if row.limited_by == "both":
        notes.append("the harness was nearly full too")
    if row.noisy:
        notes.append(f"noisy machine in {row.noisy} of {row.runs}")
    if row.faults:
        notes.append(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in row.faults.items()))
    if row.delivered < 0.999:
        notes.append(f"too slow: {row.delivered:.0%} of the events in time")
    if row.left_active:
        notes.append(f"left open upstream: {row.left_active}")
    return "; ".join(notes)


def _harness(found: list[Table]) -> list[str]:
    lines = [
        "Each run measures the CPU time of both sides: where the subject's core is full and the harness' is not, the "
        "subject is the limit; the other way round, the row is marked as harness-bound. A harness that is busy for a "
        "fraction f of the time could have carried about 1/f of the load: its ceiling with that subject. `direct`, the "
        "harness against itself on its one core, shows its own cost only; with a subject on another core the same "
        "request can cost it more (wake-ups across cores, cold caches), so `direct` is not that ceiling.",
        "",
    ]
    for table in found:
        rows = {row.subject: row for row in table.rows}
        direct = rows.pop("direct", None)
        if direct is None or table.workload.group not in ("nonstream", "burst", "cross", "sweep") or not rows:
            continue
        fastest = max(rows.values(), key=lambda r: r.value)
        ceiling = fastest.value / max(fastest.harness_busy, 0.01)
        lines.append(
            f"- {table.workload.name}: direct {direct.value:,.0f} {table.workload.unit}; the fastest subject, "
            f"{fastest.subject}, {fastest.value:,.0f} with its core {fastest.subject_busy:.0%} and the harness' "
            f"{fastest.harness_busy:.0%} busy: a ceiling of about {ceiling:,.0f}."
        )
    return lines


def _grid(head: list[str], cells: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]

    def line(row: list[str]) -> str:
        aligned = [
            c.ljust(w) if i in (0, len(row) - 1) else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "| " + " | ".join(aligned) + " |"

    rule = ["-" * w if i in (0, len(widths) - 1) else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return [line(head), line(rule), *map(line, cells)]


def as_json(found: list[Table], environment: Environment, failed: dict[str, str], settings: dict[str, Any]) -> bytes:
    """Everything, every sample included, for out/bench.json."""
    document = {"environment": environment, "settings": settings, "failed": failed, "tables": found}
    return msgspec.json.format(msgspec.json.encode(document), indent=1)
