"""Gateways that answer badly or not at all: what a run says of them, and that it comes to its end."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from conformance import checks, crash
from conformance.answered import read_stream, read_whole
from conformance.bench import PATIENT_HANGS, Bench
from conformance.cases import Take, load_takes
from conformance.checks import BrokenPromiseError, Probe, cancel
from conformance.cli import conformance
from conformance.deliveries import run_deliveries
from conformance.oracles import ORACLES, base, oracle_of
from conformance.oracles.base import Reading, ask_sdk
from conformance.preflight import PreflightError, preflight
from conformance.replay import Play, ReplayServer
from conformance.reports import html, json_report, junit, terminal
from conformance.result import Report, Result
from conformance.stage import Stage, open_stage
from conformance.subjects import http_subject
from conformance.subjects.base import Question, Subject
from conformance.subjects.http_client import Address, post
from conformance.subjects.target import TargetSubject
from conformance.wires import WIRES
from proxy.apis import api_registry
from proxy.app import make_app
from proxy.config import load_config
from proxy.server import ServerSettings, serve_in_task
from tests.conformance.planted import relays

OPENAI = WIRES["openai-chat"]


def take(name: str, api: str = "openai-chat") -> Take:
    return next(one for one in load_takes([]) if one.key == f"bundled/{api}/{name}")


def bench_of(stage: Stage, subject: Subject, *only: str) -> Bench:
    return Bench(stage, [subject], deliveries=run_deliveries(0), only=only, patience=0.5)


async def results_of(bench: Bench, name: str) -> list[Result]:
    return [result async for result in bench.run_take(take(name))]


@pytest.mark.parametrize("name", ["stream/text", "json/text"])
async def test_an_answer_of_another_shape_fails_with_words(name: str) -> None:
    async with open_stage() as stage, relays.serving(relays.MakesNoSense(), stage.url) as url:
        results = await results_of(bench_of(stage, TargetSubject(OPENAI, url), "*::event", "*::whole"), name)
    failed = {result.check: result.reason for result in results if result.outcome == "failed"}
    assert "no answer: not in the shape of openai-chat: AttributeError" in failed["same message"]
    assert crash.SUITE not in failed


@pytest.mark.parametrize("name", ["stream/text", "json/text"])
@pytest.mark.parametrize("relay", [relays.SendsHalfACharacter, relays.NestsDeeply])
async def test_whatever_comes_can_be_reported(relay: type[relays.Relay], name: str) -> None:
    async with open_stage() as stage, relays.serving(relay(), stage.url) as url:
        results = await results_of(bench_of(stage, TargetSubject(OPENAI, url), "*::event", "*::whole"), name)
    assert "lossless" in {result.check for result in results if result.outcome == "failed"}
    report = Report(seed=0, scope="full", seconds=1.0, recordings=1, results=results, checks={})
    for render in (html.render, json_report.render, junit.render, terminal.failures, terminal.matrix):
        assert render(report).encode()


def test_deep_nesting_is_not_json() -> None:
    deep = b"[" * 200_000
    assert read_whole(OPENAI, 200, {}, deep).failure is not None
    assert not read_stream(OPENAI, b"data: " + deep + b"\n\n").terminated


async def test_a_target_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_subject, "ASK_SECONDS", 0.2)
    asked = 0
    ask = TargetSubject.ask

    async def counting(self: TargetSubject, question: Question) -> object:
        nonlocal asked
        asked += 1
        return await ask(self, question)

    monkeypatch.setattr(TargetSubject, "ask", counting)
    async with open_stage() as stage, relays.serving(relays.NeverAnswers(), stage.url) as url:
        bench = bench_of(stage, TargetSubject(OPENAI, url))
        results = await results_of(bench, "stream/text")
        for probe in bench.probes():
            results += await bench.run_probe(*probe)
    assert asked == PATIENT_HANGS
    assert {result.check for result in results if result.outcome == "failed"} >= {"honest ending"}
    assert "target:openai was given up after 3 questions in a row" in bench.notes()[0]


async def test_a_probe_that_waits_in_vain_is_a_failure_with_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel, "ARRIVAL", 0.2)

    async def nobody(client: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with open_stage() as stage, trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, nobody, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        bench = bench_of(stage, TargetSubject(OPENAI, f"http://127.0.0.1:{port}"), "*::cancel: before the head")
        (probe,) = bench.probes()
        results = await bench.run_probe(*probe)
        nursery.cancel_scope.cancel()
    assert [(one.check, one.outcome, one.reason) for one in results] == [
        ("cancel", "failed", "the request did not reach the provider within 0.2 s")
    ]
    assert results[0].evidence is not None
    assert "requests that reached the provider: 0" in results[0].evidence.received


class _Broken(Probe):
    name = "linear"
    sentence = "it is never asked"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def variants(self, traits: object) -> list[str]:
        return [""]

    async def run(self, subject: Subject, stage: Stage, variant: str) -> None:
        async with trio.open_nursery():
            raise self.error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BrokenPromiseError("it is so"), "it is so"),
        (ZeroDivisionError("by nothing"), "the suite itself failed: ZeroDivisionError at "),
    ],
)
async def test_whatever_a_probe_raises_is_its_failure(error: Exception, told: str) -> None:
    async with open_stage() as stage:
        subject = TargetSubject(OPENAI, stage.url)
        bench = bench_of(stage, subject)
        case = next(bench.probes())[3]
        results = await bench.run_probe(subject, _Broken(error), "", case)
    assert results[0].outcome == "failed"
    assert results[0].reason.startswith(told)


async def test_a_crash_in_the_suite_itself_is_a_failure_of_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: object, question: Question) -> object:
        raise ZeroDivisionError("by nothing")

    def judges(self: object, seen: object) -> str | None:
        return [][0]

    monkeypatch.setattr(TargetSubject, "ask", broken)
    async with open_stage() as stage:
        bench = bench_of(stage, TargetSubject(OPENAI, stage.url), "*::event")
        (result,) = await results_of(bench, "stream/text")
        assert (result.check, result.outcome) == (crash.SUITE, "failed")
        assert "ZeroDivisionError" in result.reason
        monkeypatch.undo()
        monkeypatch.setattr(checks.ANSWER_CHECKS[0].__class__, "judge", judges)
        results = await results_of(bench, "stream/text")
    assert "the suite itself failed: IndexError" in next(r.reason for r in results if r.check == "same message")


async def test_an_sdk_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "SDK_SECONDS", 0.05)

    async def sleeps(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading:
        await trio.sleep_forever()
        return Reading()

    reading = await ask_sdk(sleeps, "http://x", "m", "p", stream=True)
    assert reading.hung
    assert reading.error == ("TimeoutError", "no end within 0.05 s", "")


@pytest.mark.parametrize("api", ORACLES)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_target_s_headers_reach_it_from_the_sdk_too(api: str, stream: bool) -> None:
    kind = "stream" if stream else "json"
    oracle = oracle_of(api)
    assert oracle is not None
    async with ReplayServer(Play(take(f"{kind}/text", api).recording)) as server:
        headers = {"authorization": "Bearer mine", "x-tenant": "acme"}
        reading = await ask_sdk(oracle, server.url, "m", "hello", stream, headers)
    assert reading.error is None
    sent = server.requests[0].headers
    for name, value in headers.items():
        assert [found for key, found in sent if key == name.encode()] == [value.encode()]


# Ollama's SDK leaves its reading of a line that is cut to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object Response.aiter_lines")
@pytest.mark.parametrize("api", WIRES)
@pytest.mark.parametrize(("relay", "broken"), [(relays.Relay, set()), (relays.EndsCutsInGoodOrder, {"honest ending"})])
async def test_a_connection_that_breaks_must_look_broken_in_every_api(
    api: str, relay: type[relays.Relay], broken: set[str]
) -> None:
    async with open_stage() as stage, relays.serving(relay(), stage.url) as url:
        bench = bench_of(stage, TargetSubject(WIRES[api], url), "*/stream/text::fin-*", "*/stream/text::reset-*")
        results = [result async for result in bench.run_take(take("stream/text", api))]
    assert results
    assert {result.check for result in results if result.outcome == "failed"} == broken


async def test_a_gateway_that_asks_for_a_key_passes(tmp_path: Path) -> None:
    async with open_stage() as stage, trio.open_nursery() as nursery:
        gateway = f"""
models:
  - {{name: m, type: openai, config: {{apiKey: k, baseUrl: {stage.url}, bypassModel: true}}}}
plugins:
  - {{name: basic-apikey-auth, config: {{keys: [{{id: us, key: key-of-ours-1}}]}}}}
server: {{port: 0}}
"""
        path = tmp_path / "gateway.yaml"
        path.write_text(gateway)
        app = make_app(load_config(path), api_registry())
        shutdown = trio.Event()

        async def serve(task_status: trio.TaskStatus[list[int]]) -> None:
            settings = ServerSettings(bind=["127.0.0.1:0"], graceful_timeout=0.2)
            await serve_in_task(app, settings, shutdown=shutdown, task_status=task_status)

        ports = await nursery.start(serve)
        url = f"http://127.0.0.1:{ports[0]}"
        with pytest.raises(PreflightError, match=r"answered with status 401"):
            await preflight(bench_of(stage, TargetSubject(OPENAI, url)))
        subject = TargetSubject(OPENAI, url, headers={"authorization": "Bearer key-of-ours-1"})
        bench = bench_of(stage, subject, "*::event", "*::fin-*")
        await preflight(bench)
        results = await results_of(bench, "stream/text")
        shutdown.set()
    assert not [result.reason for result in results if result.outcome == "failed"]
    assert {result.check for result in results} >= {"same message", "lossless", "honest ending"}


async def test_a_target_on_ipv6() -> None:
    async def answers(client: trio.SocketStream) -> None:
        await client.receive_some(65536)
        await client.send_all(b"HTTP/1.1 401 X\r\ncontent-length: 2\r\n\r\n{}")

    try:
        listeners = await trio.open_tcp_listeners(0, host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, answers, listeners)
        address = Address(f"http://[::1]:{listeners[0].socket.getsockname()[1]}")
        answered = await post(address, OPENAI, "/v1/x", b"{}", {}, Question(prompt="x", stream=False))
        nursery.cancel_scope.cancel()
    assert answered.failure is not None
    assert answered.failure.status == 401


def test_a_port_that_is_taken_or_none_is_told() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        result = CliRunner().invoke(conformance, ["run", "--listen", str(port)])
    assert (result.exit_code, result.output.strip()) == (2, f"--listen {port}: Address already in use")
    result = CliRunner().invoke(conformance, ["run", "--listen", "70000"])
    assert result.exit_code == 2
    assert "70000 is not in the range" in result.output
