"""Clients that are slow: to read, to ask, or to come back. Each is cut off, and holds nothing else up."""

from __future__ import annotations

from typing import Any

import h2.events
import pytest
import trio

from proxy.server import ClientDisconnectedError
from tests.proxy.server.conftest import Certificates
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


class Flood:
    """An app that writes for ever to `/flood`, and notes how that ends; other paths are answered."""

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.told: list[str] = []
        self.raised: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] != "/flood":
            await reply(send)
            return
        scope["extensions"]["triway.disconnect"].subscribe(self.told.append)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        except ClientDisconnectedError as error:
            self.raised.append(error.reason)
            raise
        finally:
            self.ended.set()


FLOOD = b"GET /flood HTTP/1.1\r\nhost: test\r\n\r\n"


@pytest.mark.parametrize("protocol", ["http", "https"])
async def test_a_client_that_does_not_read_is_cut_off(protocol: str, certificates: Certificates) -> None:
    flood = Flood()
    tls = {} if protocol == "http" else {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    context = None if protocol == "http" else certificates.client()
    async with serving(flood, write_timeout=0.3, **tls) as server, connected(server.port, context) as stream:
        await stream.send_all(FLOOD)
        async with connected(server.port, context) as other:
            reader = HttpReader(other)
            answered = 0
            while not flood.ended.is_set():  # the others go on meanwhile
                await other.send_all(GET)
                assert (await reader.answer()).status == 200
                answered += 1
                await trio.sleep(0.01)
            assert answered > 5
    assert flood.told == ["write_timeout"]
    assert flood.raised == ["write_timeout"]


async def test_a_client_that_reads_slowly_is_not_cut_off() -> None:
    """The deadline is for taking nothing at all, not for the whole of a large body."""
    size = 20_000_000

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await reply(send, bytes(size))

    async with serving(handler, write_timeout=0.3) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        reader = HttpReader(stream)
        _, headers = await reader.head()
        left = int(headers["content-length"]) - len(reader.buffer)
        while left:
            left -= len(await stream.receive_some(1_000_000))
            if left > size // 2:
                await trio.sleep(0.005)


async def test_an_app_that_is_cancelled_in_mid_write_can_still_say_why() -> None:
    """A write that the app's own deadline cut goes on with the next one: the in-band error is not lost."""
    done = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with trio.move_on_after(0.2):
            while True:
                await send({"type": "http.response.body", "body": b"a" * 1_000_000, "more_body": True})
        done.set()
        await send({"type": "http.response.body", "body": b"why"})

    async with serving(handler) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        await done.wait()
        body = (await HttpReader(stream).answer()).body
    assert body.endswith(b"awhy")
    assert len(body) % 1_000_000 == 3


@pytest.mark.parametrize("protocol", ["http", "https"])
async def test_a_send_that_is_cancelled_before_it_began_has_sent_nothing(
    protocol: str, certificates: Certificates
) -> None:
    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with trio.CancelScope() as cancelled:
            cancelled.cancel()
            await send({"type": "http.response.body", "body": b"not sent", "more_body": True})
        await send({"type": "http.response.body", "body": b"sent"})

    tls = {} if protocol == "http" else {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    context = None if protocol == "http" else certificates.client()
    async with serving(handler, **tls) as server, connected(server.port, context) as stream:
        await stream.send_all(GET)
        assert (await HttpReader(stream).answer()).body == b"sent"


@pytest.mark.parametrize("protocol", ["h2c", "h2"])
async def test_http2_without_a_window_resets_only_that_stream(protocol: str, certificates: Certificates) -> None:
    flood = Flood()
    tls = {} if protocol == "h2c" else {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    context = None if protocol == "h2c" else certificates.client("h2")
    async with serving(flood, write_timeout=0.3, **tls) as server, connected(server.port, context) as stream:
        client = H2Client(stream)
        client.acknowledge = False  # no window is opened again
        client.connection.initiate_connection()
        client.connection.increment_flow_control_window(10_000_000)  # the connection's is wide; the stream's is not
        stuck = await client.request("/flood")
        with trio.fail_after(10):
            await client.wait_for(h2.events.StreamReset, stuck)
        assert flood.told == ["write_timeout"]
        other = await client.request("/")
        assert (await client.wait_for(h2.events.DataReceived, other)).data == b"ok"
        await flood.ended.wait()


async def test_http2_that_does_not_read_its_socket_is_cut_off() -> None:
    """Windows wide open, but the socket is not read: the write to it has its deadline."""
    flood = Flood()
    async with serving(flood, write_timeout=0.3) as server, connected(server.port) as stream:
        client = H2Client(stream)
        await client.start_without_windows()
        await client.request("/flood")
        with trio.fail_after(10):
            await flood.ended.wait()
            await read_all(stream)  # ends: the connection is closed
        assert flood.told == ["write_timeout"]
        assert (await ask(server.port, GET)).status == 200


# -- slow to ask ------------------------------------------------------------------------------------------------------


async def test_a_slow_head_is_a_408() -> None:
    async with serving(echo, header_timeout=0.2) as server, connected(server.port) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nhost:")
        assert (await HttpReader(stream).answer()).status == 408
        assert await read_all(stream) == b""


async def test_a_head_that_trickles_is_a_408() -> None:
    """Each byte is in time; the whole is not."""
    async with serving(echo, header_timeout=0.3) as server, connected(server.port) as stream:

        async def trickle() -> None:
            await stream.send_all(b"GET / HTTP/1.1\r\nx: ")
            while True:
                await trio.sleep(0.02)
                await stream.send_all(b"a")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            assert (await HttpReader(stream).answer()).status == 408
            nursery.cancel_scope.cancel()


async def test_a_connection_that_asks_nothing_is_closed_silently() -> None:
    async with serving(echo, header_timeout=0.2) as server, connected(server.port) as stream:
        assert await read_all(stream) == b""


async def test_an_idle_connection_is_closed_silently() -> None:
    async with serving(echo, keep_alive_timeout=0.2) as server, connected(server.port) as stream:
        reader = HttpReader(stream)
        for _ in range(5):
            await stream.send_all(GET)
            await reader.answer()
            await trio.sleep(0.1)  # each time anew
        assert await read_all(stream) == b""


async def test_a_second_head_has_its_own_deadline() -> None:
    async with serving(echo, header_timeout=0.2, keep_alive_timeout=60) as server, connected(server.port) as stream:
        reader = HttpReader(stream)
        await stream.send_all(GET)
        await reader.answer()
        await trio.sleep(0.3)
        await stream.send_all(GET[:10])
        await trio.sleep(0.1)
        await stream.send_all(GET[10:])
        assert (await reader.answer()).status == 200
        await stream.send_all(GET[:10])
        assert (await reader.answer()).status == 408


async def test_a_long_request_is_not_idle() -> None:
    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await trio.sleep(0.4)
        await reply(send)

    async with serving(handler, header_timeout=0.1, keep_alive_timeout=0.1) as server:
        assert (await ask(server.port, GET)).status == 200


async def test_a_handshake_has_a_deadline(certificates: Certificates) -> None:
    tls: dict[str, Any] = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    async with serving(App(echo), handshake_timeout=0.2, **tls) as server, connected(server.port) as stream:
        await stream.send_all(b"\x16\x03\x01")
        assert await read_all(stream) == b""
