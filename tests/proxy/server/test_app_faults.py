"""What an app does wrong, or what is done to it: the answer that its client gets, and what is logged."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import trio

from proxy.server import ClientDisconnectedError
from tests.proxy.server.support import (
    GET,
    HttpReader,
    ask,
    body,
    connected,
    read_all,
    request,
    sends,
    serving,
    start,
)


async def fails_before(scope: dict[str, Any], receive: Any, send: Any) -> None:
    raise LookupError("secret detail")


async def fails_after_start(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start((b"x-a", b"1")))
    raise LookupError("secret detail")


async def fails_in_group(scope: dict[str, Any], receive: Any, send: Any) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails_before, scope, receive, send)


async def sends_nothing(scope: dict[str, Any], receive: Any, send: Any) -> None:
    pass


async def smuggles(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start((b"x-a", b"1\r\nx-b: 2")))


async def smuggles_name(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start((b"x-a\nb", b"1")))


async def bad_length(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start((b"content-length", b"1"), (b"content-length", b"2")))


async def too_long(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start((b"content-length", b"1")))
    await send(body(b"abc"))


async def body_first(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(body(b"abc"))


async def informational(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start(status=103))


@pytest.mark.parametrize(
    "handler",
    [
        fails_before,
        fails_after_start,
        fails_in_group,
        sends_nothing,
        smuggles,
        smuggles_name,
        bad_length,
        body_first,
        informational,
    ],
    ids=lambda handler: handler.__name__,
)
async def test_a_fault_before_the_first_byte_is_a_500(handler: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(handler) as server:
        answer = await ask(server.port, GET)
        assert answer.status == 500
        assert json.loads(answer.body)["error"]["type"] == "server_error"
        assert b"secret" not in answer.body
        assert (await ask(server.port, GET)).status == 500  # the server itself is well
    assert [record.levelno for record in caplog.records if record.name == "triway.server"].count(logging.ERROR) == 2


async def fails_in_stream(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start())
    await send(body(b"abc", more=True))
    raise LookupError


async def stops_in_stream(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start())
    await send(body(b"abc", more=True))


async def too_much_later(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start((b"content-length", b"4")))
    await send(body(b"abc", more=True))
    await send(body(b"de"))


async def too_little(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(start((b"content-length", b"4")))
    await send(body(b"abc", more=True))
    await send(body(b""))


@pytest.mark.parametrize(
    "handler", [fails_in_stream, stops_in_stream, too_much_later, too_little], ids=lambda handler: handler.__name__
)
async def test_a_fault_in_mid_stream_cuts_it(handler: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(handler) as server, connected(server.port) as stream:
        await stream.send_all(GET)
        data = await read_all(stream)
        assert b"abc" in data
        assert not data.endswith((b"0\r\n\r\n", b"de"))
    assert any(record.levelno == logging.ERROR for record in caplog.records)


async def test_a_cut_stream_to_http_1_0_is_a_reset() -> None:
    """Where the connection's end is the body's, a FIN would make the cut answer a whole one."""
    async with serving(fails_in_stream) as server, connected(server.port) as stream:
        await stream.send_all(request(version=b"1.0"))
        with pytest.raises(trio.BrokenResourceError):
            while await stream.receive_some(100):
                pass


async def test_a_start_alone_is_an_empty_response() -> None:
    async with serving(sends(start(status=202))) as server, connected(server.port) as stream:
        await stream.send_all(GET * 2)
        reader = HttpReader(stream)
        for _ in range(2):
            answer = await reader.answer()
            assert (answer.status, answer.body) == (202, b"")


async def test_messages_out_of_place_raise_in_the_app() -> None:
    raised: list[type[Exception]] = []

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        for message in (
            {"type": "http.response.nonsense"},
            start(),
            start(),
            body(b"x"),
            body(b"y"),
        ):
            try:
                await send(message)
            except RuntimeError as error:
                raised.append(type(error))

    async with serving(handler) as server:
        assert (await ask(server.port, GET)).body == b"x"
    assert raised == [RuntimeError] * 3


async def test_a_sender_to_a_client_that_left_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    reasons: list[str] = []
    done = trio.Event()

    async def handler(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"x", more=True))
                await trio.sleep(0.001)
        except ClientDisconnectedError as error:
            reasons.append(error.reason)
            done.set()
            raise

    async with serving(handler) as server:
        async with connected(server.port) as stream:
            await stream.send_all(GET)
            await stream.receive_some(100)
        await done.wait()
    assert reasons == ["disconnect"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
