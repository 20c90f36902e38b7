"""`Instance`: one extension from made to closed, however many generations hold it. Imports only the life cycle.

A reload that leaves an entry as it was leaves its instance as it is: with the counts, caches, connections and whatever
else it has gathered. So an instance may belong to several generations at once, of which the older ones end when their
last request does. It is configured once, by the first that holds it, and closed once, by the last that lets go of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import msgspec
import trio

from providers.extension import Config, Extension
from proxy.observe.logs import describe_exception, get_logger

BESIDE_TIMEOUT = 1.0
"""Seconds that what an extension does beside requests may take to wind up before the extension is closed."""

X = TypeVar("X", bound=Extension)


class Instance:
    """Made with its first holder."""

    __slots__ = ("_beside", "_ended", "_holders", "config", "configured", "extension", "what")

    def __init__(self, cls: type[Extension], config: Config, what: str) -> None:
        self.extension = cls()
        self.config = config
        self.what = what
        """For messages: `model 'gpt'`."""
        self.configured = False
        """Whether `configure` was begun: also one that failed half-way may have something to close."""
        self._holders = 1
        self._beside = trio.CancelScope()
        self._ended: trio.Event | None = None
        """Of what it does beside requests; None: it does nothing, or not yet."""

    def hold(self) -> None:
        """One more holder."""
        self._holders += 1

    def let_go(self) -> bool:
        """One holder less. True: it was the last one, and is to close what was configured."""
        self._holders -= 1
        return self._holders == 0 and self.configured

    async def configure(self) -> None:
        """Configure it, if nobody has yet. Raises what the extension raises."""
        if not self.configured:
            self.configured = True
            await self.extension.configure(self.config)

    async def run_beside(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what the extension does beside requests, until it is closed. Once, whoever holds it. What `work` raises is
        logged: one extension's fault must not end the app, nor the others' work."""
        if self._ended is not None:
            return
        self._ended = trio.Event()
        try:
            with self._beside:
                await work()
        except Exception as error:  # noqa: BLE001 - see above
            get_logger().error(
                "what a plugin does beside requests ended", plugin=self.what, **describe_exception(error)
            )
        finally:
            self._ended.set()

    async def close(self) -> None:
        """For the last holder. What the extension raises is logged: it must not keep others open."""
        self._beside.cancel()
        if self._ended is not None:
            with trio.move_on_after(BESIDE_TIMEOUT):
                await self._ended.wait()
        try:
            await self.extension.aclose()
        except Exception as error:  # noqa: BLE001 - one extension's fault must not keep the others open
            get_logger().error("an extension did not close", extension=self.what, exception=type(error).__name__)


class Instances:
    """What one generation holds. `before`: what the generation holds that this one is to take the place of."""

    def __init__(self, before: Instances | None = None) -> None:
        self._held: dict[Hashable, Instance] = {}
        self._before = before

    def hold(self, cls: type[X], config: Config, what: str, *owner: str) -> Instance:
        """The instance of this class with this configuration: of the `owner` alone if one is named, else everybody's.

        It is the one that is held already, or was before; else it is made.
        """
        key = (cls, msgspec.json.encode(config, order="deterministic"), *owner)
        held = self._held.get(key)
        if held is None:
            held = self._taken_over(key) or Instance(cls, config, what)
            self._held[key] = held
        return held

    def _taken_over(self, key: Hashable) -> Instance | None:
        found = self._before._held.get(key) if self._before is not None else None
        if found is None or not found.extension.outlives_reload(found.config):
            return None
        found.hold()
        return found

    def is_complete(self) -> None:
        """Nothing will be taken over any more."""
        self._before = None

    def let_go(self) -> list[Instance]:
        """Hold nothing any more. Returns what is to be closed, each of which nobody else holds."""
        held, self._held, self._before = list(self._held.values()), {}, None
        return [one for one in held if one.let_go()]
