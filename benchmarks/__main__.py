"""The command: `python -m benchmarks --quick`. See README.md here. Imports the rest of the package."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from benchmarks import environment, native, plots, profiling, report
from benchmarks.campaign import Campaign
from benchmarks.measure import Bench, Mock
from benchmarks.processes import StartError
from benchmarks.subjects import SUBJECTS, Place, Subject, from_template
from benchmarks.workloads import GROUPS, QUICK, workloads

QUICK_SUBJECTS = ("direct", "relay", "nginx", "triway")


def _arguments() -> argparse.Namespace:
    groups = "; ".join(f"{name}: {about}" for name, about in GROUPS.items()).replace("%", "%%")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure gateways beside each other.")
    parser.add_argument("--quick", action="store_true", help="about a minute: few subjects and workloads, short runs")
    parser.add_argument("--subjects", help=f"comma-separated; default: all that are installed of {', '.join(SUBJECTS)}")
    parser.add_argument("--subject", action="append", default=[], metavar="NAME=COMMAND", help="one more: a command "
                        "with {port} and {upstream}, serving /v1/chat/completions and /v1/messages")  # fmt: skip
    parser.add_argument("--workloads", help=f"comma-separated. {groups}")
    parser.add_argument("--repeats", type=int, help="runs of each workload and subject (quick: 2, full: 5)")
    parser.add_argument("--baseline", help="the subject that others are compared with (default: triway, else relay)")
    parser.add_argument("--triway-command", help="default: `triway serve --config {config}`; may hold {port}")
    parser.add_argument("--venvs", type=Path, help="where other gateways are installed (default: OUT/venvs)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="for bench.json, bench.md, plots and logs")
    parser.add_argument("--subject-core", type=int, default=0)
    parser.add_argument("--harness-core", type=int, default=1)
    parser.add_argument(
        "--profile", action="store_true", help="flame graphs of the first subject (or triway) by py-spy"
    )
    return parser.parse_args()


def main() -> int:
    """Run the session; 0 unless something asked for by name did not run."""
    arguments = _arguments()
    quick: bool = arguments.quick
    out: Path = arguments.out.resolve()
    if len(os.sched_getaffinity(0)) < 2 or arguments.subject_core == arguments.harness_core:
        sys.exit("two cores are needed: one for the subject, one for the load and the mock provider")
    groups = arguments.workloads.split(",") if arguments.workloads else list(QUICK if quick else GROUPS)
    unknown = [g for g in groups if g not in GROUPS]
    if unknown:
        sys.exit(f"no such workload: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    plan = workloads(groups, quick=quick)
    scratch = out / "bench"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    venvs = (arguments.venvs or out / "venvs").resolve()
    try:
        mock_program, load_program = native.build(out / "bin")
    except native.NoCompilerError as error:
        sys.exit(str(error))
    subjects, absent = _subjects(arguments, quick, Place(0, 0, scratch, venvs))
    if not subjects:
        sys.exit("no subject to measure: " + "; ".join(f"{name}: {why}" for name, why in absent.items()))
    _raise_file_limit()
    os.sched_setaffinity(0, {arguments.harness_core})
    signal.signal(signal.SIGTERM, stop)
    mock = Mock(mock_program, arguments.harness_core, scratch / "mock.log")
    options = {"triway-command": arguments.triway_command} if arguments.triway_command else {}
    bench = Bench(load_program, mock, arguments.subject_core, arguments.harness_core, scratch, venvs, options)
    try:
        if arguments.profile:
            return _profile(bench, subjects, groups, out)
        campaign = Campaign(bench, subjects, plan, arguments.repeats or (2 if quick else 5))
        try:
            campaign.run()
        except KeyboardInterrupt:
            print("interrupted; what was measured follows", file=sys.stderr)
    finally:
        mock.process.stop()
    names = [s.name for s in subjects]
    baseline = arguments.baseline or next((n for n in ("triway", "relay") if n in names), names[0])
    _write(campaign, baseline, absent, out, vars(arguments))
    return 1 if campaign.failed else 0


def _subjects(arguments: argparse.Namespace, quick: bool, place: Place) -> tuple[list[Subject], dict[str, str]]:
    """The subjects to run, and why others that were meant are not among them."""
    extra = [from_template(text) for text in arguments.subject]
    asked = arguments.subjects.split(",") if arguments.subjects else None
    names = asked or (QUICK_SUBJECTS if quick else tuple(SUBJECTS))
    unknown = [n for n in names if n not in SUBJECTS]
    if unknown:
        sys.exit(f"no such subject: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    absent = {n: why for n in names if (why := SUBJECTS[n].missing(place))}
    for name, why in absent.items():
        print(f"{name}: {why}", file=sys.stderr)
    if asked and absent:
        sys.exit("asked for by name, but missing")
    return [*(SUBJECTS[n] for n in names if n not in absent), *extra], absent


def _profile(bench: Bench, subjects: list[Subject], groups: list[str], out: Path) -> int:
    if not profiling.find():
        print(profiling.MISSING, file=sys.stderr)
        return 1
    subject = next((s for s in subjects if s.name == "triway"), subjects[0])
    for workload in workloads(groups, quick=False):
        if workload.group not in ("memory", "startup"):
            try:
                print(profiling.profile(bench, subject, workload, out))
            except StartError as error:
                print(error, file=sys.stderr)
                return 1
    return 0


def _write(campaign: Campaign, baseline: str, absent: dict[str, str], out: Path, settings: dict[str, object]) -> None:
    about = environment.describe()
    found = report.tables(campaign.samples, campaign.workloads, baseline)
    text = report.markdown(found, about, baseline, {**absent, **campaign.failed})
    plain = {key: str(value) for key, value in settings.items() if value is not None}
    (out / "bench.json").write_bytes(report.as_json(found, about, {**absent, **campaign.failed}, plain))
    (out / "bench.md").write_text(text)
    print(text)
    written = [out / "bench.json", out / "bench.md"]
    if plots.available():
        written += plots.draw(found, out)
    else:
        print(plots.MISSING, file=sys.stderr)
    print("written: " + ", ".join(map(str, written)), file=sys.stderr)


def _raise_file_limit() -> None:
    """Thousands of streams need thousands of sockets, in this process' children too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def stop(*_: object) -> NoReturn:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
