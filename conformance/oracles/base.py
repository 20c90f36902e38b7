"""What an oracle is: the official SDK of an API as the reader of one answer.

An oracle is a module with

    async def read(base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}) -> Reading

that asks the server at `base_url` (without a path) once, without retries, and returns what the SDK made of the answer
as plain data. It sends `headers` instead of the SDK's own of these names, imports its SDK inside that function and
raises `MissingSDKError` where it is not installed; everything that the SDK raises goes into the reading. It closes what
it opened before it returns: sockets are counted after each case. An SDK without trio goes through `in_thread`. The SDKs
are the extra `conformance`.

Its facts may be taken from the SDK's objects by the functions of the API's module in `conformance.wires`.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec
import trio

from conformance.answered import without_model
from conformance.facts import JSON, UNREADABLE, Facts

if TYPE_CHECKING:
    import httpx

SDK_SECONDS = 30.0
"""How long an SDK may take for one answer before it counts as hung."""


class Reading(msgspec.Struct, kw_only=True):
    """What an SDK made of one answer."""

    items: list[JSON] = []
    """Each chunk or event that it yielded, or the one answer, less the model's name."""
    error: tuple[str, ...] | None = None
    """What it raised: class, message, body."""
    status: int | None = None
    facts: Facts = msgspec.field(default_factory=Facts)
    hung: bool = False
    """It neither ended nor raised in the time it was given."""

    def read(self, facts: Callable[[], Facts]) -> None:
        """Take the facts of what the SDK yielded. SDKs check no types, so it may be anything."""
        try:
            self.facts = facts()
        except UNREADABLE as error:
            if self.error is None:
                self.error = type(error).__name__, f"what it yielded has not the API's shape: {error}", ""

    def fail(self, error: Exception) -> None:
        """Note what the SDK raised: anything, because SDKs let errors of their HTTP library and of JSON through."""
        body = getattr(error, "body", None)
        self.error = type(error).__name__, str(getattr(error, "message", error)), repr(without_model(body))
        status = getattr(error, "status_code", None)
        self.status = status if isinstance(status, int) else None


class Oracle(Protocol):
    """An SDK that can be asked. Cancellation goes through."""

    def __call__(
        self, base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}
    ) -> Awaitable[Reading]: ...


async def ask_sdk(
    oracle: Oracle, base_url: str, model: str, prompt: str, stream: bool, headers: Mapping[str, str] = {}
) -> Reading:
    """Ask within `SDK_SECONDS`. Raises `MissingSDKError`."""
    with trio.move_on_after(SDK_SECONDS):
        return await oracle(base_url, model, prompt, stream, headers)
    return Reading(hung=True, error=("TimeoutError", f"no end within {SDK_SECONDS:g} s", ""))


def sends(headers: Mapping[str, str]) -> Callable[[httpx.Request], None]:
    """A hook for httpx: a request's headers of these names, whoever set them, are these."""

    def lay_over(request: httpx.Request) -> None:
        request.headers.update(headers)

    return lay_over


def sends_async(headers: Mapping[str, str]) -> Callable[[httpx.Request], Awaitable[None]]:
    """`sends` for a client that is not blocking."""
    lay_over = sends(headers)

    async def hook(request: httpx.Request) -> None:
        lay_over(request)

    return hook


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
