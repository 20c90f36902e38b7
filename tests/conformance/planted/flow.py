"""Providers that read rightly and pass it on wrongly: late, for nobody, too fast, too often, or beyond its end."""

from __future__ import annotations

import json
import math

import msgspec
import trio

from providers.builtin.openai import OpenAIProvider
from providers.errors import GatewayError
from providers.model import Accumulator, LLMRequest, LLMResponse
from providers.provider import ChunkEmitter, PhaseExecution
from tests.conformance.planted.base import Relayed


class HidesTheCut(OpenAIProvider):
    """Ends a stream that broke off as if it were whole."""

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        class Silent(Relayed):
            begun = False

            async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
                self.begun = True
                await super().emit_chunk(chunk, first, final)

            async def emit_error(self, error: GatewayError) -> None:
                if not self.begun:
                    await super().emit_error(error)
                else:
                    await super().emit_chunk(self.accumulator.response(), final=True)

        await super().execute_streaming(request, Silent(emitter))
        return None


class HoldsOneBack(OpenAIProvider):
    """Passes an event on only once it has the next one."""

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        class Late(Relayed):
            held: tuple[LLMResponse, bool] | None = None

            async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
                if self.held is not None:
                    await self.inner.emit_chunk(*self.held)
                    self.held = None
                if final:
                    await self.inner.emit_chunk(self.accumulator.response(), first, final)
                else:
                    self.held = chunk, first

            async def emit_error(self, error: GatewayError) -> None:
                if self.held is not None:
                    await self.inner.emit_chunk(*self.held)
                await super().emit_error(error)

        return await super().execute_streaming(request, Late(emitter))


class IgnoresDisconnects(OpenAIProvider):
    """Does not notice that its caller is gone until it has something to say."""

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        call = super().execute_streaming

        class Unheard(Relayed):
            async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
                scope.shield = False
                await super().emit_chunk(chunk, first, final)
                scope.shield = True

        with trio.CancelScope(shield=True, deadline=trio.current_time() + 25) as scope:
            return await call(request, Unheard(emitter))
        return None


class IgnoresEarlyDisconnects(OpenAIProvider):
    """Hears its caller only once the first token is there."""

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        call = super().execute_streaming

        class Heard(Relayed):
            async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
                scope.shield = False
                await super().emit_chunk(chunk, first, final)

        with trio.CancelScope(shield=True, deadline=trio.current_time() + 25) as scope:
            return await call(request, Heard(emitter))
        return None


class ReadsAhead(OpenAIProvider):
    """Reads the provider as fast as it can, into a queue without a bound."""

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        send, receive = trio.open_memory_channel[tuple[str, object, bool]](math.inf)
        result: PhaseExecution | None = None

        class Queue(ChunkEmitter):
            accumulator = Accumulator()

            async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
                await trio.lowlevel.checkpoint()
                send.send_nowait(("final" if final else "chunk", chunk, first))

            async def emit_error(self, error: GatewayError) -> None:
                send.send_nowait(("error", error, False))

        failure: list[Exception] = []

        async def read() -> None:
            nonlocal result
            with send:
                try:
                    result = await super(ReadsAhead, self).execute_streaming(request, Queue())
                except GatewayError as error:
                    failure.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            async for kind, what, first in receive:
                if kind == "error":
                    assert isinstance(what, GatewayError)
                    await emitter.emit_error(what)
                elif kind == "final":
                    await emitter.emit_chunk(emitter.accumulator.response(), first, True)
                else:
                    assert isinstance(what, LLMResponse)
                    await emitter.emit_chunk(what, first)
        if failure:
            raise failure[0]
        return result


class AccumulatesAgain(OpenAIProvider):
    """Adds the whole answer up again for each event."""

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        class Wasteful(Relayed):
            async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
                await super().emit_chunk(chunk, first, final)
                json.dumps(msgspec.to_builtins(self.accumulator.response()))

        return await super().execute_streaming(request, Wasteful(emitter))


class KeepsEveryPrefix(OpenAIProvider):
    """Remembers, for each event, the text so far."""

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> PhaseExecution | None:
        class Hoarder(Relayed):
            kept: list[bytes] = []

            async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
                await super().emit_chunk(chunk, first, final)
                self.kept.append(b"x" * 10 * len(self.kept))

        Hoarder.kept = []
        return await super().execute_streaming(request, Hoarder(emitter))
