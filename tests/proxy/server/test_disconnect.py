"""The app hears that its client left: at once, in any phase, over every protocol, with FIN and with RST."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2.errors
import pytest
import trio

from proxy.server import ClientDisconnectedError
from tests.proxy.server.conftest import Certificates
from tests.proxy.server.support import (
    GET,
    H2Client,
    Server,
    Stream,
    connected,
    leave,
    read_body,
    reply,
    serving,
)

WITHIN = 0.5
"""Seconds from the client's end to the app's hearing of it. It takes a few ms; the rest is for a busy machine."""


class Watcher:
    """An app that waits for its client to leave, before its first byte or in mid-stream."""

    def __init__(self, *, streaming: bool, by: str) -> None:
        self._streaming = streaming
        self._by = by
        self.running = trio.Event()
        self.left = trio.Event()
        self.reasons: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await read_body(receive)
        if self._streaming:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
        if self._by == "subscribe":
            with trio.CancelScope() as scope_of_work:

                def depart(reason: str) -> None:
                    self.reasons.append(reason)
                    scope_of_work.cancel()

                scope["extensions"]["triway.disconnect"].subscribe(depart)
                self.running.set()
                await trio.sleep_forever()
        else:
            self.running.set()
            self.reasons.append((await receive())["type"].removeprefix("http."))
        self.left.set()


@asynccontextmanager
async def client_of(
    protocol: str, certificates: Certificates, watcher: Watcher
) -> AsyncIterator[tuple[Server, Stream, H2Client | None]]:
    """A server with the watcher, and a client whose request has reached it."""
    tls = {} if protocol == "http" else {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    context = None if protocol == "http" else certificates.client("h2" if protocol == "h2" else "http/1.1")
    async with serving(watcher, **tls) as server, connected(server.port, context) as stream:
        client = None
        if protocol == "h2":
            client = H2Client(stream)
            await client.start()
            await client.request()
        else:
            await stream.send_all(GET)
        await watcher.running.wait()
        yield server, stream, client


@pytest.mark.parametrize("by", ["subscribe", "receive"])
@pytest.mark.parametrize("streaming", [False, True], ids=["before the first byte", "in mid-stream"])
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("protocol", ["http", "https", "h2"])
async def test_seen(protocol: str, how: str, streaming: bool, by: str, certificates: Certificates) -> None:
    watcher = Watcher(streaming=streaming, by=by)
    async with client_of(protocol, certificates, watcher) as (_, stream, _):
        await trio.sleep(0.02)
        assert not watcher.left.is_set()
        leave(stream, how)
        with trio.fail_after(WITHIN):
            await watcher.left.wait()
    assert watcher.reasons == ["disconnect"]


@pytest.mark.parametrize("by", ["subscribe", "receive"])
async def test_a_stream_of_http2_that_is_reset_leaves_the_others(by: str, certificates: Certificates) -> None:
    watcher = Watcher(streaming=True, by=by)
    async with client_of("h2", certificates, watcher) as (server, _, client):
        assert client is not None
        other = Watcher(streaming=True, by=by)
        server.app.handler = other
        await client.request()
        await other.running.wait()
        client.connection.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
        await client.flush()
        with trio.fail_after(WITHIN):
            await watcher.left.wait()
        assert watcher.reasons == ["disconnect"]
        assert not other.left.is_set()


async def test_a_half_close_is_a_disconnect() -> None:
    watcher = Watcher(streaming=False, by="subscribe")
    async with serving(watcher) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        await watcher.running.wait()
        assert isinstance(stream, trio.SocketStream)
        await stream.send_eof()
        with trio.fail_after(WITHIN):
            await watcher.left.wait()


async def test_seen_behind_pipelined_requests() -> None:
    """The next request waits in the buffer; the end behind it is seen all the same, and it is not run."""
    watcher = Watcher(streaming=False, by="subscribe")
    async with serving(watcher) as server, connected(server.port) as stream:
        await stream.send_all(GET * 3)
        await watcher.running.wait()
        leave(stream, "fin")
        with trio.fail_after(WITHIN):
            await watcher.left.wait()
        await trio.sleep(0.02)
    assert watcher.reasons == ["disconnect"]


async def test_who_subscribes_late_hears_at_once() -> None:
    heard: list[str] = []
    done = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        scope["extensions"]["triway.disconnect"].subscribe(heard.append)
        done.set()

    async with serving(handler) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        leave(stream, "fin")
        await done.wait()
    assert heard == ["disconnect"]


async def test_who_unsubscribed_hears_nothing() -> None:
    heard: list[str] = []
    running, done = trio.Event(), trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        disconnect = scope["extensions"]["triway.disconnect"]
        disconnect.subscribe(heard.append)
        disconnect.unsubscribe()
        running.set()
        await receive()
        await receive()
        done.set()

    async with serving(handler) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        await running.wait()
        leave(stream, "rst")
        await done.wait()
    assert heard == []


@pytest.mark.parametrize("protocol", ["http", "h2"])
async def test_a_client_that_leaves_after_the_whole_answer_is_no_disconnect(
    protocol: str, certificates: Certificates
) -> None:
    heard: list[str] = []
    answered, done = trio.Event(), trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["extensions"]["triway.disconnect"].subscribe(heard.append)
        await reply(send)
        answered.set()
        await trio.sleep(0.1)
        scope["extensions"]["triway.disconnect"].subscribe(heard.append)
        done.set()

    tls = {} if protocol == "http" else {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    context = None if protocol == "http" else certificates.client("h2")
    async with serving(handler, **tls) as server, connected(server.port, context) as stream:
        if protocol == "h2":
            client = H2Client(stream)
            await client.start()
            await client.request()
        else:
            await stream.send_all(GET)
        await answered.wait()
        leave(stream, "fin")
        await done.wait()
    assert heard == []


async def test_a_callback_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    left = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        def callback(reason: str) -> None:
            raise LookupError

        scope["extensions"]["triway.disconnect"].subscribe(callback)
        await receive()
        await receive()
        left.set()

    async with serving(handler) as server:
        async with connected(server.port) as stream:
            await stream.send_all(GET)
            leave(stream, "fin")
            await left.wait()
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == ["a disconnect callback raised"]


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("protocol", ["http", "https", "h2"])
async def test_a_sender_that_waits_for_the_client_is_woken(protocol: str, how: str, certificates: Certificates) -> None:
    """The app waits in `send` because the client does not read; then the client leaves."""
    raised: list[str] = []
    over = trio.Event()

    async def flood(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        except ClientDisconnectedError as error:
            raised.append(error.reason)
            over.set()

    tls = {} if protocol == "http" else {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    context = None if protocol == "http" else certificates.client("h2" if protocol == "h2" else "http/1.1")
    async with serving(flood, write_timeout=60, **tls) as server, connected(server.port, context) as stream:
        if protocol == "h2":
            client = H2Client(stream)
            await client.start()
            await client.request()
        else:
            await stream.send_all(GET)
        await trio.sleep(0.2)
        assert not over.is_set()
        leave(stream, how)
        with trio.fail_after(WITHIN):
            await over.wait()
    assert raised == ["disconnect"]
