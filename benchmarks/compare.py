"""CPU time of this gateway before and after a change: `python -m benchmarks.compare REVISION`.

Both run at once, on one core, and take short turns under the same load (A B A B ...); each turn gives the CPU time that
the gateway took for a request or an event. Medians are compared, and the smallest figures: on a busy machine, whose
caches and hyper-threads others share, these tell more. Rates and lags are for `python -m benchmarks`.

    python -m benchmarks.compare HEAD                                    # the working tree against the last commit
    python -m benchmarks.compare main~5 --after main --workloads burst,cross-burst-a2o --turns 15
    python -m benchmarks.compare HEAD --beside vllm-router,relay         # a yardstick takes its turns too

Workloads are named as in `python -m benchmarks`. Imports measure, subjects and workloads.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks import native
from benchmarks.__main__ import stop
from benchmarks.measure import Bench, Mock, Running, Sample
from benchmarks.subjects import SAME_API, SUBJECTS, TRANSLATED, Place, Subject, gateway_config
from benchmarks.workloads import GROUPS, Workload, workloads

_TREE = Path(__file__).parent.parent
_MAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from proxy.cli import main; main()"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__.split("\n")[0])
    parser.add_argument("before", help="a git revision")
    parser.add_argument("--after", help="a git revision (default: the working tree)")
    parser.add_argument("--beside", default="", help="other subjects that take turns too (vllm-router, relay ...)")
    parser.add_argument("--workloads", default="nonstream,burst", help="by name (burst-anthropic) or by group (cross)")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a turn")
    parser.add_argument("--venvs", type=Path, default=Path("out/venvs"), help="where other gateways are installed")
    parser.add_argument("--subject-core", type=int, default=0)
    parser.add_argument("--harness-core", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    """Compare, print a line for each workload and subject. 1: a run had faults."""
    arguments = _arguments()
    scratch = Path(tempfile.mkdtemp(prefix="compare-"))
    signal.signal(signal.SIGTERM, stop)
    os.sched_setaffinity(0, {arguments.harness_core})
    mock_program, load_program = native.build(scratch / "bin")
    mock = Mock(mock_program, arguments.harness_core, scratch / "mock.log")
    cores = (arguments.subject_core, arguments.harness_core)
    bench = Bench(load_program, mock, *cores, scratch, arguments.venvs.resolve(), {})
    running: list[Running] = []
    try:
        subjects = [
            _gateway("before", _checkout(arguments.before, scratch)),
            _gateway("after", _checkout(arguments.after, scratch) if arguments.after else _TREE),
            *(SUBJECTS[name] for name in arguments.beside.split(",") if name),
        ]
        for subject in subjects:
            running.append(bench.start(subject))
            running[-1].freeze()
        faults = [_compare(bench, running, w, arguments.turns) for w in _chosen(arguments)]
    finally:
        for each in running:
            each.stop()
        mock.process.stop()
        shutil.rmtree(scratch)
    return int(any(faults))


def _checkout(revision: str, scratch: Path) -> Path:
    """The files of a revision, in a directory of their own."""
    tree = Path(tempfile.mkdtemp(prefix="tree-", dir=scratch))
    archive = subprocess.run(["git", "archive", revision], cwd=_TREE, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    return tree


def _gateway(name: str, tree: Path) -> Subject:
    def command(place: Place) -> list[str]:
        return [sys.executable, "-c", _MAIN, str(tree), "serve", "--config", str(gateway_config(place))]

    return Subject(name=name, about=str(tree), command=command, routes=(*SAME_API, *TRANSLATED))


def _chosen(arguments: argparse.Namespace) -> list[Workload]:
    named = arguments.workloads.split(",")
    every = workloads([group for group in GROUPS if group not in ("memory", "startup")], quick=False)
    known = {workload.name for workload in every} | {workload.group for workload in every}
    if unknown := [name for name in named if name not in known]:
        sys.exit(f"no such workload: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [
        msgspec.structs.replace(workload, seconds=arguments.seconds, warmup=0.2) if workload.seconds else workload
        for workload in every
        if workload.name in named or workload.group in named
    ]


def _compare(bench: Bench, running: list[Running], workload: Workload, turns: int) -> bool:
    """Run the turns, print the medians. True: there were faults."""
    samples: dict[str, list[Sample]] = {}
    for turn in range(turns):
        able = [each for each in running if workload.route in each.subject.routes]
        for each in able if turn % 2 else reversed(able):
            each.thaw()
            samples.setdefault(each.subject.name, []).append(bench.run(each, workload))
            each.freeze()
    unit = "event" if workload.stream else "request"
    medians = {name: statistics.median(_cost(s, workload) for s in runs) for name, runs in samples.items()}
    for name in (each.subject.name for each in running if each.subject.name in samples):
        costs = sorted(_cost(sample, workload) for sample in samples[name])
        ratio, best = medians[name] / medians["before"], costs[0] / _least(samples["before"], workload)
        faults = sum(sum(sample.faults.values()) for sample in samples[name])
        print(
            f"{workload.name:20} {name:12} {medians[name]:8.2f} us CPU for a {unit}"
            f" ({costs[0]:.2f} to {costs[-1]:.2f}), {ratio:.3f} x before, smallest {best:.3f} x"
            + (f"; FAULTS {faults}" if faults else ""),
            flush=True,
        )
    return any(sample.faults for runs in samples.values() for sample in runs)


def _least(samples: list[Sample], workload: Workload) -> float:
    return min(_cost(sample, workload) for sample in samples)


def _cost(sample: Sample, workload: Workload) -> float:
    return sample.cpu_us_per_event if workload.stream else sample.cpu_us_per_request


if __name__ == "__main__":
    sys.exit(main())
