"""`triway conformance`: run the suite. Imports what a command needs when it runs."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conformance.cli_record import COMMANDS

if TYPE_CHECKING:
    from conformance.result import Report, Result
    from conformance.runner import Options, Target

EXIT_FAILED = 1
EXIT_USAGE = 2
"""Nothing could be run: a recording, a subject or an SDK is missing or wrong; or a report cannot be written."""
EXIT_STOPPED = 128
"""And the number of the signal, as shells have it."""


def _processes() -> int:
    """Two a core: half of a run is waiting, for a retry's time or for a deadline to pass."""
    return min(2 * (os.cpu_count() or 1), 16)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def conformance() -> None:
    """Hold providers, this gateway or any other to what an LLM gateway owes its clients."""


@conformance.command()
@click.option("--recordings", multiple=True, metavar="DIR", help="A set beside the bundled one. Repeatable.")
@click.option("--representative", is_flag=True, help="One recording of each vendor and kind; the whole bundled set.")
@click.option("--subject", "subjects", multiple=True, metavar="TEXT", help="Only subjects with this in their name.")
@click.option("--only", multiple=True, metavar="ID", help="Only cases of this id, or with wildcards. Repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides the random splits.")
@click.option("--jobs", type=click.IntRange(1), default=_processes, help="Processes; two a core by default.")
@click.option("--target", "targets", multiple=True, metavar="API=URL", help="Test the gateway there. Repeatable.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Sent to targets. Repeatable.")
@click.option("--model-prefix", default="", help="Put before the model's name for targets.")
@click.option("--model", default="m", show_default=True, help="The model's name for targets.")
@click.option("--listen", "port", type=click.IntRange(0, 65535), default=0, help="The replay server's port.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML here.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all results as JSON here.")
@click.option("--html", type=click.Path(path_type=Path), help="Write one self-contained page here.")
@click.option("--vendors/--no-vendors", default=True, help="A row for each vendor.")
def run(
    recordings: tuple[str, ...],
    representative: bool,
    subjects: tuple[str, ...],
    only: tuple[str, ...],
    seed: int,
    jobs: int,
    targets: tuple[str, ...],
    headers: tuple[str, ...],
    model_prefix: str,
    model: str,
    port: int,
    junit: Path | None,
    json_path: Path | None,
    html: Path | None,
    vendors: bool,
) -> None:
    """Run the checks; exit code 0 only if all passed."""
    from conformance.oracles import MissingSDKError
    from conformance.preflight import PreflightError
    from conformance.runner import Options, RunError
    from conformance.runner import run as run_suite
    from conformance.subjects.configs import SubjectError
    from providers.replay.recording import RecordingError

    options = Options(
        recordings=recordings,
        scope="representative" if representative else "full",
        seed=seed,
        only=only,
        subjects=subjects,
        targets=tuple(_target(target) for target in targets),
        headers=tuple(_header(header) for header in headers),
        model_prefix=model_prefix,
        model=model,
        port=port,
        jobs=jobs,
    )
    reports = (("--junit", junit, "junit"), ("--json", json_path, "json_report"), ("--html", html, "html"))
    for option, path, _ in reports:
        _check_writable(option, path)
    progress = _Progress()
    try:
        report = run_suite(options, progress.update)
    except (RecordingError, SubjectError, MissingSDKError, PreflightError, RunError) as error:
        progress.end()
        click.echo(str(error), err=True)
        sys.exit(EXIT_USAGE)
    progress.end()
    for failure in report.failures:
        failure.rerun = rerun_command(options, failure.case.id)
    if not report.results and not report.stopped_by:
        for note in report.notes:
            click.echo(f"not run: {note}")
        click.echo("nothing was selected", err=True)
        sys.exit(EXIT_USAGE)
    _print(report, by_vendor=vendors)
    written = [_write(report, path, module) for _, path, module in reports if path is not None]
    if report.stopped_by:
        sys.exit(EXIT_STOPPED + report.stopped_by)
    sys.exit(EXIT_USAGE if not all(written) else EXIT_FAILED if report.failures else 0)


def rerun_command(options: Options, case_id: str) -> str:
    """One line that runs one case again."""
    words = ["triway", "conformance", "run", "--jobs", "1", "--seed", str(options.seed), "--only", case_id]
    for folder in options.recordings:
        words += ["--recordings", folder]
    for target in options.targets:
        words += ["--target", f"{target.api}={target.url}"]
    # Headers may hold a key: whoever reruns knows it.
    words += [f"--header={name}:..." for name, _ in options.headers]
    if options.targets:
        words += ["--listen", str(options.port), "--model", options.model]
        words += ["--model-prefix", options.model_prefix] if options.model_prefix else []
    return shlex.join(words)


def _target(text: str) -> Target:
    from conformance.runner import Target
    from conformance.subjects.http_client import Address
    from conformance.wires import WIRES

    short, _, url = text.partition("=")
    wire = next((wire for wire in WIRES.values() if short in (wire.short, wire.api)), None)
    if wire is None or not url:
        names = ", ".join(wire.short for wire in WIRES.values())
        raise click.BadParameter(f"{text!r}: expected API=URL, with API one of {names}", param_hint="--target")
    try:
        Address(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--target") from error
    return Target(api=wire.api, url=url)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(mark in text for mark in "\r\n"):
        raise click.BadParameter("expected NAME:VALUE", param_hint="--header")
    return name.strip().lower(), value.strip()


class _Progress:
    """One line on a terminal; every tenth of the way a line elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._checks = self._failed = self._tenth = 0

    def update(self, done: int, jobs: int, results: Sequence[Result]) -> None:
        self._checks += len(results)
        self._failed += sum(result.outcome == "failed" for result in results)
        line = f"{done}/{jobs} recordings and probes, {self._checks} checks, {self._failed} failed"
        if self._live:
            name = (results[-1].case.recording or results[-1].case.id) if results else ""
            click.echo(f"\r\033[K{line}  {name[:60]}", nl=False, err=True)
        elif done * 10 // jobs > self._tenth:
            self._tenth = done * 10 // jobs
            click.echo(line, err=True)

    def end(self) -> None:
        if self._live:
            click.echo("\r\033[K", nl=False, err=True)


def _check_writable(option: str, path: Path | None) -> None:
    """Before the run, so that its end does not find out."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint=option) from error


def _write(report: Report, path: Path, module: str) -> bool:
    text = importlib.import_module(f"conformance.reports.{module}").render(report)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        click.echo(f"cannot write {path}: {error.strerror}", err=True)
        return False
    click.echo(f"wrote {path}", err=True)
    return True


def _print(report: Report, *, by_vendor: bool) -> None:
    from conformance.reports import terminal

    click.echo(terminal.matrix(report, by_vendor=by_vendor))
    for note in report.notes:
        click.echo(f"not run: {note}")
    if report.failures:
        click.echo("\n" + terminal.failures(report))
    click.echo("\n" + terminal.summary(report))


for _command in COMMANDS:
    conformance.add_command(_command)
