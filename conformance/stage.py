"""`Stage`: the replay server of a run. Each question has a prompt of its own, by which the server knows its play.

The prompt goes through every gateway unchanged, so nothing else is needed to tell the requests of two cases apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conformance.replay import Exchange, Play, ReceivedRequest, ReplayServer
from conformance.replay.server import EXHAUSTED

_PROMPT = re.compile(rb"triway-case-(\d+)-")


class Stage:
    """Made by `open_stage`."""

    def __init__(self, *, port: int = 0) -> None:
        self.server = ReplayServer(self._script, port=port)
        self._plays: dict[int, Play] = {}
        self._arrivals: dict[int, list[int]] = defaultdict(list)
        self._last = 0
        self._connections: dict[int, set[int]] = defaultdict(set)

    @property
    def url(self) -> str:
        return self.server.url

    def prompt_for(self, play: Play) -> str:
        """A prompt that this play answers, however often it is asked."""
        self._last += 1
        self._plays[self._last] = play
        return f"triway-case-{self._last}-"

    def prompts(self) -> list[str]:
        """All prompts that are known."""
        return [f"triway-case-{number}-" for number in self._plays]

    def drop(self, prompt: str) -> None:
        """Forget the prompt's play; whoever still asks gets a 400."""
        number = _number(prompt.encode())
        self._plays.pop(number, None)
        self._arrivals.pop(number, None)
        self._connections.pop(number, None)

    def received(self, prompt: str) -> int:
        """How many requests came with this prompt."""
        return len(self._arrivals[_number(prompt.encode())])

    def connections(self, prompt: str) -> set[int]:
        """The connections on which requests with this prompt came, open or not."""
        return self._connections[_number(prompt.encode())]

    def hang_up(self, prompt: str) -> None:
        """Reset every connection on which the prompt came: from then on the provider owes the subject nothing."""
        for number in self.connections(prompt):
            self.server.hang_up(number)

    async def exchange(self, prompt: str) -> Exchange:
        """The first exchange with this prompt, as soon as its request is there. Has no deadline of its own."""
        number = _number(prompt.encode())
        while not self._arrivals[number]:
            await self.server.wait_received(self.server.received + 1)
        return await self.server.wait_received(self._arrivals[number][0])

    def _script(self, request: ReceivedRequest) -> Play:
        number = _number(request.body)
        play = self._plays.get(number)
        if play is None:
            return Play(EXHAUSTED)
        self._arrivals[number].append(self.server.received + 1)
        self._connections[number].add(request.connection)
        return play


@asynccontextmanager
async def open_stage(*, port: int = 0) -> AsyncIterator[Stage]:
    """A stage whose server listens, on a free port or on `port`. Leaving closes every connection at once."""
    stage = Stage(port=port)
    async with stage.server:
        yield stage


def _number(data: bytes) -> int:
    found = _PROMPT.search(data)
    return int(found[1]) if found else 0
