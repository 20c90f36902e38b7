"""A provider's streamed answer that has begun. Imports what `HTTPProvider` imports, not it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import trio

from providers.errors import GatewayError, ProviderError, error_told, is_half_told
from providers.model import LLMResponse
from providers.model.text_run import TextRun
from providers.provider import ChunkEmitter
from providers.transport.base import UpstreamResponse
from providers.wire.base import StreamDecoder

AFTER_DONE_GRACE = 0.25
"""Seconds to wait for the end of the body after the wire's terminator."""


class OpenedStream(msgspec.Struct):
    """A stream that has shown its first real event."""

    response: UpstreamResponse
    decoder: StreamDecoder
    chunks: list[LLMResponse | TextRun]
    whole: LLMResponse | None = None
    """The provider did not stream but answered whole."""
    first_deadline: float = math.inf
    """Until when a real event must come, if only keep-alives have."""
    done: bool = False
    """The wire's terminator has come, and nothing behind it."""

    @property
    def body_is_complete(self) -> bool:
        """Whether the body is known to be at its end, so that nothing has to be waited for."""
        return bool(getattr(self.response, "complete", False))

    async def told_error(self, chunks: Sequence[LLMResponse]) -> GatewayError:
        """The error that the first of `chunks` tells. Its second event, where the API has one, is waited for."""
        told = list(chunks)
        with trio.move_on_after(AFTER_DONE_GRACE), suppress(ProviderError):
            while is_half_told(told) and (data := await self.response.receive()):
                told += self.decoder.feed(data)
        return error_told(told)


def feed_of(decoder: StreamDecoder, emitter: ChunkEmitter) -> Callable[[bytes], Sequence[LLMResponse | TextRun]]:
    """How to feed the decoder: where nobody looks at each chunk, it may leave together what only adds text."""
    return getattr(decoder, "feed_runs", decoder.feed) if emitter.takes_runs else decoder.feed
