"""What stream decoders over server-sent events share: `feed`, event by event, and its fast lane `feed_runs`.

The fast lane leaves together, as a `TextRun`, events that do nothing but add text. It is entered behind an event that
the ordinary way has read as such a one, and left at the first event that is anything else. So whatever is unusual is
read in one place only, and a stream of other things costs no vain tries. Does no I/O.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.model import LLMResponse, TextPart
from providers.model.text_run import TextRun
from providers.wire.sse import SSEDecoder, SSEvent


class EventRunDecoder(ABC):
    """A base of `StreamDecoder`s (providers.wire.base) that have a fast lane."""

    __slots__ = ("_plain", "_sse")

    def __init__(self) -> None:
        self._sse = SSEDecoder()
        self._plain = False
        """Whether the last event only added text, so that the next ones may do so too."""

    @abstractmethod
    def _read(self, event: SSEvent) -> LLMResponse | None:
        """The chunk that an event is; None if it is malformed and skipped."""

    @abstractmethod
    def _read_run(self, blocks: list[bytes], start: int) -> TextRun | None:
        """The events from `blocks[start]` on that only add text, as a run of what `_read` would give for each; None if
        there is none. Called only behind such an event."""

    def feed(self, data: bytes) -> list[LLMResponse]:
        """Take in the next bytes. Raises `OversizedEventError`."""
        chunks = [chunk for event in self._sse.feed(data) if (chunk := self._read(event)) is not None]
        self._plain = bool(chunks) and _only_adds_text(chunks[-1])
        return chunks

    def feed_runs(self, data: bytes) -> list[LLMResponse | TextRun]:
        """`feed`, with what only adds text as runs. The two may be called in turn. Raises `OversizedEventError`."""
        blocks = self._sse.feed_blocks(data)
        if blocks is None:
            return [*self.feed(data)]
        batch: list[LLMResponse | TextRun] = []
        place = 0
        while place < len(blocks):
            run = self._read_run(blocks, place) if self._plain else None
            if run is not None:
                batch.append(run)
                place += len(run.texts)
                if place == len(blocks):
                    break
            chunk = self._read(self._sse.event_of(blocks[place]))
            place += 1
            self._plain = chunk is not None and _only_adds_text(chunk)
            if chunk is not None:
                batch.append(chunk)
        return batch


def _only_adds_text(chunk: LLMResponse) -> bool:
    choices = chunk.choices
    if len(choices) != 1 or choices[0].index != 0 or choices[0].delta is None:
        return False
    content = choices[0].delta.content
    return len(content) == 1 and type(content[0]) is TextPart and choices[0].finish_reason is None
