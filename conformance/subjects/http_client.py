"""An HTTP/1.1 client on a bare trio socket, so that it reads, stalls and leaves exactly when the suite says."""

from __future__ import annotations

import socket
import struct
import zlib
from collections.abc import Mapping
from urllib.parse import urlsplit

import httptools
import trio

from conformance.answered import Answered, Failure, read_stream, read_whole
from conformance.subjects.base import Question
from conformance.wires import WireFormat

READ_BYTES = 64 * 1024
HELD_RECEIVE_BUFFER = 4096
"""Receive buffer of a caller that holds: what the kernel takes says nothing about the subject."""
_NO_CONNECTION = "no connection"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Response:
    """Fed by httptools."""

    def __init__(self, question: Question) -> None:
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.complete = False
        self._on_data = question.on_data
        self._unzip: zlib._Decompress | None = None
        self.parser = httptools.HttpResponseParser(self)

    @property
    def status(self) -> int:
        return int(self.parser.get_status_code())

    @property
    def sized(self) -> bool:
        """Whether HTTP itself says where the body ends."""
        return "content-length" in self.headers or "transfer-encoding" in self.headers

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self.headers.get("content-encoding") == "gzip":
            self._unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def on_body(self, data: bytes) -> None:
        if self._unzip is not None:
            data = self._unzip.decompress(data)
        self.pieces.append(data)
        if self._on_data is not None and data:
            self._on_data(data)

    def on_message_complete(self) -> None:
        self.complete = True


class Address:
    """Where a subject listens: `http://host:port/prefix`. Raises ValueError for anything else."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url}: expected http://host:port (put TLS in front of nothing that is to be measured)")
        self.url = url.rstrip("/")
        self.host = parts.hostname
        self.port = parts.port or 80
        self.prefix = parts.path.rstrip("/")
        self.authority = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def post(
    address: Address, wire: WireFormat, path: str, body: bytes, headers: Mapping[str, str], question: Question
) -> Answered:
    """One request on a connection of its own. Cancellation closes it at once, by FIN or by RST."""
    try:
        found = await trio.socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Answered(failure=Failure(message=f"{_NO_CONNECTION}: {error}", shaped=False))
    answered = Answered()
    for family, _, _, _, place in found:
        answered = await _post(family, place, address, wire, path, body, headers, question)
        if answered.failure is None or not answered.failure.message.startswith(_NO_CONNECTION):
            break
    return answered


async def _post(
    family: int,
    place: object,
    address: Address,
    wire: WireFormat,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    question: Question,
) -> Answered:
    sock = trio.socket.socket(family)
    try:
        if question.hold is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD_RECEIVE_BUFFER)
        if question.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        try:
            await sock.connect(place)
        except OSError as error:
            return Answered(failure=Failure(message=f"{_NO_CONNECTION}: {error}", shaped=False))
        lines = [
            f"POST {address.prefix}{path} HTTP/1.1",
            f"host: {address.authority}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
            *(f"{name}: {value}" for name, value in {**wire.headers, **headers}.items()),
        ]
        data = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        while data:
            data = data[await sock.send(data) :]
        if question.hold is not None:
            await question.hold.wait()
        return await _read(sock, wire, question)
    finally:
        sock.close()


async def _read(sock: trio.socket.SocketType, wire: WireFormat, question: Question) -> Answered:
    response = _Response(question)
    broken = ""
    while not response.complete:
        try:
            data = await sock.recv(READ_BYTES)
            if not data:
                break
            response.parser.feed_data(data)
        except ConnectionResetError:
            broken = "the connection was reset"
            break
        except (httptools.HttpParserError, zlib.error) as error:
            broken = f"what came is not HTTP: {error}"
            break
    if not response.headers:
        return Answered(failure=Failure(message=broken or "the connection ended without an answer", shaped=False))
    body = b"".join(response.pieces)
    status = response.status
    whole = response.complete or not (broken or response.sized)
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    streamed = media_type == wire.framing.content_type
    if streamed and status < 400:
        answered = read_stream(wire, body, broken=not whole)
    else:
        answered = read_whole(wire, status, response.headers, body)
    if not whole and answered.failure is None:
        message = broken or "the connection ended inside the body"
        answered.failure = Failure(message=message, in_band=streamed, shaped=False)
    return answered
