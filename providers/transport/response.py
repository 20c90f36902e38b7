"""The responses of a pool: what `Upstream.request` gives to its caller."""

from __future__ import annotations

from collections.abc import Callable

import trio

from providers.transport.base import Headers, UpstreamResponse
from providers.transport.connection import Connection
from providers.transport.decoding import PIECE_BYTES, Decoder, make_decoder


class PoolResponse:
    """A response whose head has arrived (an `UpstreamResponse`). It owns its connection and its slot until `close`."""

    __slots__ = ("_connection", "_give_back", "content_encoding", "headers", "status")

    def __init__(self, connection: Connection, give_back: Callable[[Connection], None]) -> None:
        self._give_back = give_back
        self._connection: Connection | None = connection
        self.status = connection.parser.status
        self.headers: Headers = connection.parser.headers
        self.content_encoding = connection.parser.content_encoding
        """How the body that `receive` gives is compressed; b"": it is not."""

    @property
    def http_version(self) -> str:
        """`1.1` or `1.0`; only until `close`."""
        if self._connection is None:
            raise trio.ClosedResourceError("the response was closed")
        return self._connection.parser.http_version

    @property
    def complete(self) -> bool:
        """Whether the body has come and was received to its end: `receive` will give b"", at once."""
        connection = self._connection
        return connection is not None and connection.parser.complete and not connection.parser.pieces

    async def receive(self) -> bytes:
        """The next bytes of the body; b"" once it is complete. See `UpstreamResponse.receive`.

        Returns without a pause if there is something already. Only one task at a time may call it.
        """
        connection = self._connection
        if connection is None:
            raise trio.ClosedResourceError("the response was closed")
        return await connection.receive()

    def close(self) -> None:
        """Give the connection back. See `UpstreamResponse.close`. Closing twice is fine."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._give_back(connection)


class DecodedResponse:
    """Any response with its body uncompressed. One `receive` gives at most 256 KiB, whatever the input unfolds to."""

    __slots__ = ("_decoder", "_ended", "_response", "headers", "status")

    def __init__(self, response: UpstreamResponse, decoder: Decoder) -> None:
        self._response = response
        self._decoder = decoder
        self._ended = False
        self.status = response.status
        # Neither header is true of what `receive` gives.
        dropped = (b"content-encoding", b"content-length")
        self.headers: Headers = [header for header in response.headers if header[0] not in dropped]

    async def receive(self) -> bytes:
        """See `UpstreamResponse.receive`. Raises `BadResponseError` for bytes that do not unfold."""
        while not (output := self._decoder.read(PIECE_BYTES)):
            if self._ended:
                return b""
            data = await self._response.receive()
            if data:
                self._decoder.feed(data)
            else:
                self._decoder.finish()
                self._ended = True
        # A few bytes may unfold to many pieces; let others have their turn between them.
        await trio.lowlevel.checkpoint()
        return output

    def close(self) -> None:
        """See `UpstreamResponse.close`."""
        self._response.close()


def decoded(response: UpstreamResponse, content_encoding: bytes) -> UpstreamResponse:
    """`response` with its body uncompressed; as it is, `content-encoding` and all, if the coding is unknown here."""
    decoder = make_decoder(content_encoding)
    return response if decoder is None else DecodedResponse(response, decoder)
