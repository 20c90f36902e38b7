"""A run: the plan cut into jobs, done in this process or in several, and put together again in the plan's order.

What comes out depends on the options and the recordings alone, not on how many processes there were.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import socket
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from multiprocessing.context import SpawnProcess
from pathlib import Path

import msgspec
import trio

from conformance.bench import Bench
from conformance.cases import Scope, Take, load_takes, representative
from conformance.checks import CHECKS
from conformance.crash import SENTENCE, SUITE, innermost
from conformance.deliveries import run_deliveries
from conformance.oracles import MissingSDKError
from conformance.preflight import preflight
from conformance.result import Report, Result
from conformance.stage import open_stage
from conformance.subjects.base import Subject
from conformance.subjects.configs import SubjectError
from conformance.wires import WIRES


class Target(msgspec.Struct, frozen=True):
    """Somebody else's gateway."""

    api: str
    url: str


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    recordings: tuple[str, ...] = ()
    """Folders, beside the bundled set."""
    scope: Scope = "full"
    seed: int = 0
    only: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    """Names, or parts of them; none: all."""
    targets: tuple[Target, ...] = ()
    """Instead of this project's own subjects."""
    headers: tuple[tuple[str, str], ...] = ()
    model_prefix: str = ""
    model: str = "m"
    port: int = 0
    """Where the replay server listens; 0: anywhere free."""
    jobs: int = 1


Progress = Callable[[int, int, Sequence[Result]], None]
"""`(jobs done, jobs in all, results of the last one)`."""


class RunError(Exception):
    """The run itself failed; the message says how, or is a traceback of the process that did."""


@asynccontextmanager
async def open_bench(options: Options) -> AsyncIterator[Bench]:
    """A stage and every subject that the options name, open. Raises `SubjectError`."""
    async with open_stage(port=options.port) as stage, AsyncExitStack() as stack:
        chosen = await _open_subjects(options, stage.url, stack)
        deliveries = run_deliveries(options.seed)
        yield Bench(stage, chosen, deliveries=deliveries, scope=options.scope, only=options.only)


async def _open_subjects(options: Options, url: str, stack: AsyncExitStack) -> list[Subject]:
    """Only those that are asked for: the others need not be installed."""

    def wanted(name: str) -> bool:
        return not options.subjects or any(part in name for part in options.subjects)

    if options.targets:
        from conformance.subjects.target import TargetSubject

        headers = dict(options.headers)
        return [
            TargetSubject(
                WIRES[target.api],
                target.url,
                headers=headers,
                model_prefix=options.model_prefix,
                model=options.model,
            )
            for target in options.targets
            if wanted(f"target:{WIRES[target.api].short}")
        ]
    from conformance.subjects.builtin import builtin_speakers, replay_provider, replayed_wires
    from conformance.subjects.gateway import client_wires, open_gateway
    from conformance.subjects.provider import open_provider
    from conformance.subjects.replay_provider import name_of, open_replay_provider

    subjects: list[Subject] = []
    speakers = builtin_speakers()
    for speaker in speakers:
        if wanted(f"provider:{speaker.name}"):
            subjects.append(await stack.enter_async_context(open_provider(speaker, url)))
    replay = replay_provider()
    for wire in replayed_wires(replay):
        if wanted(name_of(replay, wire)):
            subjects.append(await stack.enter_async_context(open_replay_provider(replay, wire, url)))
    subjects += await stack.enter_async_context(open_gateway(speakers, client_wires(), url, wanted=wanted))
    return subjects


def takes_of(options: Options) -> list[Take]:
    """The recordings of a run. Raises `RecordingError`."""
    takes = load_takes([Path(folder) for folder in options.recordings])
    takes = [take for take in takes if take.recording.api in WIRES]
    return takes if options.scope == "full" else representative(takes)


def run(options: Options, progress: Progress = lambda done, jobs, results: None) -> Report:
    """Run everything the options name, or as much of it as was done when a signal stopped it.

    Raises `RecordingError`, `SubjectError`, `MissingSDKError`, `PreflightError` or `RunError`.
    """
    _check_port(options.port)
    started = time.monotonic()
    collected: dict[Job, list[Result]] = {}
    notes: list[str] = []
    jobs: list[Job] = []
    with _stoppable() as stop:
        takes = takes_of(options)
        notes += _notes(options)
        sizes = [len(take.recording.response.body) for take in takes]
        # The longest first, so that the processes end together: what meets every fault, then by size.
        order = sorted(range(len(takes)), key=lambda i: (not takes[i].is_exemplar, -sizes[i]))
        probes = trio.run(_count_probes, options)
        jobs += [("probe", index) for index in range(probes)] + [("take", index) for index in order]
        if options.jobs <= 1 or options.targets or len(jobs) < 2:
            _run_here(options, takes, jobs, progress, collected, notes)
        else:
            _run_in_processes(options, jobs, progress, collected)
    if stop.signal:
        name = signal.Signals(stop.signal).name
        notes.append(f"{len(jobs) - len(collected)} of {len(jobs)} recordings and probes: {name} stopped the run")
    results = [
        result for key in sorted(collected, key=lambda job: (job[0] == "probe", job[1])) for result in collected[key]
    ]
    return Report(
        seed=options.seed,
        scope=options.scope,
        seconds=time.monotonic() - started,
        recordings=len({result.case.recording for result in results} - {""}),
        results=results,
        checks=_columns(results),
        notes=notes,
        stopped_by=stop.signal,
    )


Job = tuple[str, int]


def _columns(results: Sequence[Result]) -> dict[str, str]:
    columns = {check.name: check.sentence for check in CHECKS}
    if any(result.check == SUITE for result in results):
        columns[SUITE] = SENTENCE
    return columns


def _check_port(port: int) -> None:
    """Raises `RunError` if the replay server could not listen there."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen()
        except OSError as error:
            raise RunError(f"--listen {port}: {error.strerror}") from error


class _Stop:
    signal = 0
    """The one that ended the run early; 0: none did."""


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    """A block that SIGINT and SIGTERM leave, everything in it put away."""
    stop = _Stop()

    def terminate(*_: object) -> None:
        # trio has a handler for this one that strikes where it can do no harm.
        stop.signal = signal.SIGTERM
        signal.raise_signal(signal.SIGINT)

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminate) if here else None
    try:
        yield stop
    except KeyboardInterrupt:
        stop.signal = stop.signal or signal.SIGINT
    except BaseExceptionGroup as group:
        _, others = group.split(KeyboardInterrupt)
        if others is not None:
            # A subject's nursery wraps what ends the run, too.
            raise innermost(group) if isinstance(group, ExceptionGroup) else group from None
        stop.signal = stop.signal or signal.SIGINT
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)


_CLEANING_SECONDS = 30.0
"""How long a worker may take to close what it has open and remove its temporary files."""


async def _count_probes(options: Options) -> int:
    async with open_bench(options) as bench:
        return len(list(bench.probes()))


def _notes(options: Options) -> list[str]:
    """The APIs that the recordings have and no wire format covers."""
    others: dict[str, int] = {}
    for take in load_takes([Path(folder) for folder in options.recordings]):
        if take.recording.api not in WIRES:
            others[take.recording.api] = others.get(take.recording.api, 0) + 1
    return [f"{count} recordings of {api}: no provider speaks it yet" for api, count in sorted(others.items())]


async def do_job(bench: Bench, takes: Sequence[Take], job: Job, results: list[Result]) -> None:
    """Do it, and put what comes out into `results` as it comes."""
    kind, index = job
    if kind == "probe":
        results += await bench.run_probe(*list(bench.probes())[index])
        return
    async with aclosing(bench.run_take(takes[index])) as found:
        async for result in found:
            results.append(result)


def _run_here(
    options: Options,
    takes: Sequence[Take],
    jobs: Sequence[Job],
    progress: Progress,
    collected: dict[Job, list[Result]],
    notes: list[str],
) -> None:
    async def work() -> None:
        async with open_bench(options) as bench:
            if options.targets:
                await preflight(bench)
            try:
                for job in jobs:
                    results = collected[job] = []
                    await do_job(bench, takes, job, results)
                    progress(len(collected), len(jobs), results)
            finally:
                notes.extend(bench.notes())

    trio.run(work)


def _run_in_processes(
    options: Options, jobs: Sequence[Job], progress: Progress, collected: dict[Job, list[Result]]
) -> None:
    context = multiprocessing.get_context("spawn")
    todo: multiprocessing.Queue[Job | None] = context.Queue()
    done: multiprocessing.Queue[tuple[Job | None, bytes]] = context.Queue()
    for job in jobs:
        todo.put(job)
    workers = [context.Process(target=_worker, args=(options, todo, done), daemon=True) for _ in range(options.jobs)]
    for _ in workers:
        todo.put(None)
    for worker in workers:
        worker.start()
    finished = False
    try:
        while len(collected) < len(jobs):
            try:
                key, data = done.get(timeout=1.0)
            except queue.Empty:
                if not any(worker.is_alive() for worker in workers):
                    raise RunError("the worker processes ended before their work was done") from None
                continue
            if key is None:
                raise RunError(data.decode())
            collected[key] = _decoder.decode(data)
            progress(len(collected), len(jobs), collected[key])
        finished = True
    finally:
        _end(workers, now=not finished)


def _end(workers: Sequence[SpawnProcess], *, now: bool) -> None:
    """Wait until the workers have put their things away; `now` asks them to leave their work for that."""
    if now:
        for worker in workers:
            worker.terminate()
    deadline = time.monotonic() + _CLEANING_SECONDS
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        worker.kill()
        worker.join()


_decoder = msgspec.msgpack.Decoder(list[Result])


def _end_with_the_parent() -> None:
    """A parent that was killed cannot end its processes, and what they print and find is for nobody then."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_CLEANING_SECONDS)
    os._exit(1)


def _is_interrupt(error: BaseException) -> bool:
    """Ctrl-C on a terminal goes to all processes; the parent tells of it."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)


def _worker(
    options: Options,
    todo: multiprocessing.Queue[Job | None],
    done: multiprocessing.Queue[tuple[Job | None, bytes]],
) -> None:
    stopping = over = False

    def stop(*_: object) -> None:
        nonlocal stopping
        if over:
            os._exit(1)  # all is put away, and what is still to be sent is for nobody
        # trio has a handler for this one that strikes where it can do no harm; scopes and files are closed on the way.
        stopping = True
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()

    def jobs() -> Iterator[Job]:
        while (job := todo.get()) is not None:
            yield job

    async def work() -> None:
        takes = takes_of(options)
        async with open_bench(options) as bench:
            for job in jobs():
                results: list[Result] = []
                await do_job(bench, takes, job, results)
                done.put((job, msgspec.msgpack.encode(results)))

    try:
        trio.run(work)
        over = True
    except BaseException as error:  # noqa: BLE001 - this process's end; the parent tells the user
        over = True
        if stopping or _is_interrupt(error):
            done.cancel_join_thread()
            return
        found = innermost(error) if isinstance(error, Exception) else error
        expected = isinstance(found, (MissingSDKError, SubjectError))
        done.put((None, (str(found) if expected else traceback.format_exc()).encode()))
        done.close()
        done.join_thread()
