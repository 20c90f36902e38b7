"""What a provider's stream hands to the gateway, collected."""

from __future__ import annotations

import trio

from providers.errors import GatewayError
from providers.model import Accumulator, EventKind, LLMRequest, LLMResponse
from providers.provider import ChunkEmitter, Provider


class Collected(ChunkEmitter):
    """Takes chunks as the gateway does."""

    def __init__(self) -> None:
        self.accumulator = Accumulator()
        self.chunks: list[LLMResponse] = []
        self.error: GatewayError | None = None
        self.finals = 0

    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        await trio.lowlevel.checkpoint()
        if final:
            self.finals += 1
            return
        assert first == (not self.chunks)
        self.chunks.append(chunk)
        if chunk.kind in (EventKind.CHUNK, EventKind.USAGE, EventKind.DONE):
            self.accumulator.add(chunk)

    async def emit_error(self, error: GatewayError) -> None:
        await trio.lowlevel.checkpoint()
        self.error = error


async def collect(provider: Provider, request: LLMRequest) -> Collected:
    """Call `execute_streaming`, under a deadline. Raises what it raises."""
    collected = Collected()
    with trio.fail_after(20):
        await provider.execute_streaming(request, collected)
    return collected
