"""The run itself: what it covers, its exit codes, its reports, and that the same seed gives the same."""

from __future__ import annotations

import html.parser
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner, Result

from conformance import crash
from conformance.answered import Answered
from conformance.cases import Case, load_takes, representative
from conformance.cli import conformance
from conformance.deliveries import run_deliveries
from conformance.reports import html as html_report
from conformance.reports import json_report, junit, terminal
from conformance.result import Evidence, Report
from conformance.result import Result as CheckResult
from conformance.runner import Options, open_bench, run
from conformance.subjects import builtin
from conformance.subjects.configs import SubjectError, complete_config
from conformance.subjects.gateway import client_apis
from conformance.wires import WIRES
from providers.builtin import BUILTIN_PROVIDERS
from providers.builtin.openai import OpenAIProvider
from providers.extension import extension
from providers.replay.recording import BUNDLED, Kind, RecordedResponse, Recording, load_recording, save_recording

SHARED = Path(__file__).parents[3] / "shared" / "recordings"
# The code that reads an API stands for its kin and its presets here; `make conformance` asks all of them.
BY_API = {one.wire.api: one.name for one in reversed(builtin.builtin_speakers()) if one.depth == "full"}
READERS = [f"provider:{name}" for name in BY_API.values()]
SAME_API = [f"gateway:{api}>{BY_API[api]}" for api in client_apis()]
OTHER_API = ["gateway:openai-chat>anthropic", "gateway:anthropic-messages>openai", "gateway:openai-responses>gemini"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(conformance, ["run", *arguments])


def representative_run(*only: str) -> Report:
    folders = (str(SHARED),) if SHARED.is_dir() else ()
    return run(Options(scope="representative", recordings=folders, only=only))


@pytest.mark.parametrize("subject", READERS)
def test_providers_pass(subject: str) -> None:
    name = subject.replace("[", "[[]")
    report = representative_run(f"{name}::*::event", f"{name}::bundled/*/stream/text::*")
    assert report.results
    assert not report.failures, terminal.failures(report)


@pytest.mark.parametrize("subject", [*SAME_API, *OTHER_API])
def test_the_gateway_passes(subject: str) -> None:
    name = subject.replace("[", "[[]")
    report = representative_run(*(f"{name}::bundled/*::{way}" for way in ("event", "whole", "fin-*", "error-*")))
    assert report.results
    assert not report.failures, terminal.failures(report)


def test_kin_and_presets_pass() -> None:
    report = representative_run("provider:*::bundled/*/text::event")
    assert len({result.case.subject for result in report.results}) > len(READERS)
    assert not report.failures, terminal.failures(report)


async def test_every_provider_and_client_api_of_the_registries_is_a_subject() -> None:
    async with open_bench(Options()) as bench:
        names = {subject.name for subject in bench.subjects}
    assert all(any(name.startswith(f"provider:{provider}") for name in names) for provider in BUILTIN_PROVIDERS)
    reached = {one.name for one in builtin.builtin_speakers() if one.depth != "sample"}
    assert {f"gateway:{api}>{provider}" for api in client_apis() for provider in reached} <= names


def test_a_provider_of_an_api_that_nobody_can_read_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIProvider, "api", "smoke-signals")
    result = invoke("--only", "*::bundled/openai-chat/stream/text::event", "--jobs", "1")
    assert result.exit_code == 2
    assert "provider 'openai' speaks 'smoke-signals', which the suite cannot read" in result.output


def test_a_provider_that_cannot_be_pointed_anywhere_is_told() -> None:
    @extension(name="deaf", version="1", configuration_schema={"type": "object", "required": ["region"]})
    class Deaf(OpenAIProvider):
        pass

    with pytest.raises(SubjectError, match=r"'deaf' cannot be pointed .* region: required key is missing"):
        complete_config(Deaf, "http://127.0.0.1:1")


def test_the_same_seed_gives_the_same_whatever_the_processes() -> None:
    chosen = ("provider:openai::bundled/*/stream/t*::*split*", "provider:cohere::bundled/*/json/t*::*")
    options = Options(seed=7, only=chosen)
    reports = [run(options), run(msgspec.structs.replace(options, jobs=2))]
    told = [[(r.case, r.check, r.outcome, r.reason) for r in report.results] for report in reports]
    assert told[0] == told[1]
    assert any("random-splits-15" in result.case.id for result in reports[0].results)


ODD = [
    (True, b'data: {"choices":"nope"}\n\ndata: [DONE]\n\n'),
    (True, b'data: {"choices":5,"usage":"y"}\n\ndata: {"choices":[{"delta":"x","finish_reason":"stop"}]}\n\n'),
    (True, b"data: " + b"[" * 200_000 + b"\n\n"),
    (False, b'{"choices":[{"message":"hi"}]}'),
    (False, b"[" * 200_000),
]


@pytest.mark.parametrize(("stream", "body"), ODD, ids=range(len(ODD)))
def test_a_recording_of_no_shape_fails_in_words(stream: bool, body: bytes, tmp_path: Path) -> None:
    media_type = "text/event-stream" if stream else "application/json"
    response = RecordedResponse(status=200, headers={"content-type": media_type}, body=body)
    kind: Kind = "stream" if stream else "json"
    save_recording(Recording(name="odd", api="openai-chat", vendor="v", kind=kind, response=response), tmp_path / "set")
    report = run(Options(recordings=(str(tmp_path / "set"),), subjects=("provider:openai",), only=("*::set/*",)))
    assert report.results
    assert crash.SUITE not in report.checks
    for failure in report.failures:
        assert not failure.reason.startswith("the suite itself"), failure.reason
        if failure.check == "same message":
            assert "not in the shape of openai-chat" in failure.reason


def test_deliveries_say_the_same_whatever_they_cost() -> None:
    recording = load_recording(BUNDLED / "openai-chat" / "stream" / "reasoning.json")
    long = msgspec.structs.replace(recording.response, body=recording.response.body * 20)
    from conformance.replay import Answer

    answer = Answer.of(msgspec.structs.replace(recording, response=long))
    for delivery in run_deliveries(3).values():
        rewritten = delivery.rewrite(answer)
        pieces = list(delivery.cut(rewritten))
        assert b"".join(piece.data for piece in pieces) == rewritten.body, delivery.name
        assert sum(piece.delay for piece in pieces) < 0.2, delivery.name


def test_the_representative_set_has_every_vendor_and_kind() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"the shared recordings are not here ({SHARED.parent.name}/{SHARED.name} beside the checkout)")
    takes = load_takes([SHARED])

    def kinds(of: list[object]) -> set[object]:
        return {(take.source, take.recording.api, take.recording.kind, take.recording.vendor) for take in of}  # type: ignore[attr-defined]

    assert kinds(list(representative(takes))) == kinds(list(takes))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="tells a process's children by /proc")
def test_a_run_that_is_killed_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "conformance", "run", "--jobs", "2", "--subject", "provider:replay"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, env=environment)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    try:
        while len(workers := children.read_text().split()) < 3:  # the two, and multiprocessing's resource tracker
            assert running.poll() is None
            time.sleep(0.02)
        while len(list(tmp_path.glob("triway-*"))) < 2:
            assert running.poll() is None
            time.sleep(0.02)
    finally:
        running.kill()
        running.wait()
    deadline = time.monotonic() + 120
    while any(map(_lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workers if _lives(pid)]
    assert not list(tmp_path.glob("triway-*"))


def test_a_run_in_processes_leaves_no_file(tmp_path: Path) -> None:
    only = ["--subject", "provider:replay", "--only", "*::bundled/openai-chat/stream/text::*"]
    command = [sys.executable, "-m", "conformance", "run", "--jobs", "2", *only]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sent", "jobs"),
    [
        (signal.SIGINT, "1"),
        pytest.param(signal.SIGTERM, "1", marks=pytest.mark.exhaustive),
        pytest.param(signal.SIGINT, "2", marks=pytest.mark.exhaustive),
        pytest.param(signal.SIGTERM, "2", marks=pytest.mark.exhaustive),
    ],
)
def test_a_signal_ends_a_run_with_what_it_has(tmp_path: Path, sent: signal.Signals, jobs: str) -> None:
    temporary, report = tmp_path / "tmp", tmp_path / "report.json"
    temporary.mkdir()
    command = [sys.executable, "-m", "conformance", "run", "--jobs", jobs, "--json", str(report)]
    running = subprocess.Popen(
        [*command, "--subject", "provider:replay"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    told = [running.stderr.readline()]  # a tenth of the way
    running.send_signal(sent)
    printed, rest = running.communicate(timeout=120)
    told.append(rest)
    assert running.returncode == 128 + sent, told
    assert "Traceback" not in "".join(told)
    assert re.search(rf"not run: \d+ of \d+ recordings and probes: {sent.name} stopped the run", printed)
    assert "stopped before the end" in printed
    found = json_report.read(report.read_bytes())
    assert found.results
    assert found.stopped_by == sent
    assert not list(temporary.iterdir())


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# -- the command ------------------------------------------------------------------------------------------------------


def test_a_run_that_passes_exits_with_0_and_prints_the_matrix() -> None:
    result = invoke("--only", "provider:openai::bundled/openai-chat/stream/text::bytes-7", "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert re.search(r"provider:openai +openai-chat +all", result.output)
    assert "all passed" in result.output


def test_nothing_selected_is_no_success() -> None:
    result = invoke("--only", "nothing-of-this-name", "--jobs", "1")
    assert result.exit_code == 2
    assert "nothing was selected" in result.output
    assert "all passed" not in result.output


@pytest.mark.parametrize("option", ["--junit", "--json", "--html"])
def test_a_report_that_cannot_be_written_ends_the_run_before_it_begins(option: str, tmp_path: Path) -> None:
    only = ["--only", "provider:openai::bundled/openai-chat/stream/text::event", "--jobs", "1"]
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "report"):
        result = invoke(option, str(path), *only)
        assert result.exit_code == 2
        assert f"Invalid value for {option}: {path}: " in result.output
        assert "checks of" not in result.output


def test_the_matrix_comes_before_the_files(tmp_path: Path) -> None:
    only = ["--only", "provider:openai::bundled/openai-chat/stream/text::event", "--jobs", "1"]
    result = invoke("--json", str(tmp_path / "new" / "report.json"), *only)
    assert result.exit_code == 0
    assert result.output.index("all passed") < result.output.index("wrote ")


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.exhaustive)])
def test_a_missing_sdk_is_told_in_a_sentence(jobs: str, tmp_path: Path) -> None:
    (tmp_path / "anthropic.py").write_text("raise ImportError")
    only = ["--only", "gateway:anthropic-messages>anthropic::bundled/anthropic-messages/*/te*::event"]
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "--jobs", jobs, "--subject", "gateway:anthropic", *only],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    told = "the official SDK 'anthropic' is not installed: pip install 'triway[conformance]'"
    assert done.stderr.strip().endswith(told)
    assert "Traceback" not in done.stderr


def test_only_selected_subjects_need_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    only = ["--jobs", "1", "--only", "*::bundled/*/stream/text::event"]
    assert invoke("--subject", "provider:replay/openai", *only).exit_code == 0
    result = invoke("--subject", "provider:bedrock", *only)
    assert result.exit_code == 2
    assert "provider 'bedrock' cannot be tested" in result.output
    assert "pip install 'triway[conformance]'" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--recordings", "no-such-folder"), "no-such-folder: no such folder"),
        (("--target", "telex=http://x"), "expected API=URL, with API one of openai, "),
        (("--target", "openai=https://x"), "expected http://host:port"),
        (("--header", "no colon"), "expected NAME:VALUE"),
    ],
)
def test_wrong_arguments_are_told(arguments: tuple[str, ...], told: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert told in result.output


# -- the reports ------------------------------------------------------------------------------------------------------

BAD = "</script><b>&\x00\ud800 \U0001f600"


def failing_report() -> Report:
    case = Case(subject="provider:x", api="openai-chat", vendor="acme", recording="bundled/openai-chat/stream/text")
    evidence = Evidence(sent=f"data: {BAD}".replace("\ud800", ""), expected=["a", "b"], received=["a", "c"])
    results = [
        CheckResult(case=case, check="same message", outcome="passed", seconds=0.1),
        CheckResult(
            case=case,
            check="lossless",
            outcome="failed",
            reason=BAD.replace("\ud800", ""),
            seconds=0.1,
            rerun="again 'please'",
            evidence=evidence,
        ),
    ]
    checks = {"same message": "is the same", "lossless": "loses nothing"}
    return Report(seed=3, scope="full", seconds=1.5, recordings=1, results=results, checks=checks)


def test_the_matrix_names_failures_and_how_to_run_them_again() -> None:
    text = terminal.matrix(failing_report())
    assert re.search(r"provider:x +openai-chat +all +1 +1!1", text)
    assert re.search(r" acme +1 +1!1", text)
    assert "again 'please'" in terminal.failures(failing_report())


def test_junit_is_xml_whatever_was_received() -> None:
    root = ElementTree.fromstring(junit.render(failing_report()))
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("type") == "lossless"
    assert "again 'please'" in (failure.text or "")


def test_json_reads_back() -> None:
    report = failing_report()
    assert json_report.read(json_report.render(report).encode()) == report


def test_the_page_is_self_contained_and_holds_the_evidence() -> None:
    page = html_report.render(failing_report())

    class Links(html.parser.HTMLParser):
        found: list[str] = []
        scripts = 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.scripts += tag == "script"
            self.found += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href")]

    links = Links()
    links.feed(page)
    assert not links.found
    assert links.scripts == 2, "recorded text must not break out of the page's data"
    data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert data["failures"][0]["evidence"]["received"] == ["a", "c"]
    assert data["rows"][1][-1] == 0
    assert data["rows"][0][-1] == -1


def test_a_failure_can_be_run_again_by_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A wrong oracle is the easiest way to a failure.
    monkeypatch.setitem(
        WIRES,
        "openai-chat",
        msgspec.structs.replace(WIRES["openai-chat"], facts_of_stream=lambda events: Answered().facts),
    )
    path = tmp_path / "report.json"
    arguments = [
        "--only",
        "provider:openai::bundled/openai-chat/stream/t*::event",
        "--jobs",
        "1",
        "--json",
        str(path),
    ]
    assert invoke(*arguments).exit_code == 1
    failure = json_report.read(path.read_bytes()).failures[0]
    words = shlex.split(failure.rerun)
    assert words[:3] == ["triway", "conformance", "run"]
    again = CliRunner().invoke(conformance, [*words[2:], "--json", str(path)])
    assert again.exit_code == 1
    assert {one.case.id for one in json_report.read(path.read_bytes()).failures} == {failure.case.id}
