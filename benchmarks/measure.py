"""One measurement: a workload through a subject, with what both sides and /proc say of it.

Imports processes, subjects and workloads.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.processes import Pinned, StartError, busy_seconds, free_port, pin
from benchmarks.subjects import PATHS, Place, Subject, model_for, request_headers
from benchmarks.workloads import Workload

FAULTS = (
    *("lost", "repeated", "incomplete", "error_events", "bad_status", "connect_errors", "reset", "timeouts"),
    *("wrong_body", "malformed"),
)
BUSY = 0.93
"""A core that was busy for this fraction of the time is what limited the run."""
NEARLY_BUSY = 0.85
"""A harness as busy as this may have slowed a subject down, even one whose own core is full."""
NOISY = 0.1
"""So much of a core taken by processes that are not ours spoils a run."""
DRAIN_SECONDS = 10


class Sample(msgspec.Struct, kw_only=True):
    """What one run gave."""

    subject: str
    workload: str
    value: float
    """The workload's metric."""
    load: dict[str, Any] = {}
    """The load generator's result, see load.c."""
    mock: dict[str, Any] = {}
    """The mock's counts after the run, see mock.c."""
    subject_busy: float = 0
    """Fraction of its core that the subject used."""
    harness_busy: float = 0
    """Fraction of their core that mock and load used together."""
    foreign: float = 0
    """Fraction of a core that others took, on the core where that was more."""
    cpu_us_per_request: float = 0
    """CPU time of the subject for each request, abandoned ones included."""
    cpu_us_per_event: float = 0
    rss_before_mb: float = 0
    rss_peak_mb: float = 0
    rss_after_mb: float = 0
    drain_ms: float = 0
    """From the end of the load until the mock had no answer under way."""
    left_active: int = 0
    """Answers that the mock was still writing `DRAIN_SECONDS` after the load had ended."""
    faults: dict[str, int] = {}
    limited_by: str = ""
    """subject, harness, both, or empty: neither core was full."""
    listen_ms: float = 0


class Mock:
    """The mock provider on its core."""

    def __init__(self, program: Path, core: int, log: Path) -> None:
        self.port = free_port()
        self.process = Pinned([str(program), str(self.port)], {core}, log)
        self.process.wait_listening(self.port, 5)

    def stats(self) -> dict[str, Any]:
        return self._ask("GET", "/stats")

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer


class Bench(msgspec.Struct, frozen=True):
    """The harness: its programs, its cores, its mock."""

    load: Path
    mock: Mock
    subject_core: int
    harness_core: int
    out: Path
    venvs: Path
    options: dict[str, str]

    def start(self, subject: Subject) -> Running:
        """Start a subject and wait until it answers. Raises `StartError`."""
        directory = Path(tempfile.mkdtemp(prefix=f"{subject.name}-", dir=self.out))
        directory.chmod(0o755)
        if not subject.external:
            return Running(subject, Place(self.mock.port, self.mock.port, directory, self.venvs), None)
        place = Place(free_port(), self.mock.port, directory, self.venvs, self.options)
        cores = {self.subject_core, self.harness_core} if subject.shares_cores else {self.subject_core}
        process = Pinned(subject.command(place), cores, self.out / f"{subject.name}.log", subject.env)
        running = Running(subject, place, process)
        try:
            running.listen_s = process.wait_listening(place.port, subject.start_seconds)
            running.idle_mb = process.rss_mb()
            process.wait_until(running.answers, subject.start_seconds, "gives no whole answer")
        except StartError:
            process.stop()
            raise
        return running

    def run(self, running: Running, workload: Workload) -> Sample:
        """Run the workload through a subject that is up."""
        sample = Sample(subject=running.subject.name, workload=workload.name, value=0)
        sample.listen_ms = running.listen_s * 1000
        if workload.group == "startup":
            time.sleep(0.5)
            sample.rss_before_mb = sample.rss_peak_mb = sample.rss_after_mb = running.rss_mb()
            sample.value = sample.listen_ms
            return sample
        self.mock.reset()
        sample.rss_before_mb = running.rss_mb()
        began, subject_cpu, mock_cpu = time.monotonic(), running.cpu_seconds(), self.mock.process.cpu_seconds()
        cores = (busy_seconds(self.subject_core), busy_seconds(self.harness_core))
        sample.load, sample.rss_peak_mb = self._load(running, workload)
        wall = time.monotonic() - began
        subject_cpu = running.cpu_seconds() - subject_cpu
        harness_cpu = self.mock.process.cpu_seconds() - mock_cpu + sample.load["cpu_s"]
        others = (
            busy_seconds(self.subject_core) - cores[0] - (subject_cpu if running.process is not None else 0.0),
            busy_seconds(self.harness_core) - cores[1] - harness_cpu,
        )
        if running.subject.shares_cores:
            sample.foreign = max(0.0, sum(others) / wall)
        elif running.process is not None:
            sample.foreign = max(0.0, *(other / wall for other in others))
        else:
            sample.foreign = max(0.0, others[1] / wall)
        load_wall = sample.load["wall_s"]
        sample.subject_busy = subject_cpu / load_wall
        sample.harness_busy = harness_cpu / load_wall
        if running.process is not None and sample.subject_busy >= BUSY:
            sample.limited_by = "subject" if sample.harness_busy < NEARLY_BUSY else "both"
        elif sample.harness_busy >= BUSY:
            sample.limited_by = "harness"
        sample.cpu_us_per_request = subject_cpu * 1e6 / max(sample.load["requests_all"], 1)
        sample.cpu_us_per_event = subject_cpu * 1e6 / max(sample.load["events_all"], 1)
        self._drain(sample)
        sample.rss_after_mb = running.rss_mb()
        sample.faults = {name: sample.load[name] for name in FAULTS if sample.load[name]}
        sample.value = _metric(sample, workload.metric)
        return sample

    def _load(self, running: Running, workload: Workload) -> tuple[dict[str, Any], float]:
        body = running.place.directory / "body.json"
        body.write_bytes(workload.body(model_for(workload.route)))
        command = [str(self.load), "--port", str(running.place.port), "--body", str(body)]
        command += ["--path", PATHS[workload.route.partition(">")[0]], *workload.arguments()]
        for name, value in request_headers(running.subject, workload.route, running.place).items():
            command += ["--header", f"{name}: {value}"]
        peak = running.rss_mb()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, preexec_fn=pin({self.harness_core}), stdin=subprocess.DEVNULL
        ) as load:
            try:
                while load.poll() is None:
                    time.sleep(0.1)
                    peak = max(peak, running.rss_mb())
            except BaseException:
                load.kill()
                raise
            assert load.stdout is not None
            text = load.stdout.read()
        if load.returncode:
            raise StartError(f"the load generator failed: {' '.join(command)}")
        result: dict[str, Any] = json.loads(text)
        return result, peak

    def _drain(self, sample: Sample) -> None:
        ended = time.monotonic()
        while True:
            sample.mock = self.mock.stats()
            sample.left_active = sample.mock["active"]
            sample.drain_ms = (time.monotonic() - ended) * 1000
            if not sample.left_active or sample.drain_ms > DRAIN_SECONDS * 1000:
                return
            time.sleep(0.01)


class Running:
    """A subject that has been started. `process` is None for `direct`."""

    def __init__(self, subject: Subject, place: Place, process: Pinned | None) -> None:
        self.subject = subject
        self.place = place
        self.process = process
        self.listen_s = 0.0
        """From the start of the process until its port accepted."""
        self.idle_mb = 0.0

    def answers(self) -> bool:
        """Whether it gives a whole answer now."""
        route = self.subject.routes[0]
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=5)
        body = {"model": model_for(route), "messages": [{"role": "user", "content": "ready?"}], "max_tokens": 10}
        headers = request_headers(self.subject, route, self.place) | {"content-type": "application/json"}
        try:
            connection.request("POST", PATHS[route.partition(">")[0]], json.dumps(body), headers)
            answer = connection.getresponse()
            return b"mock-answer" in answer.read() and answer.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def rss_mb(self) -> float:
        return self.process.rss_mb() if self.process else 0.0

    def cpu_seconds(self) -> float:
        return self.process.cpu_seconds() if self.process else 0.0

    def freeze(self) -> None:
        if self.process:
            self.process.freeze()

    def thaw(self) -> None:
        if self.process:
            self.process.thaw()

    def stop(self) -> None:
        if self.process:
            self.process.stop()


def _metric(sample: Sample, key: str) -> float:
    if hasattr(sample, key):
        return float(getattr(sample, key))
    value: Any = sample.load
    for part in key.split("."):
        value = value[part]
    return float(value)
