"""What an oracle is: the official SDK of an API as the reader of one answer.

An oracle is a module with

    async def read(base_url: str, model: str, prompt: str, stream: bool) -> Reading

that asks the server at `base_url` (without a path) once, without retries, and returns what the SDK made of the answer
as plain data. It imports its SDK inside that function and raises `MissingSDKError` where it is not installed;
everything that the SDK raises goes into the reading. It closes what it opened before it returns: sockets are counted
after each case. An SDK without trio goes through `in_thread`. The SDKs are the extra `conformance`.

Its facts may be taken from the SDK's objects by the functions of the API's module in `conformance.wires`.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable

import msgspec
import trio

from conformance.answered import without_model
from conformance.facts import JSON, Facts


class Reading(msgspec.Struct, kw_only=True):
    """What an SDK made of one answer."""

    items: list[JSON] = []
    """Each chunk or event that it yielded, or the one answer, less the model's name."""
    error: tuple[str, ...] | None = None
    """What it raised: class, message, body."""
    status: int | None = None
    facts: Facts = msgspec.field(default_factory=Facts)

    def fail(self, error: Exception) -> None:
        """Note what the SDK raised: anything, because SDKs let errors of their HTTP library and of JSON through."""
        body = getattr(error, "body", None)
        self.error = type(error).__name__, str(getattr(error, "message", error)), repr(without_model(body))
        status = getattr(error, "status_code", None)
        self.status = status if isinstance(status, int) else None


Oracle = Callable[[str, str, str, bool], Awaitable[Reading]]
"""`(base URL, model, prompt, stream)` to a reading. Cancellation goes through."""


class MissingSDKError(Exception):
    """An official SDK is not installed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the official SDK '{name}' is not installed: pip install 'triway[conformance]'")


async def in_thread(read: Callable[[], Reading]) -> Reading:
    """Call an SDK that blocks. A cancelled caller goes on at once; the thread ends when its SDK does."""
    return await trio.to_thread.run_sync(read, abandon_on_cancel=True)


@functools.cache
def tls_context() -> ssl.SSLContext:
    """For SDK clients that want one: made once, because each would read all of the system's certificates again."""
    return ssl.create_default_context()
