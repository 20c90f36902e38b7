"""The recording proxy between clients and a replay server: what is on the wire is what is recorded."""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio
import trustme

from conformance.capture.build import Choice
from conformance.recorder.run import check, run
from conformance.recorder.settings import RecorderSettings
from conformance.recorder.tally import Tally
from conformance.replay import DELIVERIES, FAULTS, Answer, Play, ReplayServer, Script
from conformance.replay.deliveries import bytes_each
from providers.replay.provider import ReplayProvider
from providers.replay.recording import BUNDLED, Recording, load_recording, load_recordings
from tests.support.client import RawClient
from tests.support.gateway import HI, anthropic_client, openai_client, serving, wait_until
from tests.support.reading import read_anthropic, read_anthropic_stream, read_openai, read_openai_stream

TEXT = {api: load_recording(BUNDLED / api / "stream" / "text.json") for api in ("openai-chat", "anthropic-messages")}
WHOLE = {api: load_recording(BUNDLED / api / "json" / "text.json") for api in TEXT}
LIMITED = {api: load_recording(BUNDLED / api / "error" / "rate-limit.json") for api in TEXT}


class Session:
    """A recorder that runs."""

    def __init__(self, url: str, out: Path, lines: list[str]) -> None:
        self.url = url
        self.out = out
        self.lines = lines
        self.tally: Tally | None = None
        self.stop = trio.Event()

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def http(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), **options
        )

    def recordings(self) -> list[Recording]:
        return [load_recording(path) for path in sorted(self.out.glob("*/*/*.json"))]

    async def wait_saved(self, count: int = 1) -> list[Recording]:
        """A recording is saved once its client has everything, so the client must wait for it."""
        await wait_until(lambda: sum(line.startswith("recorded ") for line in self.lines) >= count)
        return self.recordings()

    async def wait_said(self, text: str) -> str:
        await wait_until(lambda: any(text in line for line in self.lines))
        return next(line for line in self.lines if text in line)


@asynccontextmanager
async def recording(upstream: str, out: Path, **settings: Any) -> AsyncIterator[Session]:
    lines: list[str] = []
    session = Session("", out, lines)
    settings = {"listen": "127.0.0.1:0", "graceful_timeout": 0.2, **settings}
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[str]) -> None:
                session.tally = await run(
                    RecorderSettings(upstream=upstream, out=out, **settings),
                    lines.append,
                    shutdown=session.stop,
                    task_status=task_status,
                )

            session.url = await nursery.start(serve)
            try:
                yield session
            finally:
                session.stop.set()


@asynccontextmanager
async def recording_of(
    script: Script | Sequence[Play] | Play, out: Path, **settings: Any
) -> AsyncIterator[tuple[ReplayServer, Session]]:
    async with ReplayServer(script) as server:
        async with recording(server.url, out, **settings) as session:
            yield server, session


@asynccontextmanager
async def listening(handler: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """A server on which `handler` plays the provider; its URL."""
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, handler, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


def certified(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A context for a server on 127.0.0.1, and the file of the CA that vouches for it."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    bundle = folder / "ca.pem"
    ca.cert_pem.write_to_path(bundle)
    return context, str(bundle)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*.*"))


def first_in(folder: Path) -> Path:
    return next(folder.glob("*/*/*.json"))


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": HI, **more}


@pytest.mark.parametrize("delivery", ["event", "bytes-7", "gzip", "one-byte-chunks", "until-close", "crlf"])
async def test_what_the_openai_sdk_was_sent_is_recorded(tmp_path: Path, delivery: str) -> None:
    played = Play(TEXT["openai-chat"], delivery=DELIVERIES[delivery])
    async with recording_of(played, tmp_path) as (server, session):
        async with openai_client(server.url) as direct, openai_client(session.url) as client:
            expected = await read_openai_stream(direct)
            assert await read_openai_stream(client) == expected
        (recorded,) = await session.wait_saved()
    assert recorded.response.body == DELIVERIES[delivery].rewrite(played.answer).body
    assert (recorded.api, recorded.vendor, recorded.kind, recorded.name) == (
        "openai-chat",
        "localhost",
        "stream",
        "m-hi",
    )
    assert recorded.content_type == "text/event-stream"
    assert not recorded.incomplete
    assert recorded.timing
    assert recorded.request is not None
    assert recorded.request.path == "/v1/chat/completions"
    assert recorded.request.body["messages"] == HI
    assert [item.where for item in recorded.scrubbed] == ["request.headers.authorization"]
    assert b"sk-client" not in everything_in(tmp_path)


@pytest.mark.parametrize("kind", ["stream", "json", "error"])
@pytest.mark.parametrize("api", list(TEXT))
async def test_what_is_recorded_can_be_played(tmp_path: Path, api: str, kind: str) -> None:
    """The replay provider, through the gateway, gives the SDK what the service gave it."""
    played = {"stream": TEXT, "json": WHOLE, "error": LIMITED}[kind][api]
    clients = {"openai-chat": openai_client, "anthropic-messages": anthropic_client}
    streams = {"openai-chat": read_openai_stream, "anthropic-messages": read_anthropic_stream}
    wholes = {"openai-chat": read_openai, "anthropic-messages": read_anthropic}
    read: Any = wholes[api] if kind == "json" else streams[api]
    async with recording_of(Play(played), tmp_path) as (server, session):
        async with clients[api](server.url) as direct, clients[api](session.url) as client:
            expected = await read(direct)
            assert await read(client) == expected
        (recorded,) = await session.wait_saved()
    assert recorded.response.body == played.response.body
    assert (recorded.api, recorded.kind) == (api, kind)
    path = tmp_path / api / kind / f"{recorded.name}.json"
    entry = {"name": "m", "type": "replay", "config": {"api": api, "file": str(path), "pace": 0}}
    async with serving([entry]) as gateway:
        async with clients[api](gateway.url) as client:
            assert await read(client) == expected


async def test_an_event_is_passed_on_before_the_next_is_sent(tmp_path: Path) -> None:
    """The upstream sends an event only when the client has seen the one before."""
    seen = [trio.Event() for _ in range(4)]
    events = [b'data: {"n": %d}\n\n' % number for number in range(3)]

    async def upstream(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for number, event in enumerate(events):
            await seen[number].wait()
            await stream.send_all(b"%x\r\n%b\r\n" % (len(event), event))
        await seen[3].wait()
        await stream.send_all(b"0\r\n\r\n")

    async with listening(upstream) as url:
        async with recording(url, tmp_path) as session:
            async with RawClient(session.port) as client:
                await client.ask()
                await client.read_until(b"text/event-stream")  # the head, before any event
                seen[0].set()
                for number in range(3):
                    await client.read_until(b'{"n": %d}' % number)
                    seen[number + 1].set()
                await client.read_until(b"0\r\n\r\n")
            (recorded,) = await session.wait_saved()
    assert recorded.response.body == b"".join(events)
    assert recorded.timing is not None
    assert [size for _, size in recorded.timing] == [len(event) for event in events]


async def test_times_rise_from_the_request_on(tmp_path: Path) -> None:
    """The provider begins to read some time after the request was sent."""
    async with ReplayServer(Play(TEXT["openai-chat"]), accept_delay=0.2) as server:
        async with recording(server.url, tmp_path) as session:
            async with openai_client(session.url) as client:
                await read_openai_stream(client)
            (recorded,) = await session.wait_saved()
    assert recorded.timing is not None
    times = [time for time, _ in recorded.timing]
    assert times == sorted(times)
    assert times[0] > 150


async def test_times_do_not_count_the_way_to_the_provider(tmp_path: Path) -> None:
    """Its TLS handshake takes a while. What the times leave out of the whole is at least that while."""
    server_context, bundle = certified(tmp_path)
    async with ReplayServer(Play(TEXT["openai-chat"]), ssl_context=server_context, accept_delay=0.3) as server:
        async with recording(server.url, tmp_path / "out", ca_bundle=bundle) as session:
            async with openai_client(session.url) as client:
                began = trio.current_time()
                await read_openai_stream(client)
                whole = (trio.current_time() - began) * 1000
            (recorded,) = await session.wait_saved()
    assert recorded.timing is not None
    assert whole - recorded.timing[-1][0] > 290


async def test_each_exchange_has_a_connection_of_its_own(tmp_path: Path) -> None:
    async with recording_of(Play(WHOLE["openai-chat"]), tmp_path) as (server, session):
        async with openai_client(session.url) as client:
            for _ in range(3):
                await read_openai(client)
        await session.wait_saved(3)
        assert server.accepted == 3


async def test_several_at_a_time_keep_apart(tmp_path: Path) -> None:
    names = [recording.name for recording in load_recordings(BUNDLED, api="openai-chat", kind="stream")]
    plays = {name: load_recording(BUNDLED / "openai-chat" / "stream" / f"{name}.json") for name in names}

    def script(request: Any) -> Play:
        return Play(plays[json.loads(request.body)["model"]], delivery=bytes_each(50))

    async with recording_of(script, tmp_path) as (_, session):
        async with openai_client(session.url) as client, trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(read_openai_stream, client, name)
        recorded = await session.wait_saved(len(names))
    assert {item.name: item.response.body for item in recorded} == {
        f"{name}-hi": plays[name].response.body for name in names
    }


async def test_names_never_replace_a_recording(tmp_path: Path) -> None:
    async with recording_of(Play(WHOLE["openai-chat"]), tmp_path, choice=Choice(name="mine")) as (_, session):
        async with openai_client(session.url) as client:
            for _ in range(3):
                await read_openai(client)
        recorded = await session.wait_saved(3)
    assert sorted(item.name for item in recorded) == ["mine", "mine-2", "mine-3"]


NDJSON = Answer(
    headers={"content-type": "application/x-ndjson"},
    body=b'{"message":{"role":"assistant","content":"Hi"},"done":false}\n{"message":{"content":""},"done":true}\n',
)
FRAMES = Answer(headers={"content-type": "application/vnd.amazon.eventstream"}, body=bytes(range(256)) * 3)


@pytest.mark.parametrize(
    ("path", "answer", "api"),
    [
        ("/api/chat", NDJSON, "ollama-chat"),
        ("/model/m/converse-stream", FRAMES, "bedrock-converse"),
    ],
)
async def test_lines_and_binary_streams(tmp_path: Path, path: str, answer: Answer, api: str) -> None:
    async with recording_of(Play(answer, delivery=bytes_each(7)), tmp_path) as (_, session):
        async with session.http() as client:
            response = await client.post(path, json=chat())
            assert response.content == answer.body
        (recorded,) = await session.wait_saved()
    assert (recorded.api, recorded.kind, recorded.response.body) == (api, "stream", answer.body)


async def test_the_base_urls_path_and_query_are_what_the_provider_gets(tmp_path: Path) -> None:
    async with ReplayServer(Play(WHOLE["openai-chat"])) as server:
        async with recording(f"{server.url}/openai?api-version=1", tmp_path) as session:
            async with session.http() as client:
                await client.post(
                    "/v1/chat/completions?x=2&key=hush", json=chat(), headers={"connection": "x-hop", "x-hop": "1"}
                )
            (recorded,) = await session.wait_saved()
        (request,) = server.requests
    assert request.target == "/openai/v1/chat/completions?api-version=1&x=2&key=hush"
    assert request.header(b"accept-encoding") == b"identity"
    assert request.header(b"x-hop") is None
    assert request.header(b"host") == server.url.removeprefix("http://").encode()
    assert recorded.request is not None
    assert (recorded.request.path, recorded.request.query) == ("/openai/v1/chat/completions", "api-version=1&x=2")
    assert "x-hop" not in recorded.request.headers


async def test_an_encoded_request_is_passed_on_as_it_is_and_recorded_plain(tmp_path: Path) -> None:
    body = gzip.compress(json.dumps(chat()).encode())
    async with recording_of(Play(WHOLE["openai-chat"]), tmp_path) as (server, session):
        async with session.http() as client:
            await client.post("/v1/chat/completions", content=body, headers={"content-encoding": "gzip"})
        (recorded,) = await session.wait_saved()
        (request,) = server.requests
    assert request.body == body
    assert recorded.request is not None
    assert recorded.request.body == chat()


async def test_a_coding_that_is_not_known_is_passed_on_and_not_recorded(tmp_path: Path) -> None:
    answer = Answer(headers={"content-type": "application/json", "content-encoding": "rot13"}, body=b"{}")
    async with recording_of(Play(answer), tmp_path) as (_, session):
        async with session.http() as client:
            response = await client.post("/v1/chat/completions", json=chat())
            assert response.headers["content-encoding"] == "rot13"
            assert response.content == b"{}"
        assert "rot13" in await session.wait_said("NOT RECORDED")
    assert session.recordings() == []


async def test_what_is_no_conversation_is_passed_on(tmp_path: Path) -> None:
    async with recording_of(Play(Answer(body=b'{"data":[]}')), tmp_path) as (_, session):
        async with session.http() as client:
            assert (await client.get("/v1/models")).json() == {"data": []}
            assert (await client.head("/v1/models")).status_code == 200
        await session.wait_said("GET /v1/models")
        await session.wait_said("HEAD /v1/models")
    assert session.tally is not None
    assert (session.tally.passed, session.tally.recorded, session.tally.lost) == (2, 0, 0)


@pytest.mark.parametrize("name", ["fin-after-head", "fin-between-events", "fin-in-event", "reset-in-event"])
async def test_a_cut_answer_is_cut_for_the_client_and_marked(tmp_path: Path, name: str) -> None:
    async with recording_of(Play(TEXT["openai-chat"], fault=FAULTS[name]), tmp_path) as (_, session):
        async with openai_client(session.url) as client:
            reading = await read_openai_stream(client)
        (recorded,) = await session.wait_saved()
    assert "Error" in reading[-1][0]
    assert recorded.incomplete.startswith("the ")
    assert TEXT["openai-chat"].response.body.startswith(recorded.response.body)
    assert len(recorded.response.body) < len(TEXT["openai-chat"].response.body)
    assert load_recordings(tmp_path) == []
    config = {"api": "openai-chat", "file": str(first_in(tmp_path))}
    said = ReplayProvider().validate_config(config)
    assert isinstance(said, str)
    assert recorded.incomplete in said


async def test_a_client_that_leaves_ends_the_upstreams_answer_too(tmp_path: Path) -> None:
    endless = msgspec.structs.replace(TEXT["openai-chat"], timing=None)
    async with recording_of(Play(endless, delivery=DELIVERIES["event"], fault=FAULTS["stall-in-event"]), tmp_path) as (
        server,
        session,
    ):
        async with RawClient(session.port) as client:
            await client.ask()
            await client.read_until(b"data: ")
            client.leave()
            exchange = await server.wait_received()
            await exchange.peer_closed.wait()
        (recorded,) = await session.wait_saved()
    assert recorded.incomplete == "the client left"
    assert recorded.response.body


async def test_a_client_that_leaves_at_the_last_event_leaves_a_whole_recording(tmp_path: Path) -> None:
    """Some SDKs close at [DONE], before the response's own end has come."""
    body, finish = TEXT["openai-chat"].response.body, trio.Event()

    async def upstream(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        await stream.send_all(head + b"%x\r\n%b\r\n" % (len(body), body))
        await finish.wait()
        await stream.send_all(b"0\r\n\r\n")

    async with listening(upstream) as url:
        async with recording(url, tmp_path, leave_timeout=30) as session:
            async with RawClient(session.port) as client:
                await client.ask()
                await client.read_until(b"[DONE]")
                client.leave()
            await trio.sleep(0.1)  # the recorder sees it leave, and goes on
            finish.set()
            (recorded,) = await session.wait_saved()
    assert not recorded.incomplete
    assert recorded.response.body == body


async def test_a_provider_that_cannot_be_reached(tmp_path: Path) -> None:
    async with ReplayServer(Play(WHOLE["openai-chat"])) as server:
        url = server.url
    async with recording(url, tmp_path) as session:
        async with session.http() as client:
            response = await client.post("/v1/chat/completions", json=chat())
        assert response.status_code == 502
        assert "refused" in response.json()["error"]["message"]
        await session.wait_said("NOT RECORDED: POST /v1/chat/completions")
    assert session.recordings() == []


async def test_a_provider_that_is_silent(tmp_path: Path) -> None:
    async with recording_of(Play(WHOLE["openai-chat"], fault=FAULTS["silent"]), tmp_path, silence_timeout=0.1) as (
        _,
        session,
    ):
        async with session.http() as client:
            response = await client.post("/v1/chat/completions", json=chat())
        assert response.status_code == 504
    async with recording_of(
        Play(TEXT["openai-chat"], fault=FAULTS["stall-in-event"]), tmp_path, silence_timeout=0.1
    ) as (
        _,
        session,
    ):
        async with openai_client(session.url) as client:
            await read_openai_stream(client)
        (recorded,) = await session.wait_saved()
    assert recorded.incomplete == "the provider said nothing for 0.1 s"


async def test_an_answer_that_is_too_large_is_passed_on_whole(tmp_path: Path) -> None:
    async with recording_of(Play(TEXT["openai-chat"]), tmp_path, max_response_bytes=1000) as (server, session):
        async with openai_client(session.url) as client, openai_client(server.url) as direct:
            assert await read_openai_stream(client) == await read_openai_stream(direct)
        await session.wait_said("larger than 1000 bytes")
    assert session.recordings() == []


async def test_requests_are_bounded_one_by_one_and_together(tmp_path: Path) -> None:
    async with recording_of(Play(WHOLE["openai-chat"]), tmp_path, max_request_bytes=1000, max_held_bytes=500) as (
        server,
        session,
    ):
        async with session.http() as client:
            assert (await client.post("/v1/chat/completions", content=b"x" * 1001)).status_code == 413
            assert (await client.post("/v1/chat/completions", content=b"x" * 501)).status_code == 503
            # What is let go of makes room again; of this one the answer is too much.
            assert (await client.post("/v1/chat/completions", json=chat())).status_code == 200
            await session.wait_said("holds too much")
        assert len(server.requests) == 1


async def test_stopping_keeps_what_came(tmp_path: Path) -> None:
    async with recording_of(Play(TEXT["openai-chat"], fault=FAULTS["stall-in-event"]), tmp_path) as (_, session):
        async with RawClient(session.port) as client:
            await client.ask()
            await client.read_until(b"data: ")
            session.stop.set()
            await client.read_to_end()
        (recorded,) = await session.wait_saved()
        await wait_until(lambda: session.tally is not None)
    assert recorded.incomplete == "the recorder was stopped"
    assert session.lines[-1] == f"1 recorded (1 incomplete), 0 secrets scrubbed; in {tmp_path}"


async def test_the_upstreams_certificate_is_verified(tmp_path: Path) -> None:
    context, bundle = certified(tmp_path)
    async with ReplayServer(Play(WHOLE["openai-chat"]), ssl_context=context) as server:
        async with recording(server.url, tmp_path / "out") as session:
            async with session.http() as client:
                response = await client.post("/v1/chat/completions", json=chat())
            assert response.status_code == 502
            assert "certificate" in response.json()["error"]["message"]
        async with recording(server.url, tmp_path / "out", ca_bundle=bundle) as session:
            async with session.http() as client:
                assert (await client.post("/v1/chat/completions", json=chat())).status_code == 200
            (recorded,) = await session.wait_saved()
    assert recorded.response.body == WHOLE["openai-chat"].response.body


async def test_a_disk_that_does_not_take_it(tmp_path: Path) -> None:
    (tmp_path / "openai-chat").write_text("a file where a folder should be")
    async with recording_of(Play(WHOLE["openai-chat"]), tmp_path) as (_, session):
        async with openai_client(session.url) as client:
            await read_openai(client)
        await session.wait_said("NOT RECORDED: POST /v1/chat/completions")


def test_a_recorder_that_would_call_itself(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="own address"):
        check(RecorderSettings(upstream="http://localhost:8081/v1", out=tmp_path))
