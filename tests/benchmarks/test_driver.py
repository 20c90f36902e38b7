"""The driver: what it makes of runs, and one small session from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import environment, plots, report
from benchmarks.measure import Sample
from benchmarks.subjects import SUBJECTS, from_template
from benchmarks.workloads import GROUPS, Workload, workloads

TIMES = {"p50": 1.0, "p90": 2.0, "p99": 3.0, "max": 4.0}


def sample(subject: str, workload: Workload, value: float, **more: Any) -> Sample:
    load = {"lag_us": TIMES, "latency_us": TIMES, "events_all": workload.events * workload.connections}
    return Sample(subject=subject, workload=workload.name, value=value, load=load, **more)


def test_table_holds_medians_and_ratios() -> None:
    [workload] = workloads(["nonstream"], quick=True)
    samples = [sample("a", workload, v) for v in (10, 1000, 30)] + [sample("b", workload, v) for v in (60, 50)]
    [table] = report.tables(samples, [workload], "a")
    a, b = table.rows
    assert (a.value, a.low, a.high, a.runs, a.ratio) == (30, 10, 1000, 3, 1)
    assert b.value == 55
    assert b.ratio == pytest.approx(55 / 30)


def test_report_says_what_spoils_a_row() -> None:
    [workload] = workloads(["nonstream"], quick=True)
    bad = sample("a", workload, 1, faults={"lost": 3}, foreign=0.5, left_active=2, limited_by="harness")
    text = report.markdown(report.tables([bad], [workload], "a"), environment.describe(), "a", {"x": "not installed"})
    for note in ("harness-bound", "noisy machine in 1 of 1", "lost: 3", "left open upstream: 2", "x: not installed"):
        assert note in text


def test_every_group_has_workloads_in_both_modes_and_asks_for_what_it_expects() -> None:
    for quick in (True, False):
        found = workloads(list(GROUPS), quick=quick)
        assert {w.group for w in found} == set(GROUPS)
        assert len({w.name for w in found}) == len(found)
        for workload in found:
            body = json.loads(workload.body("m"))
            assert body.get("stream", False) == workload.stream
            if workload.events:
                assert f"n={workload.events}," in workload.orders
            if workload.group != "startup":
                assert workload.seconds or workload.limit


def test_subject_from_template_fills_the_ports(tmp_path: Path) -> None:
    from benchmarks.subjects import Place

    subject = from_template("mine=run --listen {port} --to http://h:{upstream}")
    assert subject.command(Place(1, 2, tmp_path, tmp_path)) == ["run", "--listen", "1", "--to", "http://h:2"]
    with pytest.raises(ValueError, match="name=command"):
        from_template("nothing")


def test_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = workloads(["paced", "sweep"], quick=False)
    samples = [sample(name, w, 5) for w in found for name in ("a", "b")]
    written = plots.draw(report.tables(samples, found, "a"), tmp_path)
    assert [p.name for p in written] == ["lag.png", "throughput.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in written)


def test_the_help_tells_every_workload() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True)
    assert all(f"{name}: " in done.stdout for name in GROUPS)


@pytest.mark.exhaustive
def test_a_session(tmp_path: Path, programs: object) -> None:
    relay = f"again={sys.executable} -m benchmarks.relay {{port}} {{upstream}}"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--repeats", "1", "--out", str(tmp_path)]
    command += ["--subjects", "direct,relay", "--subject", relay, "--workloads", "burst,startup"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "two cores are needed" in done.stderr:
        pytest.skip("two cores are needed")
    assert done.returncode == 0, done.stderr
    document = msgspec.json.decode((tmp_path / "bench.json").read_bytes())
    tables = {t["workload"]["name"]: {r["subject"]: r for r in t["rows"]} for t in document["tables"]}
    assert set(tables["burst"]) == {"direct", "relay", "again"}
    assert all(row["value"] > 0 and not row["faults"] for row in tables["burst"].values())
    assert tables["burst"]["relay"]["cpu_us"] > 0
    assert tables["startup"]["relay"]["rss_mb"] > 1
    assert set(SUBJECTS) >= {"direct", "relay"}
    assert "| relay" in done.stdout
