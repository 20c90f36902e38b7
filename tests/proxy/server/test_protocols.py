"""What is not plain HTTP/1.1: TLS, HTTP/2 by ALPN and by prior knowledge, WebSockets."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import h2.events
import httpx
import pytest
import trio

from tests.proxy.server.conftest import Certificates
from tests.proxy.server.support import (
    GET,
    App,
    H2Client,
    HttpReader,
    ask,
    connected,
    echo,
    read_body,
    read_until,
    reply,
    serving,
)


def tls(certificates: Certificates) -> dict[str, Any]:
    return {"certfile": certificates.certfile, "keyfile": certificates.keyfile}


async def tells_version(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = await read_body(receive)
    await reply(send, f"{scope['http_version']} {scope['scheme']} {len(body)}".encode())


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)])
async def test_tls(certificates: Certificates, alpn: tuple[str, ...]) -> None:
    async with serving(tells_version, **tls(certificates)) as server:
        async with connected(server.port, certificates.client(*alpn)) as stream:
            reader = HttpReader(stream)
            for size in (0, 10, 300_000):
                head = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: %d\r\n\r\n" % size
                await stream.send_all(head + bytes(size))
                assert (await reader.answer()).body == b"1.1 https %d" % size


async def test_tls_with_large_answers(certificates: Certificates) -> None:
    data = bytes(range(256)) * 20_000

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await reply(send, data)

    async with serving(handler, **tls(certificates)) as server:
        async with connected(server.port, certificates.client()) as stream:
            reader = HttpReader(stream)
            for _ in range(2):
                await stream.send_all(GET)
                assert (await reader.answer()).body == data


async def test_no_http2_by_alpn_when_it_is_off(certificates: Certificates) -> None:
    async with serving(tells_version, http2=False, **tls(certificates)) as server:
        async with connected(server.port, certificates.client("h2", "http/1.1")) as stream:
            assert isinstance(stream, trio.SSLStream)
            assert stream.selected_alpn_protocol() == "http/1.1"


async def test_plain_addresses_beside_tls(certificates: Certificates) -> None:
    app = App(tells_version)
    shutdown = trio.Event()
    from proxy.server import ServerSettings, serve_in_task

    settings = ServerSettings(bind=["127.0.0.1:0"], insecure_bind=["127.0.0.1:0"], **tls(certificates))

    async def run(task_status: trio.TaskStatus[list[int]]) -> None:
        await serve_in_task(app, settings, shutdown=shutdown, task_status=task_status)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            secure, plain = await nursery.start(run)
            async with connected(secure, certificates.client()) as stream:
                await stream.send_all(GET)
                assert (await HttpReader(stream).answer()).body == b"1.1 https 0"
            assert (await ask(plain, GET)).body == b"1.1 http 0"
            shutdown.set()


async def test_client_certificates(certificates: Certificates, tmp_path: Any) -> None:
    settings = {**tls(certificates), "ca_certs": certificates.ca_file}
    async with serving(tells_version, **settings) as server:
        with pytest.raises((trio.BrokenResourceError, EOFError, ssl.SSLError)):
            async with connected(server.port, certificates.client()) as stream:
                await stream.send_all(GET)
                await HttpReader(stream).answer()
        context = certificates.client()
        certificates.authority.issue_cert("client@example.org").configure_cert(context)
        async with connected(server.port, context) as stream:
            await stream.send_all(GET)
            assert (await HttpReader(stream).answer()).status == 200


async def test_plain_http_to_a_tls_port_harms_nobody(certificates: Certificates) -> None:
    async with serving(tells_version, **tls(certificates)) as server:
        async with connected(server.port) as stream:
            await stream.send_all(GET)
        async with connected(server.port, certificates.client()) as stream:
            await stream.send_all(GET)
            assert (await HttpReader(stream).answer()).status == 200


async def test_httpx_over_both(certificates: Certificates) -> None:
    async with serving(echo, **tls(certificates)) as server:
        for http2 in (False, True):
            async with httpx.AsyncClient(http2=http2, verify=certificates.client()) as client:
                for size in (0, 100_000):
                    response = await client.post(f"https://127.0.0.1:{server.port}/", content=bytes(size))
                    assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
                    assert response.content == bytes(size)


# -- HTTP/2 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 24, 10_000])
async def test_http2_by_prior_knowledge(size: int) -> None:
    """However the preface arrives."""
    async with serving(tells_version) as server, connected(server.port) as stream:
        client = H2Client(stream)
        client.connection.initiate_connection()
        stream_id = client.connection.get_next_available_stream_id()
        headers = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "test")]
        client.connection.send_headers(stream_id, headers)
        client.connection.send_data(stream_id, b"abc", end_stream=True)
        data = client.connection.data_to_send()
        for at in range(0, len(data), size):
            await stream.send_all(data[at : at + size])
            await trio.lowlevel.checkpoint()
        assert (await client.wait_for(h2.events.DataReceived)).data == b"2 http 3"


async def test_no_preface_when_http2_is_off() -> None:
    async with serving(echo, http2=False) as server:
        assert (await ask(server.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).status == 505


async def test_the_preface_is_only_taken_at_the_beginning() -> None:
    async with serving(echo) as server, connected(server.port) as stream:
        await stream.send_all(GET + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        reader = HttpReader(stream)
        assert (await reader.answer()).status == 200
        assert (await reader.answer()).status == 505


async def test_large_http2_answers_arrive_whole() -> None:
    data = bytes(range(256)) * 2_000 + b"end"

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await reply(send, data)

    async with serving(handler) as server, connected(server.port) as stream:
        client = H2Client(stream)
        await client.start()
        stream_id = await client.request()
        await client.wait_for(h2.events.StreamEnded, stream_id)
        received = b"".join(event.data for event in client.events if isinstance(event, h2.events.DataReceived))
        assert received == data


async def test_an_http2_body_behind_its_answer_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """Hypercorn raises `KeyError` there, which takes the whole worker along."""

    async def refuses(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await reply(send, b"no", status=413)

    async with serving(refuses) as server, connected(server.port) as stream:
        client = H2Client(stream)
        await client.start()
        for _ in range(5):  # more than one connection window in all
            stream_id = await client.request(method="POST", end=False)
            await client.wait_for(h2.events.StreamEnded, stream_id)
            client.connection.send_data(stream_id, bytes(16_000))
            await client.flush()
            client.connection.send_data(stream_id, bytes(10), end_stream=True)
            await client.flush()
            await trio.sleep(0.02)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_http2_garbage_ends_only_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(echo) as server:
        async with connected(server.port) as stream:
            await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(range(256)) * 10)
            while await stream.receive_some(65536):
                pass
        assert (await ask(server.port, GET)).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# -- WebSockets -------------------------------------------------------------------------------------------------------

UPGRADE = (
    b"GET /socket HTTP/1.1\r\nhost: test\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def sockets(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await echo(scope, receive, send)
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    message = await receive()
    await send({"type": "websocket.send", "text": "heard " + message["text"]})
    await send({"type": "websocket.close"})


@pytest.mark.parametrize("before", [b"", GET])
async def test_websocket(before: bytes) -> None:
    """The upgrade comes first, or right behind another request."""
    async with serving(sockets) as server, connected(server.port) as stream:
        await stream.send_all(before + UPGRADE)
        reader = HttpReader(stream)
        if before:
            assert (await reader.answer()).status == 200
        assert (await reader.head())[0] == 101
        await stream.send_all(b"\x81\x83\x00\x00\x00\x00abc")
        assert await reader.exactly(11) == b"\x81\x09heard abc"


async def test_websocket_over_tls(certificates: Certificates) -> None:
    async with serving(sockets, **tls(certificates)) as server:
        async with connected(server.port, certificates.client()) as stream:
            await stream.send_all(UPGRADE)
            assert b" 101 " in await read_until(stream, b"\r\n\r\n")
            await stream.send_all(b"\x81\x83\x00\x00\x00\x00abc")
            assert (await stream.receive_some(100)).startswith(b"\x81\x09heard abc")
