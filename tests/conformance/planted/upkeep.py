"""Providers that leave something of each request behind."""

from __future__ import annotations

import socket
from typing import Any

import trio

from providers.builtin.openai import OpenAIProvider
from providers.extension import Config
from providers.http.provider import OutgoingRequest
from providers.model import LLMRequest
from providers.transport.base import Upstream, UpstreamResponse


class LeaksSockets(OpenAIProvider):
    """Opens a socket for each request and forgets it."""

    forgotten: list[socket.socket] = []

    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        self.forgotten.append(socket.socket())
        return super().request_out(request)


class LeaksTasks(OpenAIProvider):
    """Starts a task beside each request that nobody ends."""

    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        trio.lowlevel.spawn_system_task(trio.sleep_forever)
        return super().request_out(request)


class _NeverClosed:
    """A response that does not let go of its connection."""

    def __init__(self, response: UpstreamResponse) -> None:
        self.status, self.headers = response.status, response.headers
        self.receive = response.receive

    def close(self) -> None:
        return


class _Keeping:
    """An upstream whose error responses are never closed."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._upstream, name)

    async def request(self, *arguments: Any) -> UpstreamResponse:
        response = await self._upstream.request(*arguments)
        return response if response.status < 400 else _NeverClosed(response)


class LeaksSlots(OpenAIProvider):
    """Does not give back the connection on which an error came."""

    async def configure(self, config: Config) -> None:
        await super().configure(config)
        self.upstream = _Keeping(self.upstream)  # type: ignore[assignment]
