"""`TextRun`: chunks in a row that do nothing but add text to one part. Imports only its neighbours in the model.

Most of a stream is such chunks, and most of the time nobody looks at them one by one: in the lossless lane their bytes
go on as they came and their text is added up. So a decoder may give them as one run, which holds the wire's own Structs
and builds a chunk's view only for who asks (`chunks`). What a run means is what its chunks mean, one after the other:
`expand` gives them, and everything that takes a run must do the same with it as with them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

from providers.model.request import RawBody
from providers.model.response import EventKind, LLMResponse


class ChunkHead(Protocol):
    """What a chunk may say of its stream."""

    id: str
    created: int
    model: str
    system_fingerprint: str | None
    service_tier: str | None


class TextRun(ABC):
    """One or more chunks of kind `CHUNK` whose only choice is number 0 and has one part, text that is not empty."""

    __slots__ = ("heads", "part", "raw", "texts")

    kind = EventKind.CHUNK

    def __init__(self, texts: list[str], part: int, raw: RawBody, heads: Sequence[ChunkHead]) -> None:
        self.texts = texts
        """The text that each chunk adds."""
        self.part = part
        """The index of the part that they extend."""
        self.raw = raw
        """The events' own bytes, joined."""
        self.heads = heads
        """What each chunk says of its stream; empty: none says anything."""

    @abstractmethod
    def chunks(self) -> list[LLMResponse]:
        """The chunks, one for each text, as `StreamDecoder.feed` would have given them."""


def expand(batch: Iterable[LLMResponse | TextRun]) -> list[LLMResponse]:
    """All chunks of a batch, one by one."""
    chunks: list[LLMResponse] = []
    for item in batch:
        if isinstance(item, TextRun):
            chunks += item.chunks()
        else:
            chunks.append(item)
    return chunks
