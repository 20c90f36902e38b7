"""The open connections of a worker, for the shutdown. Imports nothing of this package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio


class Connection(Protocol):
    """What the shutdown needs of a connection. Both are synchronous and may be called at any time."""

    def close_when_idle(self) -> None:
        """Nothing is accepted any more: close now if no request is under way, else after it."""
        ...

    def abort(self) -> None:
        """Close the socket and cancel everything that runs for it, now."""
        ...


class Connections:
    """The set of open connections."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._none_left = trio.Event()
        self.closing = False
        """Whether connections close after the request that they are at."""

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def holding(self, connection: Connection) -> Iterator[None]:
        """Count `connection` among the open ones for the time of the block."""
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)
            if not self._open:
                self._none_left.set()

    def close_idle(self) -> None:
        """Close those without a request; the others close after theirs."""
        self.closing = True
        for connection in list(self._open):
            connection.close_when_idle()

    def abort(self) -> None:
        """Close all, now."""
        for connection in list(self._open):
            connection.abort()

    async def wait_none(self) -> None:
        """Wait until none is left. For one task at a time. Has no deadline of its own."""
        while self._open:
            self._none_left = trio.Event()
            await self._none_left.wait()
