"""Requests over loopback keep-alive, server and client in a process each. Measures; asserts no speed.

Compare the CPU of the client: requests a second depend on the server and on what else the machine does. All clients
may keep as many connections. `/stream` is 100 chunks that the server sends at once, `/events` the same chunks one by
one: the first costs parsing, the second a wake-up an event as well.

python -m tests.providers.transport.benchmark [seconds]
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable

import httpx
import trio

from providers.transport import ConnectionPool, HTTPXUpstream, TrioTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: 1\r\ncontent-length: 500\r\n\r\n"
ANSWER = HEAD + b"x" * 500
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"token "}}]}\n\n'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
STREAM = STREAM_HEAD + CHUNK * 100 + b"0\r\n\r\n"
BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"hello " * 50 + b'"}]}'
HEADERS = [(b"authorization", b"Bearer key"), (b"content-type", b"application/json"), (b"user-agent", b"bench")]

Request = Callable[[bytes], Awaitable[int]]
"""Returns the size of the body."""


def serve(listener: socket.socket) -> None:
    """A cheap server: a request is over when it ends as `BODY` does. (httpx sends head and body apart.)"""

    async def connection(stream: trio.SocketStream) -> None:
        head = b""
        async for data in stream:
            head = head or bytes(data[:40])
            if data.endswith(BODY[-9:]):
                if b" /v1/events " in head:
                    await stream.send_all(STREAM_HEAD)
                    for _ in range(100):
                        await stream.send_all(CHUNK)
                        await trio.sleep(0.0005)
                    await stream.send_all(b"0\r\n\r\n")
                else:
                    await stream.send_all(STREAM if b" /v1/stream " in head else ANSWER)
                head = b""

    async def main() -> None:
        await trio.serve_listeners(connection, [trio.SocketListener(trio.socket.from_stdlib_socket(listener))])

    trio.run(main)


async def measure(name: str, request: Request, target: bytes, seconds: float, tasks: int) -> None:
    count = 0
    whole = 500 if target == b"/plain" else 100 * len(EVENT)
    for _ in range(20):
        await request(target)
    start = time.perf_counter()
    cpu = time.process_time()

    async def loop() -> None:
        nonlocal count
        while time.perf_counter() - start < seconds:
            assert await request(target) == whole, "a body was not whole"
            count += 1

    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(loop)
    spent = time.perf_counter() - start
    cost = (time.process_time() - cpu) / count * 1e6
    print(f"{name:34} {target.decode():8} {tasks:3} at once {count / spent:9.0f}/s {cost:8.1f} us of client CPU each")


async def compare(url: str, seconds: float) -> None:
    def of_upstream(upstream: ConnectionPool | HTTPXUpstream) -> Request:
        async def request(target: bytes) -> int:
            size = 0
            response = await upstream.request(b"POST", target, HEADERS, BODY)
            while data := await response.receive():
                size += len(data)
            response.close()
            return size

        return request

    def of_client(client: httpx.AsyncClient) -> Request:
        headers = {name.decode(): value.decode() for name, value in HEADERS}

        async def request(target: bytes) -> int:
            size = 0
            async with client.stream("POST", url + target.decode(), headers=headers, content=BODY) as response:
                async for data in response.aiter_raw():
                    size += len(data)
            return size

        return request

    pool = ConnectionPool(url, trust_env=False)
    upstream = HTTPXUpstream(url, http2=False, trust_env=False)
    ours = httpx.AsyncClient(transport=TrioTransport(max_idle=100, trust_env=False), timeout=None)
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    stock = httpx.AsyncClient(trust_env=False, timeout=None, limits=limits)
    for target in (b"/plain", b"/stream", b"/events"):
        for tasks in (1, 32):
            await measure("ConnectionPool", of_upstream(pool), target, seconds, tasks)
            await measure("httpx on TrioTransport", of_client(ours), target, seconds, tasks)
            await measure("HTTPXUpstream (HTTP/1.1)", of_upstream(upstream), target, seconds, tasks)
            await measure("httpx, stock", of_client(stock), target, seconds, tasks)
    await pool.aclose()
    await upstream.aclose()
    await ours.aclose()
    await stock.aclose()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        child = os.fork()
        if not child:
            serve(listener)
        port = listener.getsockname()[1]
    try:
        trio.run(compare, f"http://127.0.0.1:{port}/v1", seconds)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
