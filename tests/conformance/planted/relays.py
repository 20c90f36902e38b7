"""A plain reverse proxy in a hundred lines, and the same with one fault each: gateways that the suite meets by URL."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httptools
import trio

from conformance.replay.background import Background


class _Message:
    """A request or a response's head, as httptools tells it."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.url = b""
        self.head_done = self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.head_done = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True

    def take(self) -> bytes:
        data = bytes(self.body)
        self.body.clear()
        return data


_OURS = (b"connection", b"transfer-encoding", b"content-length", b"host")


class Relay:
    """One request on a connection; the body goes on as it comes. Subclasses do something of that badly."""

    ahead: float = 0
    """How many pieces may wait for the client."""

    def status(self, status: int) -> int:
        return status

    def piece(self, data: bytes) -> bytes:
        """What is passed on for `data`."""
        return data

    def ending(self, whole: bool) -> bytes:
        """What comes after the last byte, before the body's end."""
        return b""

    def lets_go(self) -> bool:
        """Whether the provider's connection is closed when the client leaves."""
        return True

    def ends_well(self, whole: bool) -> bool:
        return whole

    async def serve(self, client: trio.SocketStream, upstream: tuple[str, int]) -> None:
        request = _Message()
        parser = httptools.HttpRequestParser(request)
        while not request.complete:
            data = await client.receive_some(65536)
            if not data:
                return
            parser.feed_data(data)
        async with await trio.open_tcp_stream(*upstream) as provider:
            headers = [pair for pair in request.headers if pair[0] not in _OURS]
            head = [b"POST %b HTTP/1.1" % request.url, b"host: x", b"connection: close"]
            head += [b"content-length: %d" % len(request.body), *(b"%b: %b" % pair for pair in headers)]
            await provider.send_all(b"\r\n".join([*head, b"", b""]) + request.body)
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch, client, scope)
                    await self._pass_on(client, provider)
                    scope.cancel()

    async def _watch(self, client: trio.SocketStream, scope: trio.CancelScope) -> None:
        with suppress(trio.BrokenResourceError):
            await client.receive_some(1)
        if self.lets_go():
            scope.cancel()

    async def _pass_on(self, client: trio.SocketStream, provider: trio.SocketStream) -> None:
        response = _Message()
        parser = httptools.HttpResponseParser(response)
        send, receive = trio.open_memory_channel[bytes](self.ahead)
        begun = False

        async def read() -> None:
            nonlocal begun
            async with send:
                while not response.complete:
                    try:
                        data = await provider.receive_some(65536)
                    except trio.BrokenResourceError:
                        data = b""
                    if not data:
                        break
                    parser.feed_data(data)
                    if response.head_done and not begun:
                        begun = True
                        head = [b"HTTP/1.1 %d X" % self.status(parser.get_status_code()), b"connection: close"]
                        head.append(b"transfer-encoding: chunked")
                        head += [b"%b: %b" % pair for pair in response.headers if pair[0] not in _OURS]
                        await send.send(b"\r\n".join([*head, b"", b""]))
                    if body := self.piece(response.take()):
                        await send.send(_chunk(body))
                sized = any(name in (b"content-length", b"transfer-encoding") for name, _ in response.headers)
                whole = response.complete or (begun and not sized)
                if not begun:
                    await send.send(b"HTTP/1.1 502 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                elif self.ends_well(whole):
                    last = self.piece(b"") + self.ending(whole)
                    await send.send((_chunk(last) if last else b"") + b"0\r\n\r\n")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            gone = False
            async with receive:
                async for data in receive:
                    if gone:
                        continue
                    try:
                        await client.send_all(data)
                    except trio.BrokenResourceError:
                        gone = True
                        if self.lets_go():
                            nursery.cancel_scope.cancel()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class EndsEveryStreamWell(Relay):
    """Sends [DONE], and the end of the body, after a cut."""

    def ending(self, whole: bool) -> bytes:
        return b"" if whole else b"\n\ndata: [DONE]\n\n"

    def ends_well(self, whole: bool) -> bool:
        return True


class EndsCutsInGoodOrder(Relay):
    """Ends the body of an answer that broke off as if that were all: no terminator, and no error either."""

    def ends_well(self, whole: bool) -> bool:
        return True


class Buffers(Relay):
    """Sends nothing until the provider is done."""

    def __init__(self) -> None:
        self._kept: dict[object, bytearray] = {}

    def piece(self, data: bytes) -> bytes:
        task = trio.lowlevel.current_task()
        if not data:
            return bytes(self._kept.pop(task, b""))
        self._kept.setdefault(task, bytearray()).extend(data)
        return b""


class MakesNoSense(Relay):
    """Puts a text where the API has a list."""

    def piece(self, data: bytes) -> bytes:
        return data.replace(b'"choices": [', b'"choices": "nope", "x": [').replace(
            b'"choices":[', b'"choices":"nope","x":['
        )


class SendsHalfACharacter(Relay):
    """Puts one half of a pair of surrogates into the names of ids."""

    def piece(self, data: bytes) -> bytes:
        return data.replace(b'"id":"', rb'"id":"\ud83d').replace(b'"id": "', rb'"id": "\ud83d')


class NestsDeeply(Relay):
    """Adds a member in which nine hundred lists lie in each other."""

    def piece(self, data: bytes) -> bytes:
        deep = b'"deep":' + b"[" * 900 + b"]" * 900 + b","
        return data.replace(b'"id":"', deep + b'"id":"').replace(b'"id": "', deep + b'"id": "')


class NeverAnswers(Relay):
    """Asks the provider, and says nothing to the client, ever."""

    async def _pass_on(self, client: trio.SocketStream, provider: trio.SocketStream) -> None:
        await trio.sleep_forever()


class OfEachRequest(Relay):
    """A relay that keeps bytes of each request."""

    def __init__(self) -> None:
        self._kept: dict[object, bytes] = {}

    def keep(self, data: bytes) -> None:
        self._kept[trio.lowlevel.current_task()] = data

    def take(self) -> bytes:
        return self._kept.pop(trio.lowlevel.current_task(), b"")


class HoldsBack(OfEachRequest):
    """Keeps a piece until the next one comes."""

    def piece(self, data: bytes) -> bytes:
        held = self.take()
        if data:
            self.keep(data)
        return held


class DropsNamedEvents(OfEachRequest):
    """Knows of `data:` lines alone, and drops an event that has another name."""

    def piece(self, data: bytes) -> bytes:
        held = self.take()
        start, found, rest = (held + data).partition(b"event:")
        if not found:
            return held + data
        _, end, after = rest.partition(b"\n\n")
        if end or not data:
            return start + after
        self.keep(found + rest)
        return start


class DecodesEachRead(Relay):
    """Makes text of each read, so a character that lies across two is lost."""

    def piece(self, data: bytes) -> bytes:
        return data.decode("utf-8", "replace").encode()


class ReadsItAllAgain(OfEachRequest):
    """Looks at the whole answer again, line by line, with each read."""

    def piece(self, data: bytes) -> bytes:
        seen = self.take() + data
        if data:
            self.keep(seen)
        for line in seen.splitlines():
            with suppress(ValueError):
                json.loads(line.removeprefix(b"data: "))
        return data


class ReadsOn(Relay):
    """Does not close the provider's connection when the client leaves."""

    def lets_go(self) -> bool:
        return False


class ReadsAhead(Relay):
    """Takes all that the provider has, whatever the client takes."""

    ahead = math.inf


class AlwaysFine(Relay):
    """Answers every error of the provider with status 500."""

    def status(self, status: int) -> int:
        return 500 if status >= 400 else status


@asynccontextmanager
async def serving(relay: Relay, url: str) -> AsyncIterator[str]:
    """The relay on a free port, in front of `url`."""
    parts = urlsplit(url)
    upstream = (parts.hostname or "", parts.port or 80)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def handle(client: trio.SocketStream) -> None:
        async with client:
            try:
                await relay.serve(client, upstream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def run(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, handle, listeners)
            task_status.started()

    async with Background(run):
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
