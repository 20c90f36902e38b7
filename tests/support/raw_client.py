"""An HTTP client that hides nothing: a trio socket, every read as it came, and h11's word on whether it was HTTP."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import h11
import trio


@dataclass
class RawResponse:
    """What came back on the connection."""

    reads: list[bytes] = field(default_factory=list)
    """The bytes of each read."""
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    """Without HTTP chunks and content encoding, as far as it came."""
    complete: bool = False
    """HTTP says that the body is whole."""
    reset: bool = False
    """The connection was reset."""
    silent: bool = False
    """Nothing more came for `patience` seconds, and the connection was still open."""


def request_bytes(body: bytes = b"{}", *, path: str = "/v1/chat/completions", headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


async def read_response(stream: trio.SocketStream, *, patience: float = 5.0) -> RawResponse:
    """Read one response, until it is complete or the connection ends."""
    response = RawResponse()
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="POST", target="/", headers=[("host", "test"), ("content-length", "0")]))
    http.send(h11.EndOfMessage())
    body: list[bytes] = []
    while not response.complete:
        data = None
        try:
            with trio.move_on_after(patience) as scope:
                data = bytes(await stream.receive_some(65536))
        except trio.BrokenResourceError:
            response.reset = True
            break
        if scope.cancelled_caught:
            response.silent = True
            break
        assert data is not None
        if data:
            response.reads.append(data)
        try:
            http.receive_data(data)
            while (event := http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Response):
                    response.status = event.status_code
                    response.headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    response.complete = True
                    break
                elif isinstance(event, h11.ConnectionClosed):
                    break
        except h11.RemoteProtocolError:
            # h11 says so when the connection ends inside a body.
            assert not data, "the server wrote something that is not HTTP"
        if not data:
            break
    response.body = b"".join(body)
    if response.headers.get("content-encoding") == "gzip":
        decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
        response.body = decompressor.decompress(response.body)
        response.complete = response.complete and decompressor.eof
    return response


async def fetch(address: tuple[str, int], request: bytes | None = None, *, patience: float = 5.0) -> RawResponse:
    """One request on a connection of its own."""
    async with await trio.open_tcp_stream(*address) as stream:
        await stream.send_all(request if request is not None else request_bytes())
        return await read_response(stream, patience=patience)
