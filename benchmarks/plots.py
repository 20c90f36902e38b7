"""Pictures of a session: lag against load, throughput against connections. Needs matplotlib, which is optional."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Any

from benchmarks.report import Row, Table

MISSING = "no plots: matplotlib is not installed (pip install matplotlib)"


def available() -> bool:
    return util.find_spec("matplotlib") is not None


def draw(found: list[Table], out: Path) -> list[Path]:
    """Draw what there are at least two points for; return the files written."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    written = []
    paced = [t for t in found if t.workload.group == "paced"]
    if len(paced) > 1:
        figure, axes = pyplot.subplots(1, 3, figsize=(15, 5), sharey=True)
        for axis, name in zip(axes, ("p50_us", "p90_us", "p99_us"), strict=True):
            for subject, points in _series(paced, name).items():
                axis.plot([x for x, _ in points], [y / 1000 for _, y in points], marker="o", label=subject)
            axis.set(title=name.removesuffix("_us"), xlabel="streams, 50 events/s each", yscale="log")
            axis.grid(visible=True, alpha=0.3)
        axes[0].set_ylabel("one-way lag of an event (ms)")
        axes[0].legend()
        written.append(_save(figure, out / "lag.png"))
    sweep = [t for t in found if t.workload.group == "sweep"]
    if len(sweep) > 1:
        figure, axis = pyplot.subplots(figsize=(8, 5))
        for subject, points in _series(sweep, "value").items():
            axis.plot([x for x, _ in points], [y for _, y in points], marker="o", label=subject)
        axis.set(xlabel="connections", ylabel="requests/s", xscale="log", yscale="log")
        axis.grid(visible=True, alpha=0.3)
        axis.legend()
        written.append(_save(figure, out / "throughput.png"))
    return written


def _series(found: list[Table], field: str) -> dict[str, list[tuple[float, float]]]:
    series: dict[str, list[tuple[float, float]]] = {}
    for table in found:
        for row in table.rows:
            series.setdefault(row.subject, []).append((table.workload.x, _value(row, field)))
    return series


def _value(row: Row, field: str) -> float:
    return float(getattr(row, field))


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    return path
