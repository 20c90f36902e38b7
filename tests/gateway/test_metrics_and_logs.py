"""What operators see: one log line a request, the counts, and no secret or word of a conversation in any of it."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import anthropic
import openai
import pytest
import trio

from conformance.replay import FAULTS, Answer, Play, ReceivedRequest, ReplayServer
from conformance.replay.faults.connection import Stall, after_events
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.observe import metrics
from proxy.observe.logs import configure_logging
from tests.support.client import PATHS, RawClient, body_for
from tests.support.flood import FLOOD
from tests.support.gateway import HI, gateway_to, model, openai_client, serving, wait_until
from tests.support.plugins import plugin_class
from tests.support.process import ROOT, triway_serving

APIS = ["openai-chat", "anthropic-messages"]
WHOLE = {api: load_recording(BUNDLED / api / "json" / "text.json") for api in APIS}
TEXT = {api: load_recording(BUNDLED / api / "stream" / "text.json") for api in APIS}
SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$")


class Counts:
    """What the metrics of this process have grown by, for model `m`, since it was made."""

    def __init__(self) -> None:
        self._before = self._now()

    @staticmethod
    def _now() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return samples(metrics.render().decode())

    def __call__(self, name: str, **labels: str) -> float:
        return self._sum(self._now(), name, labels) - self._sum(self._before, name, labels)

    @staticmethod
    def _sum(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, labels: dict[str, str]) -> float:
        wanted = set({"model": "m", **labels}.items())
        return sum(value for (known, given), value in found.items() if known == f"triway_{name}" and wanted <= given)


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for line in text.splitlines():
        match = SAMPLE.match(line)
        if match:
            labels = frozenset(re.findall(r'(\w+)="([^"]*)"', match[2]))
            found[match[1], labels] = float(match[3])
    return found


def request_lines(log: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "request"]


ALWAYS = {
    "event",
    "level",
    "timestamp",
    "request_id",
    "project",
    "api",
    "model",
    "status",
    "duration_ms",
    "bytes_in",
    "bytes_out",
}
SERVED = {"entry", "provider", "client"}
COUNTED = {"prompt_tokens", "completion_tokens"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("provider_api", APIS)
@pytest.mark.parametrize("client_api", APIS)
async def test_a_good_request_is_one_line_and_one_of_each_count(
    client_api: str, provider_api: str, stream: bool
) -> None:
    log = io.StringIO()
    recorded = (TEXT if stream else WHOLE)[provider_api]
    answer = Answer(headers={**recorded.response.headers, "x-request-id": "up-1"}, body=recorded.response.body)
    counts = Counts()
    async with gateway_to(provider_api, Play(answer), log=log, name="m*") as (_, gateway), gateway.http() as http:
        body = json.dumps(body_for(client_api, stream=stream, model="mine")).encode()
        got = await http.post(PATHS[client_api], content=body, headers={"x-request-id": "abc"})
        await wait_until(lambda: not gateway.gateway.exchanges)
    assert got.status_code == 200
    (line,) = request_lines(log)
    shown = {"stream", "chunks", "ttft_ms"} if stream else set()
    assert set(line) == ALWAYS | SERVED | COUNTED | shown | {"upstream_request_id"}
    usage = usage_of(provider_api, recorded.response.body)
    assert {**line, "duration_ms": 0, "ttft_ms": 0, "chunks": 0, "timestamp": ""} == {
        "event": "request",
        "level": "info",
        "timestamp": "",
        "request_id": "abc",
        "project": "default",
        "api": client_api,
        "model": "mine",
        "entry": "m*",
        "provider": provider_api.split("-")[0],
        "status": 200,
        "duration_ms": 0,
        "ttft_ms": 0,
        "chunks": 0,
        "bytes_in": len(body),
        "bytes_out": len(got.content),
        "prompt_tokens": usage[0],
        "completion_tokens": usage[1],
        "upstream_request_id": "up-1",
        "client": "127.0.0.1",
        **({"stream": True} if stream else {}),
    }
    assert line["duration_ms"] > 0
    if stream:
        assert 0 < line["ttft_ms"] <= line["duration_ms"]
        assert line["chunks"] > 3
    entry = {"model": "m*"}
    assert counts("requests_total", **entry, api=client_api, status="200") == 1
    assert counts("requests_total", **entry) == 1
    assert counts("request_duration_seconds_count", **entry) == 1
    assert counts("time_to_first_token_seconds_count", **entry) == (1 if stream else 0)
    assert counts("tokens_total", **entry, kind="prompt") == usage[0]
    assert counts("tokens_total", **entry, kind="completion") == usage[1]
    assert counts("upstream_errors_total", **entry) == 0
    assert counts("client_departures_total", **entry) == 0
    assert counts("open_streams", **entry) == 0


def usage_of(api: str, body: bytes) -> tuple[int, int]:
    """Input and output tokens by the rules of the design, read from the recording's own bytes."""
    found: dict[str, int] = {}
    documents = (
        [body] if body.startswith(b"{") else [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
    )
    for document in documents:
        data = json.loads(document)
        for usage in (data.get("usage"), (data.get("message") or {}).get("usage")):
            found.update({name: value for name, value in (usage or {}).items() if isinstance(value, int)})
    if api == "openai-chat":
        return found["prompt_tokens"], found["completion_tokens"]
    cached = found.get("cache_read_input_tokens", 0) + found.get("cache_creation_input_tokens", 0)
    return found["input_tokens"] + cached, found["output_tokens"]


async def test_cached_tokens_are_counted_again() -> None:
    counts = Counts()
    async with gateway_to("anthropic-messages", Play(WHOLE["anthropic-messages"])) as (_, gateway):
        async with gateway.anthropic() as client:
            await client.messages.create(model="m", max_tokens=9, messages=HI)
    assert counts("tokens_total", kind="cached") == 1024
    assert counts("tokens_total", kind="prompt") == 1024 + 14


async def test_retries_and_the_provider_s_error_are_counted_and_logged() -> None:
    log, counts = io.StringIO(), Counts()
    refusal = Answer(status=529, headers={"content-type": "application/json"}, body=b'{"error":{"message":"busy"}}')
    config = {"retryAttempts": 2, "retryDelay": 1}
    async with gateway_to("openai-chat", Play(refusal), config=config, log=log) as (_, gateway):
        async with gateway.openai() as client:
            with pytest.raises(openai.APIStatusError):
                await client.chat.completions.create(model="m", messages=HI)
    (line,) = request_lines(log)
    assert (line["status"], line["error"], line["retries"], line["upstream_status"]) == (529, "overloaded", 2, 529)
    assert "in_band" not in line
    assert counts("retries_total") == 2
    assert counts("requests_total", status="529") == 1
    assert counts("upstream_errors_total", kind="overloaded") == 1
    assert counts("upstream_errors_total") == 1


async def test_an_error_in_mid_stream_has_its_own_status() -> None:
    log, counts = io.StringIO(), Counts()
    config = {"idleTimeout": 100}
    stalled = Play(TEXT["openai-chat"], fault=Stall(after_events(4)))
    async with gateway_to("openai-chat", stalled, config=config, log=log) as (_, gateway):
        async with gateway.openai() as client:
            with pytest.raises(openai.APIError):
                async for _ in await client.chat.completions.create(model="m", messages=HI, stream=True):
                    pass
        await wait_until(lambda: not gateway.gateway.exchanges)
    (line,) = request_lines(log)
    assert (line["status"], line["error"], line["in_band"], line["stream"]) == (504, "timeout", True, True)
    assert counts("requests_total", status="504") == 1
    assert counts("upstream_errors_total", kind="timeout") == 1
    assert counts("open_streams") == 0


async def test_skipped_events_are_counted_and_logged() -> None:
    log, counts = io.StringIO(), Counts()
    malformed = Play(TEXT["openai-chat"], fault=FAULTS["malformed-late"])
    async with gateway_to("openai-chat", malformed, log=log) as (_, gateway), gateway.openai() as client:
        async for _ in await client.chat.completions.create(model="m", messages=HI, stream=True):
            pass
    (line,) = request_lines(log)
    assert (line["status"], line["skipped_events"]) == (200, 1)
    assert counts("skipped_events_total") == 1


async def test_dropped_parameters_are_counted_and_logged() -> None:
    log, counts = io.StringIO(), Counts()
    async with gateway_to("anthropic-messages", Play(WHOLE["anthropic-messages"]), log=log) as (_, gateway):
        async with gateway.openai() as client:
            await client.chat.completions.create(model="m", messages=HI, seed=1, store=True)
    (line,) = request_lines(log)
    assert sorted(line["dropped"]) == ["seed", "store"]
    assert counts("dropped_parameters_total") == 2


@pytest.mark.parametrize("phase", ["request", "waiting", "stream"])
async def test_a_client_that_left_is_a_499_with_its_phase(phase: str) -> None:
    log, counts = io.StringIO(), Counts()
    play = Play(TEXT["openai-chat"], fault=Stall(after_events(0 if phase == "waiting" else 4)))
    async with gateway_to("openai-chat", play, log=log) as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            if phase == "request":
                await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
                await wait_until(lambda: gateway.gateway.exchanges)
            else:
                await client.ask()
                await upstream.wait_received()
                if phase == "stream":
                    await client.read_until(b"data: ")
            client.leave()
            await wait_until(lambda: not gateway.gateway.exchanges)
    (line,) = request_lines(log)
    assert (line["status"], line["departed"]) == (499, "disconnect")
    assert "error" not in line
    label = {"model": "" if phase == "request" else "m"}
    assert counts("client_departures_total", **label, phase=phase, reason="disconnect") == 1
    assert counts("requests_total", **label, status="499") == 1
    assert counts("upstream_errors_total") == 0


async def test_a_client_that_did_not_read_is_a_499_for_its_own_reason() -> None:
    log, counts = io.StringIO(), Counts()
    async with gateway_to("openai-chat", FLOOD, server={"writeTimeout": 150}, log=log) as (_, gateway):
        async with RawClient(gateway.port, receive_buffer=4096) as client:
            await client.ask()
            await client.read_until(b"data: ")
            await wait_until(lambda: not gateway.gateway.exchanges)
    (line,) = request_lines(log)
    assert (line["status"], line["departed"]) == (499, "write_timeout")
    assert counts("client_departures_total", phase="stream", reason="write_timeout") == 1


async def test_refused_requests_are_logged_without_model_and_counted() -> None:
    log, counts = io.StringIO(), Counts()
    async with gateway_to("openai-chat", Play(WHOLE["openai-chat"]), log=log) as (_, gateway):
        async with gateway.http() as http:
            await http.post("/v1/chat/completions", content=b"{")
            await http.post("/v1/chat/completions", json=body_for("openai-chat", model="other"))
            await http.post("/v1/messages", json={**body_for("anthropic-messages"), "max_tokens": "x"})
    lines = request_lines(log)
    assert [(line["status"], line["model"], line["error"]) for line in lines] == [
        (400, None, "invalid_request"),
        (404, "other", "not_found"),
        (400, None, "invalid_request"),
    ]
    assert [line.get("param") for line in lines[1:]] == ["model", "max_tokens"]
    assert counts("requests_total", model="", status="400") == 2
    assert counts("requests_total", model="", status="404") == 1


SICK_PROVIDER = """
from providers import Provider, extension, text_chunk

@extension(name="sick", version="1.0.0", description="", configuration_schema={"type": "object"})
class Sick(Provider):
    async def execute(self, request):
        raise RuntimeError(f"{request.messages[0].text} canary-exception")
    async def execute_streaming(self, request, emitter):
        await emitter.emit_chunk(text_chunk("canary-answer"), first=True)
        raise ExceptionGroup("canary-exception", [KeyError(request.messages[0].text)])
"""

CANARIES = {
    "prompt": "canary-prompt",
    "answer": "canary-answer",
    "client's key": "canary-client-key",
    "gateway's key": "canary-upstream-key",
    "header": "canary-header",
    "exception": "canary-exception",
    "custom header": "canary-custom",
}


def _answering(status: int, content_type: str, body: bytes) -> Callable[[], Play]:
    return lambda: Play(Answer(status=status, headers={"content-type": content_type}, body=body))


_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"canary-answer"},"finish_reason":null}]}\n\n'
OUTCOMES: dict[str, Callable[[], Play]] = {
    "401 that quotes the key": _answering(
        401, "application/json", b'{"error":{"message":"bad key canary-upstream-key for canary-prompt"}}'
    ),
    "401 in HTML": _answering(401, "text/html", b"<p>canary-upstream-key canary-prompt"),
    "400 that quotes the prompt": _answering(400, "application/json", b'{"error":{"message":"bad canary-prompt"}}'),
    "500": _answering(500, "application/json", b'{"error":{"message":"canary-answer"}}'),
    "malformed event": _answering(200, "text/event-stream", _EVENT + b'data: {"canary-answer\n\ndata: [DONE]\n\n'),
    "cut stream": _answering(200, "text/event-stream", _EVENT + b'data: {"choices": "canary-answer'),
    "error event": _answering(200, "text/event-stream", _EVENT + b'data: {"error":{"message":"canary-answer"}}\n\n'),
    "wrong type": _answering(200, "text/html", b"<p>canary-answer"),
    "not JSON": _answering(200, "application/json", b"canary-answer"),
    "JSON of another shape": _answering(200, "application/json", b'{"choices":["canary-answer"]}'),
    "redirect": lambda: Play(Answer(status=302, headers={"location": "http://canary-answer/"})),
    "not HTTP": lambda: Play(TEXT["openai-chat"], fault=FAULTS["reset-before-head"]),
}


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_no_outcome_puts_a_secret_or_a_word_of_the_conversation_into_the_log(
    tmp_path: Path, log_format: Literal["json", "console"]
) -> None:
    log = io.StringIO()
    (tmp_path / "sick.py").write_text(SICK_PROVIDER)
    plays = iter(())

    def script(request: ReceivedRequest) -> Play:
        return next(plays)

    config = {
        "apiKey": CANARIES["gateway's key"],
        "customHeaders": {"x-secret": CANARIES["custom header"]},
        "retryAttempts": 1,
        "retryDelay": 1,
    }
    answers: list[str] = []
    async with ReplayServer(script) as upstream:
        models = [
            model("openai-chat", upstream.url, name="openai", config=config),
            model("anthropic-messages", upstream.url, name="anthropic", config=config),
            {"name": "sick", "type": "sick", "config": {}},
        ]
        async with serving(models, extensions=[tmp_path / "sick.py"], log=log) as gateway:
            configure_logging("debug", log_format, log)
            headers = {
                "authorization": "Bearer canary-client-key",
                "x-api-key": CANARIES["client's key"],
                "x-other": CANARIES["header"],
                "x-request-id": "fine canary-header",
            }
            async with gateway.http(headers=headers) as http:

                async def ask(api: str, **body: Any) -> None:
                    messages = [{"role": "user", "content": CANARIES["prompt"]}]
                    answer = await http.post(PATHS[api], json=body_for(api, **{"messages": messages, **body}))
                    answers.append(answer.text)

                for play in OUTCOMES.values():
                    for name in ("openai", "anthropic"):
                        for stream in (True, False):
                            plays = iter([play()] * 2)
                            await ask("openai-chat", model=name, stream=stream)
                            plays = iter([play()] * 2)
                            await ask("anthropic-messages", model=name, stream=stream)
                for api in APIS:
                    await ask(api, model="sick", stream=True)
                    await ask(api, model="sick", stream=False)
                    await ask(api, model="openai", messages=[{"role": "canary-prompt", "content": ["canary-prompt"]}])
                await http.post("/v1/messages", content=b'{"canary-prompt')
                await http.get("/v1/nothing?canary-prompt")
    written = log.getvalue()
    assert written.count("request_id") >= len(OUTCOMES) * 8
    for what, canary in CANARIES.items():
        assert canary not in written, f"the {what} is in the log: {context(written, canary)}"
    told = "\n".join(answers)
    for what in ("client's key", "gateway's key", "header", "custom header", "exception"):
        assert CANARIES[what] not in told, f"the {what} is in an answer: {context(told, CANARIES[what])}"


def context(text: str, canary: str) -> str:
    place = text.index(canary)
    return text[max(0, place - 300) : place + 100]


async def test_the_anthropic_sdk_sees_no_key_in_a_401() -> None:
    body = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key sk-upstream"}}'
    refusal = Play(Answer(status=401, headers={"content-type": "application/json"}, body=body))
    async with gateway_to("anthropic-messages", refusal) as (_, gateway), gateway.anthropic() as client:
        with pytest.raises(anthropic.AuthenticationError) as error:
            await client.messages.create(model="m", max_tokens=9, messages=HI)
    assert "sk-upstream" not in error.value.response.text


async def test_with_two_workers_metrics_are_the_sum_over_both(tmp_path: Path) -> None:
    count = 30
    async with ReplayServer(Play(WHOLE["openai-chat"])) as upstream:
        models = [model("openai-chat", upstream.url)]
        async with triway_serving(tmp_path, models, server={"workers": 2}) as gateway:
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    # A connection each: the kernel spreads connections over the workers.
                    async with RawClient(gateway.port) as client:
                        await client.ask(stream=False, headers={"connection": "close"})
                        assert b" 200 " in (await client.read_to_end())[:20]

                for _ in range(count):
                    nursery.start_soon(ask)
            with trio.fail_after(10):
                while len([line for line in gateway.lines if line["event"] == "request"]) < count:
                    await trio.sleep(0.02)
            texts = []
            for _ in range(6):
                async with openai_client(gateway.url) as client:
                    texts.append(await client.get("/../metrics", cast_to=str))
    for text in texts:
        values = {labels: value for (name, labels), value in samples(text).items() if name == "triway_requests_total"}
        assert sum(values.values()) == count, text
        assert not any(name == "pid" for labels in values for name, _ in labels)
    assert "triway_open_requests" in texts[0]


@pytest.mark.parametrize("usage", [{"prompt_tokens": -1, "completion_tokens": -2}, {"prompt_tokens": 3}])
async def test_counts_that_make_no_sense_keep_nothing_from_being_recorded(usage: dict[str, int]) -> None:
    ended: list[int] = []
    answer = {
        "id": "a",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {**usage, "prompt_tokens_details": {"cached_tokens": -1}},
    }
    log = io.StringIO()
    counts = Counts()
    watcher = plugin_class("watcher", before_model=lambda context: context.defer(lambda: ended.append(1)))
    play = Play(Answer(headers={"content-type": "application/json"}, body=json.dumps(answer).encode()))
    async with gateway_to("openai-chat", play, log=log, plugins=[watcher]) as (_, gateway), gateway.http() as http:
        got = await http.post(PATHS["openai-chat"], json=body_for("openai-chat"))
        await wait_until(lambda: not gateway.gateway.exchanges)
    assert got.status_code == 200
    (line,) = request_lines(log)
    assert line["prompt_tokens"] == usage["prompt_tokens"]
    assert ended == [1]
    assert counts("requests_total", status="200") == 1
    assert counts("tokens_total", kind="prompt") == max(0, usage["prompt_tokens"])


def test_at_level_debug_libraries_show_no_headers() -> None:
    log = io.StringIO()
    try:
        configure_logging("debug", "json", log)
        for name in ("hpack.hpack", "httpcore.http2", "botocore.auth", "h2", "anything"):
            logging.getLogger(name).debug("authorization: canary")
        logging.getLogger("triway.provider").debug("ours")
        logging.getLogger("anything").info("a library's word")
    finally:
        configure_logging("error", "json")
    assert [json.loads(line)["event"] for line in log.getvalue().splitlines()] == ["ours", "a library's word"]


def test_every_metric_is_in_the_documentation() -> None:
    documented = (ROOT / "docs" / "operations.md").read_text()
    found = re.findall(r"^# HELP (\w+)", metrics.render().decode(), re.MULTILINE)
    names = [name for name in found if not name.endswith("_created")]
    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in documented] == []
