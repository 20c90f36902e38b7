"""A task that runs for as long as a `with` block does."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import trio


class Background:
    """Runs `task(task_status=...)` in a nursery around the block and cancels it at the block's end.

    Unlike a bare nursery it lets an ordinary exception of the block go on as it is, not wrapped in a group, so that a
    test's failed assertion stays one. An exception of the task ends the block, in a group.
    """

    def __init__(self, task: Callable[..., Awaitable[object]]) -> None:
        self._task = task
        self._manager: AbstractAsyncContextManager[trio.Nursery] = trio.open_nursery()
        self._nursery: trio.Nursery | None = None

    async def __aenter__(self) -> None:
        self._nursery = await self._manager.__aenter__()
        try:
            await self._nursery.start(self._task)
        except BaseException:
            # A nursery that was opened must be closed, whatever happens.
            await self.__aexit__(*sys.exc_info())
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._nursery is not None
        self._nursery.cancel_scope.cancel()
        if isinstance(error, Exception):
            await self._manager.__aexit__(None, None, None)
            return None
        # Cancelled, alone or in a group, is for the nursery to judge.
        return await self._manager.__aexit__(kind, error, traceback)
