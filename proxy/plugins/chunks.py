"""`ChunkChain`: a stream's chunks on their way through the plugins that have `after_chunk`. Knows nothing of HTTP.

Theory of operation. The plugins are links of a chain, by falling priority. A chunk goes from link to link; a link may
hold it back, and then what comes later joins it there, so nothing ever overtakes. What a link lets go unchanged goes on
chunk by chunk, each with its own bytes; what it changed goes on as the one chunk that it made of it.

Events that say nothing to a plugin (a block begins or ends, the role, usage alone) are not shown to it. They go on, or
wait with what the link holds. Keep-alives pass everything.

A plugin that fails (and whose `onError` is `open`) is left out for the rest of the stream; what it held goes on.

A plugin may have another turn of the model go on in the same stream. For the plugins around it nothing ends then: what
they hold stays where it is, and is joined by what comes. For itself and those inside the next turn is a stream of its
own, since what they held belongs to an answer that they have seen the end of.
"""

from __future__ import annotations

from enum import Enum

from msgspec import UNSET

from providers.model import (
    Accumulator,
    EventKind,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import PipelineRun
from proxy.plugins.result import PluginResult


class Turn(Enum):
    """What a plugin wants to become of the stream."""

    GOES_ON = 0
    ENDS = 1
    """It ends well here."""
    AGAIN = 2
    """The request is run again, in place of this stream."""
    CONTINUES = 3
    """The request is run again, and its answer goes on in this stream."""


class _Link:
    __slots__ = ("failed", "held", "loaded", "size")

    def __init__(self, loaded: LoadedPlugin) -> None:
        self.loaded = loaded
        self.held: list[LLMResponse] = []
        self.size = 0
        self.failed = False

    def hold(self, chunk: LLMResponse) -> None:
        self.held.append(chunk)
        self.size += size_of(chunk)

    def take(self) -> list[LLMResponse]:
        held, self.held, self.size = self.held, [], 0
        return held


class ChunkChain:
    """One stream's way through the plugins. After an exception, or a `turn` that does not go on, it is over."""

    def __init__(self, run: PipelineRun) -> None:
        self.turn = Turn.GOES_ON
        self.begun = False
        """Whether the client has been sent a byte. Set by who writes."""
        self._run = run
        self._context = run.context
        self._links = [_Link(loaded) for loaded in run.on_way_out("after_chunk")]
        self._from = 0
        """The first link that is still asked: those before it ended the stream."""
        self._turned = -1
        """The link that wants another turn."""

    async def push(self, chunk: LLMResponse) -> list[LLMResponse]:
        """What leaves the chain because `chunk` entered it. Raises what a plugin ends the stream with."""
        out: list[LLMResponse] = []
        if belongs_to_answer(chunk):
            await self._feed(0, chunk, out)
        else:
            out.append(chunk)
        return out

    async def finish(self) -> list[LLMResponse]:
        """The stream has ended well: every plugin's last call, and what was held back."""
        out: list[LLMResponse] = []
        for place in range(self._from, len(self._links)):
            link = self._links[place]
            if not link.failed:
                await self._last_call(place, link, out)
            elif link.held:
                await self._pass_on(place, link.take(), out)
            if self.turn not in (Turn.GOES_ON, Turn.ENDS):
                return out
        return out

    @property
    def carries(self) -> bool:
        """Whether a plugin around the one that wants another turn holds something of this one."""
        return any(link.held for link in self._links[self._turned + 1 :])

    def next_turn(self, *, void: bool = False) -> None:
        """Make ready for the next turn. `void`: the last one came to nothing, and nobody's view of it goes on."""
        place = len(self._links) if void else self._turned + 1
        for link in self._links[:place]:
            link.take()
            self._run.forget_stream(link.loaded)
        links = {id(link.loaded): link for link in self._links}
        self._links = [links.get(id(loaded)) or _Link(loaded) for loaded in self._run.on_way_out("after_chunk")]
        self.turn, self._from, self._turned = Turn.GOES_ON, 0, -1

    # -- one link -----------------------------------------------------------------------------------------------------

    async def _feed(self, place: int, chunk: LLMResponse, out: list[LLMResponse]) -> None:
        if place == len(self._links):
            out.append(chunk)
            return
        link = self._links[place]
        if link.failed:
            await self._feed(place + 1, chunk, out)
        elif not says_something(chunk):
            if link.held:
                await self._hold(place, link, chunk, out)
            else:
                await self._feed(place + 1, chunk, out)
        else:
            result = await self._ask(link, chunk)
            if result is None:
                link.failed = True
                await self._pass_on(place, [*link.take(), chunk], out)
            else:
                await self._obey(place, link, result, chunk, out)

    async def _ask(self, link: _Link, chunk: LLMResponse) -> PluginResult | None:
        context = self._context
        context.chunk = chunk
        held = link.held
        context._buffered = (lambda: merge_chunks([*held, chunk])) if held else None
        return await self._run.call_chunk(link.loaded)

    async def _obey(
        self, place: int, link: _Link, result: PluginResult, chunk: LLMResponse, out: list[LLMResponse]
    ) -> None:
        if self._turns(place, link, result):
            return
        replaced = result.context is not None and result.context.chunk is not UNSET
        leaving: list[LLMResponse]
        if not result.emit_chunk:
            if replaced:
                link.take()
                assert result.context is not None
                assert result.context.chunk is not UNSET
                chunk = result.context.chunk
            await self._hold(place, link, chunk, out)
            leaving = []
        elif result.keep is not None or replaced:
            link.take()
            leaving = []
            if result.context is not None and result.context.chunk is not UNSET:
                leaving = [result.context.chunk]
            if result.keep is not None:
                await self._hold(place, link, result.keep, out)
        else:
            leaving = [*link.take(), chunk]
        if result.terminate:
            self.turn = Turn.ENDS
            self._from = place + 1
            leaving += link.take()  # it gets no other call
        if result.skip_remaining:
            await self._around_the_rest(place + 1, leaving, out)
        else:
            await self._pass_on(place, leaving, out)

    def _turns(self, place: int, link: _Link, result: PluginResult) -> bool:
        """Whether the stream does not go on as it is."""
        if result.continue_request and self._run.may_ask_again(link.loaded):
            self.turn = Turn.CONTINUES
        elif result.reevaluate_request and self._run.may_ask_again(link.loaded, begun=self.begun):
            self.turn = Turn.AGAIN
        if self.turn in (Turn.AGAIN, Turn.CONTINUES):
            self._turned = place
            return True
        return False

    async def _pass_on(self, place: int, chunks: list[LLMResponse], out: list[LLMResponse]) -> None:
        for chunk in chunks:
            if self.turn in (Turn.AGAIN, Turn.CONTINUES):
                return
            await self._feed(place + 1, chunk, out)

    async def _around_the_rest(self, place: int, chunks: list[LLMResponse], out: list[LLMResponse]) -> None:
        """Leave out the remaining links; but where one holds something back, nothing overtakes it."""
        for following in range(place, len(self._links)):
            link = self._links[following]
            if link.held:
                for chunk in chunks:
                    await self._hold(following, link, chunk, out)
                return
        out += chunks

    async def _hold(self, place: int, link: _Link, chunk: LLMResponse, out: list[LLMResponse]) -> None:
        link.hold(chunk)
        if link.size > self._run.pipeline.max_held_bytes:
            self._run.failed_by_holding(link.loaded)
            link.failed = True
            await self._pass_on(place, link.take(), out)

    async def _last_call(self, place: int, link: _Link, out: list[LLMResponse]) -> None:
        context = self._context
        held = link.held
        context.chunk = LLMResponse()
        context._buffered = lambda: merge_chunks(held) if held else context.chunk
        context.final_chunk = True
        try:
            result = await self._run.call_chunk(link.loaded)
        finally:
            context.final_chunk = False
        held = link.take()
        if result is not None:
            if self._turns(place, link, result):
                return
            if result.context is not None and result.context.chunk is not UNSET:
                held = [result.context.chunk]
                if result.keep is not None:
                    held.append(result.keep)
            elif result.keep is not None:
                held = [result.keep]
            if result.skip_remaining:
                await self._around_the_rest(place + 1, held, out)
                return
        await self._pass_on(place, held, out)


def merge_chunks(chunks: list[LLMResponse]) -> LLMResponse:
    """One chunk that says what they say."""
    if len(chunks) == 1:
        return chunks[0]
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.chunk()


def belongs_to_answer(chunk: LLMResponse) -> bool:
    """Whether a chunk is part of the answer: not a keep-alive, nor a terminator that only ends it."""
    kind = chunk.kind
    if kind is EventKind.DONE:
        return bool(chunk.choices or chunk.usage)
    return kind is EventKind.CHUNK or kind is EventKind.USAGE


def says_something(chunk: LLMResponse) -> bool:
    """Whether a chunk holds content or a finish reason."""
    for choice in chunk.choices:
        if choice.finish_reason is not None or choice.logprobs:
            return True
        if choice.delta is not None:
            for part in choice.delta.content:
                if _part_says_something(part):
                    return True
    return False


def _part_says_something(part: Part) -> bool:
    match part:
        case TextPart():
            return bool(part.text or part.citations)
        case RefusalPart():
            return bool(part.text)
        case ReasoningPart():
            return bool(part.text or part.signature or part.redacted)
        case _:
            return True


def size_of(chunk: LLMResponse) -> int:
    """What it costs to hold a chunk, in bytes, roughly."""
    size = 64
    if chunk.raw is not None:
        size += len(chunk.raw.body)
    for choice in chunk.choices:
        for part in choice.delta.content if choice.delta is not None else ():
            match part:
                case TextPart() | ReasoningPart() | RefusalPart():
                    size += len(part.text)
                case ToolCallPart():
                    size += len(part.arguments)
                case OpaquePart():
                    size += len(part.input) + len(bytes(part.raw))
                case _:
                    size += 64
    return size
