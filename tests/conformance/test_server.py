"""The replay server: scripts, what it remembers, and what it sees of its peers."""

from __future__ import annotations

import socket
import ssl
import struct

import pytest
import trio
import trio.testing
import trustme

from conformance.replay import DELIVERIES, FAULTS, Answer, Play, ReceivedRequest, ReplayServer
from conformance.replay.connection import MAX_PIPELINED
from conformance.replay.faults import BEFORE_HEAD, Stall, after_events
from providers.replay.recording import BUNDLED, load_recording
from tests.support.raw_client import fetch, read_response, request_bytes

TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")
WHOLE = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")


def plain(body: bytes) -> Play:
    return Play(Answer(body=body))


async def test_a_list_is_played_in_order_and_then_refuses() -> None:
    async with ReplayServer([plain(b"one"), plain(b"two")]) as server:
        got = [await fetch(server.address) for _ in range(3)]
    assert [response.body for response in got[:2]] == [b"one", b"two"]
    assert got[2].status == 400
    assert b"no further play" in got[2].body


async def test_a_function_sees_the_request_and_chooses() -> None:
    def script(request: ReceivedRequest) -> Play:
        return plain(request.body.upper() + request.target.encode() + (request.header(b"x-y") or b""))

    async with ReplayServer(script) as server:
        response = await fetch(server.address, request_bytes(b"hello", path="/a?b=1", headers="X-Y: z\r\n"))
    assert response.body == b"HELLO/a?b=1z"


async def test_requests_are_remembered_as_they_came() -> None:
    async with ReplayServer(plain(b"")) as server:
        async with await trio.open_tcp_stream(*server.address) as stream:
            for byte in request_bytes(b'{"model":"m"}', path="/v1/x?y=z", headers="Accept: */*\r\nAccept: b\r\n"):
                await stream.send_all(bytes((byte,)))
            await read_response(stream)
        await fetch(server.address)
        first, second = server.requests
    assert (first.method, first.target, first.body) == ("POST", "/v1/x?y=z", b'{"model":"m"}')
    assert first.headers == [(b"host", b"test"), (b"content-length", b"13"), (b"accept", b"*/*"), (b"accept", b"b")]
    assert (first.connection, second.connection) == (1, 2)


async def test_only_the_last_requests_are_kept() -> None:
    async with ReplayServer(plain(b""), keep=2) as server:
        for number in range(4):
            await fetch(server.address, request_bytes(b"%d" % number))
        assert [request.body for request in server.requests] == [b"2", b"3"]
        assert server.received == 4


async def test_a_connection_serves_many_requests() -> None:
    async with ReplayServer([Play(TEXT), Play(WHOLE), Play(TEXT)]) as server:
        async with await trio.open_tcp_stream(*server.address) as stream:
            for expected in (TEXT, WHOLE, TEXT):
                await stream.send_all(request_bytes())
                assert (await read_response(stream)).body == expected.response.body
            assert server.open_connections == 1
        assert server.accepted == 1


async def test_pipelined_requests_are_answered_in_order_and_are_bounded() -> None:
    async with ReplayServer(lambda request: plain(request.body)) as server:
        async with await trio.open_tcp_stream(*server.address) as stream:
            await stream.send_all(request_bytes(b"one") + request_bytes(b"two"))
            received = b""
            while not received.endswith(b"two"):
                received += await stream.receive_some()
            assert received.index(b"one") < received.index(b"two")
        async with await trio.open_tcp_stream(*server.address) as stream:
            await stream.send_all(request_bytes(b"x") * (2 * MAX_PIPELINED))
            with trio.fail_after(5):
                while await stream.receive_some():
                    pass


@pytest.mark.parametrize("fault", [Stall(BEFORE_HEAD), Stall(after_events(2))], ids=["silent", "mid-stream"])
@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_it_sees_at_once_that_the_peer_is_gone(fault: Stall, how: str) -> None:
    async with ReplayServer(Play(TEXT, fault=fault)) as server:
        stream = await trio.open_tcp_stream(*server.address)
        await stream.send_all(request_bytes())
        with trio.fail_after(5):
            exchange = await server.wait_received()
            await exchange.completed.wait()
            assert server.open_connections == 1
            assert not exchange.peer_closed.is_set()
            left = exchange.bytes_written
            while left:  # a socket that is closed with bytes unread is reset, not closed
                left -= len(await stream.receive_some())
            if how == "reset":
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            closed = trio.current_time()
            stream.socket.close()
            await exchange.peer_closed.wait()
            await exchange.ended.wait()
            while server.open_connections:
                await trio.lowlevel.checkpoint()
        assert exchange.peer_reset == (how == "reset")
        assert exchange.peer_closed.time is not None
        assert exchange.peer_closed.time >= closed
        assert exchange.started.time is not None
        assert exchange.started.time <= closed


async def test_it_notices_a_peer_that_leaves_between_slow_writes() -> None:
    async with ReplayServer(Play(TEXT, DELIVERIES["slow-drip"])) as server:
        stream = await trio.open_tcp_stream(*server.address)
        await stream.send_all(request_bytes())
        await stream.receive_some()
        await stream.aclose()
        with trio.fail_after(5):
            exchange = await server.wait_received()
            await exchange.peer_closed.wait()
            await exchange.ended.wait()
        assert not exchange.completed.is_set()
        assert exchange.bytes_written < len(TEXT.response.body)


async def test_bytes_written_counts_the_wire() -> None:
    async with ReplayServer(Play(TEXT)) as server:
        response = await fetch(server.address)
        exchange = server.exchanges[0]
        await exchange.ended.wait()
    assert exchange.bytes_written == sum(map(len, response.reads))
    assert exchange.completed.is_set()


async def test_a_peer_that_does_not_read_holds_only_its_own_connection() -> None:
    large = Play(Answer(body=b"x" * 20_000_000))
    async with ReplayServer(lambda request: large if request.body == b"large" else plain(b"small")) as server:
        deaf = await trio.open_tcp_stream(*server.address)
        await deaf.send_all(request_bytes(b"large"))
        exchange = await server.wait_received()
        assert (await fetch(server.address)).body == b"small"
        assert not exchange.completed.is_set()
        await deaf.aclose()
        with trio.fail_after(5):
            await exchange.peer_closed.wait()


async def test_leaving_the_block_closes_every_connection() -> None:
    async with ReplayServer(Play(TEXT, fault=FAULTS["silent"])) as server:
        stream = await trio.open_tcp_stream(*server.address)
        await stream.send_all(request_bytes())
        await server.wait_received()
    with trio.fail_after(5):
        assert await stream.receive_some() == b""
    await stream.aclose()
    assert server.open_connections == 0


async def test_run_in_a_nursery() -> None:
    server = ReplayServer(plain(b"hi"))
    async with trio.open_nursery() as nursery:
        assert await nursery.start(server.run) == server.url
        assert (await fetch(server.address)).body == b"hi"
        nursery.cancel_scope.cancel()


async def test_a_failed_assertion_in_the_block_stays_itself() -> None:
    with pytest.raises(KeyError):
        async with ReplayServer(plain(b"")):
            raise KeyError("mine")


async def test_a_port_that_is_taken_is_an_ordinary_error() -> None:
    async with ReplayServer(plain(b"")) as server:
        with pytest.raises(OSError, match="in use"):
            async with ReplayServer(plain(b""), port=server.address[1]):
                pass


async def test_an_outer_deadline_goes_through() -> None:
    with trio.move_on_after(0.05) as scope:
        async with ReplayServer(plain(b"")):
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_an_error_in_the_script_is_not_hidden() -> None:
    def script(request: ReceivedRequest) -> Play:
        raise LookupError("no such recording")

    with pytest.RaisesGroup(pytest.RaisesExc(LookupError), flatten_subgroups=True):
        async with ReplayServer(script) as server:
            await fetch(server.address)
            await trio.sleep(5)


async def test_what_is_not_http_ends_only_its_connection() -> None:
    async with ReplayServer(plain(b"fine")) as server:
        async with await trio.open_tcp_stream(*server.address) as stream:
            await stream.send_all(b"\x16\x03\x01 what is this\r\n\r\n")
            with trio.fail_after(5):
                assert await stream.receive_some() == b""
        assert (await fetch(server.address)).body == b"fine"


async def test_more_connections_than_the_limit_wait() -> None:
    async with ReplayServer(plain(b"x"), max_connections=1) as server:
        first = await trio.open_tcp_stream(*server.address)
        await first.send_all(request_bytes())
        await read_response(first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetch, server.address)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert server.received == 1
            await first.aclose()
        assert server.received == 2


@pytest.mark.parametrize("fault", [None, FAULTS["reset-in-event"]], ids=["whole", "reset"])
async def test_over_tls(fault: None) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with ReplayServer(Play(TEXT, DELIVERIES["bytes-7"], fault), ssl_context=context) as server:
        assert server.url.startswith("https://")
        stream = await trio.open_ssl_over_tcp_stream(*server.address, ssl_context=trusting, https_compatible=True)
        await stream.send_all(request_bytes())
        response = await read_response(stream)  # type: ignore[arg-type]
        await trio.aclose_forcefully(stream)
    if fault is None:
        assert response.body == TEXT.response.body
    else:
        assert response.reset
        assert 0 < len(response.body) < len(TEXT.response.body)
