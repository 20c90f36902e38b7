"""A client on a bare socket: it sends a request and then reads, stalls or vanishes exactly when the test says."""

from __future__ import annotations

import json
import socket
import struct
from types import TracebackType
from typing import Any

import trio

from tests.support.gateway import HI

PATHS = {"openai-chat": "/v1/chat/completions", "anthropic-messages": "/v1/messages"}


def body_for(api: str, *, model: str = "m", stream: bool = True, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": HI, "stream": stream, **more}
    if api == "anthropic-messages":
        body["max_tokens"] = 100
    return body


class RawClient:
    """One connection. Everything read so far is in `received`."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self._port = port
        self._receive_buffer = receive_buffer
        self.received = b""

    async def __aenter__(self) -> RawClient:
        sock = socket.socket()
        if self._receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        sock.setblocking(False)
        self._sock = trio.socket.from_stdlib_socket(sock)
        await self._sock.connect(("127.0.0.1", self._port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sock.close()

    async def send(self, data: bytes) -> None:
        while data:
            data = data[await self._sock.send(data) :]

    async def ask(self, api: str = "openai-chat", headers: dict[str, str] | None = None, **more: Any) -> None:
        """Send a request for a completion."""
        body = json.dumps(body_for(api, **more)).encode()
        lines = [
            f"POST {PATHS[api]} HTTP/1.1",
            "host: test",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def read(self) -> bytes:
        """What comes next; b"" at the end, or when the connection was reset."""
        try:
            data = await self._sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.received += data
        return data

    async def read_until(self, marker: bytes) -> None:
        """Read on until `marker` has come. Fails if the connection ends before."""
        while marker not in self.received:
            assert await self.read(), f"ended before {marker!r}: {self.received[-300:]!r}"

    async def read_to_end(self) -> bytes:
        while await self.read():
            pass
        return self.received

    def leave(self, *, reset: bool = False) -> None:
        """Close at once, by FIN or by RST."""
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
