"""The lane of streams that plugins look at: `PluginEmitter` takes one turn's chunks, `ChunkSink` writes what leaves.

Beside the lossless lane (`emitter.py`) this one may encode. A chunk that no plugin changed is relayed still, if the
client API's encoder can go on after that (`StreamEncoder.relays`).

Two things wait in the sink. Its *lead*: events that say nothing (the role, a block's start) until there is content, so
that a plugin that holds back what the stream begins with can still have the request run again. Its *tail*: everything
from the finish reason on, until the plugins had their last call, so that what they let go then comes before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import trio

from providers.errors import GatewayError
from providers.model import Accumulator, Choice, Delta, EventKind, LLMRequest, LLMResponse, Part, Usage
from providers.model.accumulator import add_usage
from providers.model.text_run import TextRun, expand
from providers.provider import ChunkEmitter
from proxy.apis.base import ClientAPI
from proxy.observe.metrics import ModelMetrics
from proxy.plugins.chunks import ChunkChain, Turn, belongs_to_answer, says_something, size_of

LEAD_PATIENCE = 15.0
"""Seconds from the request on that keep-alives wait for content, too."""
MAX_WAITING_BYTES = 1024 * 1024
"""How much the lead and the tail may hold; beyond that they leave."""


class ChunkSink:
    """Encodes and writes one client's stream, over all turns. `write` starts the response at its first call."""

    def __init__(self, api: ClientAPI, request: LLMRequest, write: Callable[[bytes], Awaitable[None]]) -> None:
        self.sent = Accumulator()
        """What has left."""
        self.begun = False
        """Whether the client has been sent a byte."""
        self.relays = True
        """False: everything is encoded, since earlier turns have parted from the provider's events."""
        self._api = api
        self._encoder = api.stream_encoder(request)
        self._can_relay = getattr(self._encoder, "relays", False)
        self._one_choice = (request.n or 1) == 1
        self._write = write
        self._lead: list[LLMResponse] | None = []
        """None: there was content."""
        self._tail: list[LLMResponse] = []
        self._waiting = 0
        self._done: LLMResponse | None = None
        self._opened_at = trio.current_time()
        self._head: LLMResponse | None = None
        self.parts = 0
        """How many part indexes are taken."""
        self.spent: Usage | None = None
        """By turns that are over."""

    @property
    def dropped_blocks(self) -> int:
        return self._encoder.dropped_blocks

    async def send(self, chunks: Sequence[LLMResponse]) -> None:
        """Write chunks, as far as they need not wait."""
        pieces: list[bytes] = []
        for chunk in chunks:
            self._take(chunk, pieces)
        await self._put(pieces)

    async def finish(self, usage: Usage | None) -> None:
        """End the stream well. `usage`: of the last turn, as the provider told it."""
        pieces: list[bytes] = []
        for chunk in [*(self._lead or ()), *self._tail]:
            pieces.append(self._encode(chunk))
        self._lead, self._tail = None, []
        if self._done is not None:
            pieces.append(self._encode(self._done))
        response = self.sent.response()
        response.usage = add_usage(self.spent, usage) if self.spent is not None else response.usage or usage
        pieces.append(self._api.transform_output_end(response, self._encoder))
        await self._put(pieces)

    async def next_turn(self, usage: Usage | None) -> None:
        """The turn ends without a finish: another one goes on in the same stream."""
        tail, self._tail, self._waiting, self._done = self._tail, [], 0, None
        self.relays = False
        self.spent = add_usage(self.spent, usage)
        await self.send([chunk for chunk in map(_without_finish, tail) if says_something(chunk)])

    def _take(self, chunk: LLMResponse, pieces: list[bytes]) -> None:
        kind = chunk.kind
        if kind is EventKind.DONE:
            self._done = chunk  # the end comes when the plugins had their last call
            return
        if self._head is None and chunk.id:
            self._head = chunk
        finishes = self._one_choice and any(choice.finish_reason is not None for choice in chunk.choices)
        if self._tail or finishes:
            if kind is EventKind.KEEP_ALIVE:
                return
            self._wait(self._tail, chunk)
            if self._waiting > MAX_WAITING_BYTES:
                self._leave(self._tail, pieces)
            return
        if self._lead is not None:
            content = says_something(chunk) or kind is EventKind.ERROR
            late = kind is EventKind.KEEP_ALIVE and trio.current_time() - self._opened_at > LEAD_PATIENCE
            if not (content or late or self._waiting > MAX_WAITING_BYTES):
                self._wait(self._lead, chunk)
                return
            self._leave(self._lead, pieces)
            if content:
                self._lead = None
        pieces.append(self._encode(chunk))

    def _wait(self, queue: list[LLMResponse], chunk: LLMResponse) -> None:
        queue.append(chunk)
        self._waiting += size_of(chunk)

    def _leave(self, queue: list[LLMResponse], pieces: list[bytes]) -> None:
        pieces += map(self._encode, queue)
        queue.clear()
        self._waiting = 0

    def _encode(self, chunk: LLMResponse) -> bytes:
        is_content = belongs_to_answer(chunk)
        if is_content:
            self.sent.add(chunk)
        raw = chunk.raw
        if raw is not None and not (self.relays and self._can_relay and raw.api == self._api.api):
            if chunk.kind is EventKind.DONE and not is_content:
                return b""  # another API's: `finish` writes this one's
            chunk = msgspec.structs.replace(chunk, raw=None)
        if raw is None and not chunk.id and self._head is not None:
            # A plugin's own chunk: the stream's name stands above it.
            head = self._head
            chunk = msgspec.structs.replace(chunk, id=head.id, model=head.model, created=head.created)
        return self._api.transform_output_chunk(chunk, self._encoder)

    async def _put(self, pieces: Sequence[bytes]) -> None:
        data = b"".join(pieces)
        if data:
            self.begun = True
            await self._write(data)


class PluginEmitter(ChunkEmitter):
    """Made for one turn. The provider's call is to run inside `scope`, which ends it when a plugin wants that."""

    def __init__(self, chain: ChunkChain, sink: ChunkSink) -> None:
        self.accumulator = Accumulator()
        """What the provider gave."""
        self.metrics: ModelMetrics | None = None
        """Of the model that is asked, once it is known."""
        self.error: GatewayError | None = None
        """What ended the stream early, as the provider or a plugin told it."""
        self.refused = False
        """It was a plugin."""
        self.first_at: float | None = None
        self.finished = False
        self.sink = sink
        self.scope = trio.CancelScope()
        self._chain = chain
        self._base = sink.parts
        self._last_at = 0.0

    @property
    def started(self) -> bool:
        """Whether the client has been sent a byte, or a plugin has seen a chunk: nobody else may answer then."""
        return self.first_at is not None

    @property
    def turn(self) -> Turn:
        return self._chain.turn

    @property
    def dropped_blocks(self) -> int:
        return self.sink.dropped_blocks

    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        if not final:
            await self.emit_batch((chunk,), first)
        else:
            await self._finish()

    async def emit_batch(self, chunks: Sequence[LLMResponse | TextRun], first: bool = False) -> None:
        if self.finished or self.error is not None or self._chain.turn is not Turn.GOES_ON:
            return
        self._observe_time()
        chain, out = self._chain, []
        chain.begun = self.sink.begun
        try:
            for chunk in expand(chunks):
                if belongs_to_answer(chunk):
                    self.accumulator.add(chunk)
                    chunk = self._shifted(chunk)
                out += await chain.push(chunk)
                if chain.turn is not Turn.GOES_ON:
                    break
        except GatewayError as error:
            self.error, self.refused = error, True
        await self._after(out)

    async def emit_error(self, error: GatewayError) -> None:
        if not self.finished and self.error is None:
            self.error = error

    async def close(self) -> None:
        """The provider has returned: make the final call if it did not."""
        if self.error is None:
            await self._finish()

    async def _finish(self) -> None:
        if self.finished or self.error is not None or self._chain.turn in _OTHER_TURN:
            return
        self.finished = True
        if self.first_at is None:
            self._observe_time()
        self._chain.begun = self.sink.begun
        try:
            out = await self._chain.finish()
        except GatewayError as error:
            self.error, self.refused = error, True
            return
        if self._chain.turn in _OTHER_TURN:
            await self._after(out)
            return
        await self.sink.send(out)
        await self.sink.finish(self.accumulator.usage)

    async def _after(self, out: list[LLMResponse]) -> None:
        """Write what left the chain, and end the provider's call if the stream does not go on."""
        turn = self._chain.turn
        if turn is not Turn.AGAIN:
            await self.sink.send(out)
        if turn is Turn.CONTINUES:
            await self.sink.next_turn(self.accumulator.usage)
        if turn is not Turn.GOES_ON or self.error is not None:
            self.scope.cancel()
            if not self.finished:
                await trio.lowlevel.checkpoint()

    def _shifted(self, chunk: LLMResponse) -> LLMResponse:
        """In a later turn: the chunk with its parts behind those of the turns before."""
        top = max((part.index for choice in chunk.choices for part in _parts(choice)), default=-1)
        self.sink.parts = max(self.sink.parts, self._base + top + 1)
        if not self._base or top < 0:
            return chunk
        choices = [
            msgspec.structs.replace(
                choice,
                delta=msgspec.structs.replace(
                    choice.delta,
                    content=[msgspec.structs.replace(part, index=part.index + self._base) for part in _parts(choice)],
                ),
            )
            if choice.delta is not None
            else choice
            for choice in chunk.choices
        ]
        return msgspec.structs.replace(chunk, choices=choices, raw=None)

    def _observe_time(self) -> None:
        now = trio.current_time()
        if self.first_at is None:
            self.first_at = now
        elif self.metrics is not None:
            self.metrics.gap.observe(now - self._last_at)
        self._last_at = now


def _without_finish(chunk: LLMResponse) -> LLMResponse:
    choices = [
        msgspec.structs.replace(choice, finish_reason=None, native_finish_reason=None) for choice in chunk.choices
    ]
    return msgspec.structs.replace(chunk, choices=choices, usage=None, raw=None)


_OTHER_TURN = (Turn.AGAIN, Turn.CONTINUES)


def _parts(choice: Choice) -> list[Part]:
    delta: Delta | None = choice.delta
    return delta.content if delta is not None else []
