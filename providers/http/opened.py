"""A provider's streamed answer that has begun. Imports what `HTTPProvider` imports, not it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import trio

from providers.errors import GatewayError, ProviderError, error_of_event
from providers.model import ErrorInfo, EventKind, LLMResponse, RawBody
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

    async def told_error(self, info: ErrorInfo, chunks: Sequence[LLMResponse]) -> GatewayError:
        """The error that the first of `chunks` tells; with the second event's bytes where the API tells it in two."""
        raw = chunks[0].raw
        rest = list(chunks[1:])
        if info.is_announced:
            with trio.move_on_after(AFTER_DONE_GRACE), suppress(ProviderError):
                while not rest and (data := await self.response.receive()):
                    rest += self.decoder.feed(data)
            if raw is not None and rest and rest[0].kind is EventKind.ERROR and rest[0].raw is not None:
                raw = RawBody(raw.api, raw.body + rest[0].raw.body)
        return error_of_event(info, raw)


def feed_of(decoder: StreamDecoder, emitter: ChunkEmitter) -> Callable[[bytes], Sequence[LLMResponse | TextRun]]:
    """How to feed the decoder: where nobody looks at each chunk, it may leave together what only adds text."""
    return getattr(decoder, "feed_runs", decoder.feed) if emitter.takes_runs else decoder.feed
