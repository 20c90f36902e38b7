"""The way from serving to exit, in the running loop."""

from __future__ import annotations

from typing import Any

import h2.events
import pytest
import trio

from proxy.server import ServerSettings, StartupError, serve_in_task
from tests.proxy.server.support import (
    GET,
    App,
    H2Client,
    HttpReader,
    ask,
    connected,
    echo,
    read_all,
    reply,
    serving,
)


def streaming(gate: trio.Event) -> App:
    """An app whose streams end when the gate opens."""

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"done"})

    return App(handler)


async def test_lifespan_and_order() -> None:
    app = App(echo)
    async with serving(app) as server:
        assert app.told == ["lifespan.startup"]
        server.shutdown.set()
        await server.stopped.wait()
    assert app.told == ["lifespan.startup", "start_draining", "lifespan.shutdown"]


async def test_running_requests_go_on_and_idle_connections_close() -> None:
    gate = trio.Event()
    app = streaming(gate)
    async with serving(app, graceful_timeout=10) as server:
        async with connected(server.port) as busy, connected(server.port) as idle, connected(server.port) as fresh:
            app.handler, handler = echo, app.handler
            await idle.send_all(GET)
            await HttpReader(idle).answer()
            app.handler = handler
            await busy.send_all(GET)
            reader = HttpReader(busy)
            await reader.until(b"begun\r\n")
            server.shutdown.set()
            assert await read_all(idle) == b""
            assert await read_all(fresh) == b""
            with pytest.raises(OSError, match="failed"):
                await trio.open_tcp_stream("127.0.0.1", server.port)
            assert not server.stopped.is_set()
            gate.set()
            assert await reader.until(b"0\r\n\r\n") == b"4\r\ndone\r\n"
            assert await read_all(busy) == b""
            await server.stopped.wait()
    assert "end_streams" not in app.told


async def test_a_request_that_arrives_in_the_drain_delay_is_served() -> None:
    app = App(echo)
    async with serving(app, drain_delay=0.3) as server, connected(server.port) as old:
        server.shutdown.set()
        while "start_draining" not in app.told:
            await trio.sleep(0.01)
        assert (await ask(server.port, GET)).status == 200
        await old.send_all(GET)
        assert (await HttpReader(old).answer()).status == 200
        await server.stopped.wait()


async def test_a_response_that_begins_while_stopping_says_close() -> None:
    gate = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send)

    app = App(handler)
    async with serving(app, graceful_timeout=10) as server, connected(server.port) as stream:
        await stream.send_all(GET * 2)
        await trio.sleep(0.02)
        server.shutdown.set()
        await trio.sleep(0.05)
        gate.set()
        reader = HttpReader(stream)
        assert (await reader.answer()).headers["connection"] == "close"
        with pytest.raises(EOFError):
            await reader.answer()


async def test_streams_that_do_not_end_get_their_in_band_error() -> None:
    gate = trio.Event()
    app = streaming(gate)
    app.on_end_streams = gate.set
    async with serving(app, graceful_timeout=0.2, end_timeout=2) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        server.shutdown.set()
        assert (await HttpReader(stream).answer()).body == b"begundone"
        await server.stopped.wait()
    assert app.told[1:] == ["start_draining", "end_streams", "lifespan.shutdown"]


async def test_streams_that_never_end_are_cancelled() -> None:
    app = streaming(trio.Event())
    async with serving(app, graceful_timeout=0.1, end_timeout=0.1) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        reader = HttpReader(stream)
        await reader.until(b"begun\r\n")
        server.shutdown.set()
        assert not (await read_all(stream)).endswith(b"0\r\n\r\n")
        with trio.fail_after(10):
            await server.stopped.wait()


@pytest.mark.parametrize("protocol", ["http", "https", "h2"])
async def test_a_client_that_does_not_read_holds_nothing_up(protocol: str, certificates: Any) -> None:
    running = trio.Event()

    async def flood(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        running.set()
        while True:
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})

    tls = {} if protocol == "http" else {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    context = None if protocol == "http" else certificates.client("h2" if protocol == "h2" else "http/1.1")
    async with serving(flood, write_timeout=60, graceful_timeout=0.1, end_timeout=0.1, **tls) as server:
        async with connected(server.port, context) as stream:
            if protocol == "h2":
                client = H2Client(stream)
                await client.start_without_windows()
                await client.request()
            else:
                await stream.send_all(GET)
            await running.wait()
            await trio.sleep(0.2)
            server.shutdown.set()
            with trio.fail_after(10):
                await server.stopped.wait()


async def test_a_handshake_holds_nothing_up(certificates: Any) -> None:
    tls: dict[str, Any] = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    async with serving(echo, handshake_timeout=60, graceful_timeout=60, **tls) as server:
        async with connected(server.port) as stream:
            await stream.send_all(b"\x16\x03\x01")
            await trio.sleep(0.05)
            server.shutdown.set()
            with trio.fail_after(10):
                await server.stopped.wait()


async def test_a_head_that_is_not_complete_holds_up_only_until_its_deadline() -> None:
    async with serving(echo, header_timeout=0.3, graceful_timeout=60) as server, connected(server.port) as stream:
        await stream.send_all(GET[:10])
        await trio.sleep(0.05)
        server.shutdown.set()
        assert (await HttpReader(stream).answer()).status == 408
        await server.stopped.wait()


async def test_http2_streams_finish_too(certificates: Any) -> None:
    gate = trio.Event()
    tls: dict[str, Any] = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    async with serving(streaming(gate), graceful_timeout=10, **tls) as server:
        async with (
            connected(server.port, certificates.client("h2")) as stream,
            connected(server.port, certificates.client("h2")) as idle,
        ):
            client, other = H2Client(stream), H2Client(idle)
            await other.start()
            await client.start()
            stream_id = await client.request()
            await client.wait_for(h2.events.DataReceived, stream_id)
            server.shutdown.set()
            with pytest.raises((EOFError, trio.BrokenResourceError)):
                await other.wait_for(h2.events.DataReceived)
            gate.set()
            assert (await client.wait_for(h2.events.DataReceived, stream_id)).data == b"done"
            await client.wait_for(h2.events.StreamEnded, stream_id)
            await server.stopped.wait()


async def test_a_cancelled_server_closes_everything_at_once() -> None:
    app = streaming(trio.Event())
    settings = ServerSettings(bind=["127.0.0.1:0"])

    async def run(task_status: trio.TaskStatus[list[int]]) -> None:
        await serve_in_task(app, settings, shutdown=trio.Event(), task_status=task_status)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            port = (await nursery.start(run))[0]
            async with connected(port) as stream:
                await stream.send_all(GET)
                reader = HttpReader(stream)
                await reader.until(b"begun\r\n")
                nursery.cancel_scope.cancel()
    assert app.told == ["lifespan.startup"]


@pytest.mark.parametrize("kind", ["failed", "slow"])
async def test_a_failing_startup(kind: str) -> None:
    class Failing(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await receive()
            if kind == "failed":
                await send({"type": "lifespan.startup.failed", "message": "the reason"})
            await trio.sleep_forever()

    settings = ServerSettings(bind=["127.0.0.1:0"], startup_timeout=0.1)
    with pytest.raises(StartupError, match="the reason" if kind == "failed" else "startup"):
        await serve_in_task(Failing(echo), settings, shutdown=trio.Event())


async def test_a_port_in_use() -> None:
    async with serving(echo) as server:
        settings = ServerSettings(bind=["127.0.0.1:0", f"127.0.0.1:{server.port}"])
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{server.port}: Address already in use"):
            await serve_in_task(App(echo), settings, shutdown=trio.Event())


@pytest.mark.parametrize("bind", ["nonsense.invalid:80", "127.0.0.1:70000", "127.0.0.1", "127.0.0.1:http"])
async def test_an_address_that_is_none(bind: str) -> None:
    with pytest.raises(StartupError, match=f"cannot listen on {bind}: "):
        await serve_in_task(App(echo), ServerSettings(bind=[bind]), shutdown=trio.Event())


async def test_a_certificate_that_is_none(tmp_path: Any) -> None:
    (tmp_path / "empty").write_text("")
    for name in ("missing", "empty"):
        path = str(tmp_path / name)
        with pytest.raises(StartupError, match="certificate"):
            await serve_in_task(
                App(echo), ServerSettings(bind=["127.0.0.1:0"], certfile=path, keyfile=path), shutdown=trio.Event()
            )


@pytest.mark.parametrize(
    "settings",
    [
        {"bind": []},
        {"workers": 0},
        {"certfile": "a"},
        {"insecure_bind": ["a:1"]},
        {"ca_certs": "a"},
        {"write_timeout": 0},
        {"graceful_timeout": -1},
        {"max_head_bytes": 0},
        {"header_timeout": float("nan")},
    ],
    ids=repr,
)
def test_settings_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        ServerSettings(**settings)
