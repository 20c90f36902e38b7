"""The fast lane for the plainest events: `text_delta`s, decoded straight into `PlainEvent`s. Does no I/O.

Rule of this file: a `PlainEvent` names every field that a `StreamEvent` has, and allows it the same values, or fewer,
or none, so that `AnthropicStreamDecoder` would read the very same chunk. tests/.../test_text_run.py holds both.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from providers.model import Choice, Delta, LLMResponse, RawBody, TextPart
from providers.model.text_run import TextRun
from providers.wire.anthropic_messages.structs import API

_PREFIX = b"event: content_block_delta\ndata: "
_SIZE = len(_PREFIX)


class PlainDelta(msgspec.Struct, gc=False):
    text: Annotated[str, msgspec.Meta(min_length=1)]
    type: Literal["text_delta"]
    thinking: None = None
    signature: None = None
    partial_json: None = None
    citation: None = None
    stop_reason: None = None
    stop_sequence: None = None


class PlainEvent(msgspec.Struct, gc=False):
    index: int
    delta: PlainDelta
    type: Literal["content_block_delta"]
    content_block: None = None
    message: None = None
    usage: None = None
    error: None = None


_DECODER = msgspec.json.Decoder(PlainEvent)


class AnthropicTextRun(TextRun):
    """See `TextRun`."""

    __slots__ = ("_blocks",)

    def __init__(self, texts: list[str], part: int, blocks: list[bytes]) -> None:
        super().__init__(texts, part, RawBody(API, b"\n\n".join((*blocks, b""))), ())
        self._blocks = blocks

    def chunks(self) -> list[LLMResponse]:
        return [
            LLMResponse(
                choices=[Choice(delta=Delta(content=[TextPart(index=self.part, text=text)]))],
                raw=RawBody(API, block + b"\n\n"),
            )
            for text, block in zip(self.texts, self._blocks, strict=True)
        ]


def read_text_run(blocks: list[bytes], start: int, offset: int, opaque: set[int]) -> AnthropicTextRun | None:
    """The plain events from `blocks[start]` on that extend one part, as a run; None if that one is not plain already.

    The blocks are what `SSEDecoder.feed_blocks` gave. `offset`: what to add to an index on the wire. `opaque`: the
    indices of parts that no text can extend.
    """
    decode = _DECODER.decode
    texts: list[str] = []
    index: int | None = None
    try:
        for block in blocks[start:] if start else blocks:
            # One line of data only: what would follow a second one's colon need not be data.
            if block[:_SIZE] != _PREFIX or block.find(b"\n", _SIZE) >= 0:
                break
            event = decode(block[_SIZE:])
            if event.index != index:
                if index is not None or event.index + offset in opaque:
                    break
                index = event.index
            texts.append(event.delta.text)
    except (ValueError, RecursionError):
        pass
    if index is None:
        return None
    return AnthropicTextRun(texts, index + offset, blocks[start : start + len(texts)])
