"""What the server asks of the application, and what it gives it beyond ASGI. Imports nothing of this package."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

DISCONNECT = "triway.disconnect"
"""The key of a request's `Disconnect` in `scope["extensions"]`."""

Scope = dict[str, Any]
"""ASGI's own loose types: its messages are dicts whose keys depend on `type`."""
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("triway.server")


class GatewayApp(Protocol):
    """An ASGI application that can be told of a shutdown."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def start_draining(self) -> None:
        """A stop was asked for: `/ready` says 503 from now on. Called once, before the drain delay."""
        ...

    def end_streams(self) -> None:
        """The graceful timeout is over: running requests get their in-band error now. They are cancelled soon after."""
        ...


class ClientDisconnectedError(OSError):
    """Nobody is left to send to. `reason`: `disconnect` (the client went) or `write_timeout` (it stopped reading).

    Raised by `send`, as ASGI 2.4 has it. An app may let it through: the server does not log it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the client is gone ({reason})")
        self.reason = reason


class Disconnect:
    """Tells an app that its client is gone, without a task that waits for it.

    At most one callback. It runs synchronously in the server's task that saw the end, so it must be quick and must not
    raise; cancelling a scope is what it is for. It never runs once the response is complete: a client that leaves then
    has left nothing undone.
    """

    __slots__ = ("_callback", "reason")

    def __init__(self) -> None:
        self._callback: Callable[[str], object] | None = None
        self.reason: str | None = None
        """`disconnect` or `write_timeout` once the client is gone."""

    def subscribe(self, callback: Callable[[str], object]) -> None:
        """Have `callback(reason)` called once, at once if the client is gone already. Replaces an earlier one."""
        if self.reason is None:
            self._callback = callback
        else:
            self._run(callback, self.reason)

    def unsubscribe(self) -> None:
        """Forget the callback."""
        self._callback = None

    def fire(self, reason: str) -> None:
        """For the server: the client is gone. Only the first call counts."""
        if self.reason is not None:
            return
        self.reason = reason
        callback, self._callback = self._callback, None
        if callback is not None:
            self._run(callback, reason)

    @staticmethod
    def _run(callback: Callable[[str], object], reason: str) -> None:
        try:
            callback(reason)
        except Exception:  # noqa: BLE001
            # In the reader's task: it must not take the connection's clean-up with it.
            _log.exception("a disconnect callback raised")
