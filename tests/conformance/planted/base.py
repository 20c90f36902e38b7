"""What planted faults are made of: a decoder and an emitter with something in between."""

from __future__ import annotations

from collections.abc import Callable

from providers.errors import GatewayError
from providers.model import Accumulator, LLMResponse
from providers.provider import ChunkEmitter
from providers.wire.base import StreamDecoder


class Rewritten:
    """A decoder whose chunks are changed on their way."""

    def __init__(self, decoder: StreamDecoder, change: Callable[[LLMResponse], None]) -> None:
        self._decoder = decoder
        self._change = change

    @property
    def skipped(self) -> int:
        return self._decoder.skipped

    @property
    def dropped_blocks(self) -> int:
        return self._decoder.dropped_blocks

    def feed(self, data: bytes) -> list[LLMResponse]:
        return self._changed(self._decoder.feed(data))

    def eof(self) -> list[LLMResponse]:
        return self._changed(self._decoder.eof())

    def _changed(self, chunks: list[LLMResponse]) -> list[LLMResponse]:
        for chunk in chunks:
            self._change(chunk)
        return chunks


class Relayed(ChunkEmitter):
    """An emitter in front of the real one."""

    def __init__(self, emitter: ChunkEmitter) -> None:
        self.inner = emitter

    @property
    def accumulator(self) -> Accumulator:  # type: ignore[override]
        return self.inner.accumulator

    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        await self.inner.emit_chunk(chunk, first, final)

    async def emit_error(self, error: GatewayError) -> None:
        await self.inner.emit_error(error)
