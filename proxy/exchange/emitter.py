"""`StreamEmitter`: the way of a stream's chunks to the client.

One task reads from the provider and writes to the client, with no queue between: order and back-pressure come free.
What arrived together leaves in one write. In the lossless lane an event's own bytes are written; its decoded view is
only added up. Everything else is encoded by the client's API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from providers.errors import GatewayError
from providers.model import Accumulator, EventKind, LLMRequest, LLMResponse
from providers.model.text_run import TextRun
from providers.provider import ChunkEmitter
from proxy.apis.base import ClientAPI
from proxy.observe.metrics import ModelMetrics


class StreamEmitter(ChunkEmitter):
    """Made for one call of `execute_streaming`. `write` starts the response at its first call."""

    takes_runs = True

    def __init__(
        self,
        api: ClientAPI,
        request: LLMRequest,
        metrics: ModelMetrics | None,
        write: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self.accumulator = Accumulator()
        self.error: GatewayError | None = None
        """What ended the stream early, as the provider told it."""
        self.first_at: float | None = None
        """When the first chunk came, on trio's clock."""
        self.finished = False
        self.held = b""
        """What the provider gave last, to be written with the stream's end."""
        self._api = api
        self._api_name = api.api
        self._request = request
        self._show_usage = request.include_usage
        self._encoder = api.stream_encoder(request)
        self._encoded = False
        """Whether anything was encoded: then the end must be encoded too."""
        self.metrics = metrics
        """Of the model that is asked; None: not known yet."""
        self._last_at = 0.0
        self._write = write

    @property
    def started(self) -> bool:
        return self.first_at is not None

    @property
    def dropped_blocks(self) -> int:
        """Parts of the answer that the client's API could not say."""
        return self._encoder.dropped_blocks

    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        if not final:
            await self.emit_batch((chunk,), first)
        elif not self.finished:
            self.finished = True
            if self._encoded or not self.started:
                await self._send(self._api.transform_output_end(chunk, self._encoder))

    async def emit_batch(self, chunks: Sequence[LLMResponse | TextRun], first: bool = False) -> None:
        if self.finished or self.error is not None:
            return
        add = self.accumulator.add
        pieces: list[bytes] = []
        for chunk in chunks:
            if not isinstance(chunk, LLMResponse):
                self.accumulator.add_run(chunk)
                if chunk.raw.api == self._api_name:
                    pieces.append(chunk.raw.body)
                else:
                    self._encoded = True
                    pieces.append(self._api.transform_output_run(chunk, self._encoder))
                continue
            kind = chunk.kind
            is_content = kind is EventKind.CHUNK or (kind is EventKind.DONE and bool(chunk.choices or chunk.usage))
            if is_content or kind is EventKind.USAGE:
                add(chunk)
            raw = chunk.raw
            if raw is None or raw.api != self._api_name:
                # The terminator of another API ends nothing here: `final` does. What else it says is said.
                if is_content or kind is not EventKind.DONE:
                    self._encoded = True
                    pieces.append(self._api.transform_output_chunk(chunk, self._encoder))
            elif kind is not EventKind.USAGE or self._show_usage:
                pieces.append(raw.body)
        await self._send(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    async def emit_error(self, error: GatewayError) -> None:
        if not self.finished and self.error is None:
            self.error = error

    async def close(self) -> None:
        """The provider has returned: make the final call if it did not."""
        if not self.finished and self.error is None:
            await self.emit_chunk(self.accumulator.response(), first=not self.started, final=True)

    async def _send(self, data: bytes) -> None:
        now = trio.current_time()
        if self.first_at is None:
            self.first_at = now
        elif self.metrics is not None:
            self.metrics.gap.observe(now - self._last_at)
        self._last_at = now
        if self.ends:
            self.held += data
        elif data:
            await self._write(data)
