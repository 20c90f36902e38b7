"""What the replay server remembers of each request, for tests to ask. Does no I/O."""

from __future__ import annotations

import msgspec
import trio

from conformance.replay.play import Play


class ReceivedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it arrived."""

    method: str
    target: str
    """Path and query, as sent."""
    headers: list[tuple[bytes, bytes]]
    """In order, names in lower case."""
    body: bytes
    connection: int
    """Which connection it came on, counted from 1."""

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name (in lower case)."""
        return next((value for key, value in self.headers if key == name), None)


class Moment:
    """A `trio.Event` that knows when it happened. Is set once; setting it again changes nothing."""

    __slots__ = ("_event", "time")

    def __init__(self) -> None:
        self._event = trio.Event()
        self.time: float | None = None
        """`trio.current_time()` when it was set."""

    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        if self.time is None:
            self.time = trio.current_time()
            self._event.set()

    async def wait(self) -> None:
        """Wait until it is set. Has no deadline of its own; always a checkpoint."""
        await self._event.wait()


class Exchange:
    """One request and the answer that is being played to it."""

    __slots__ = ("bytes_written", "completed", "ended", "peer_closed", "peer_reset", "play", "request", "started")

    def __init__(self, request: ReceivedRequest, play: Play) -> None:
        self.request = request
        self.play = play
        self.started = Moment()
        """The request is complete and the play begins."""
        self.completed = Moment()
        """Every byte of the play was written (the fault's part of it, if it has a fault)."""
        self.peer_closed = Moment()
        """The peer closed the connection during this exchange, or after it while no other had begun."""
        self.peer_reset = False
        """It was closed by a reset."""
        self.ended = Moment()
        """The server does nothing more for this exchange: completed, cut off by the peer, or shut down."""
        self.bytes_written = 0
        """Bytes handed to the kernel so far, head and framing included; counted by writes of at most 64 KiB."""
