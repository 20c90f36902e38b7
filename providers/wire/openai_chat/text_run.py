"""The fast lane for the plainest events: deltas that add text to the first choice and say nothing else. Does no I/O.

`read_text_run` decodes them straight into `PlainEvent`s, up to the first event of which it is not sure that
`ChatStreamDecoder` would read the very same chunk. The rule that makes it sure: a `PlainEvent` names every field that a
`ChatEvent` has, and allows it the same values, or fewer, or only null. tests/.../test_text_run.py holds both.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from providers.model import Choice, Delta, LLMResponse, RawBody, TextPart
from providers.model.text_run import TextRun


class PlainDelta(msgspec.Struct, gc=False):
    content: Annotated[str, msgspec.Meta(min_length=1)]
    role: str | None = None
    reasoning_content: None = None
    reasoning: None = None
    reasoning_details: None = None
    tool_calls: None = None
    function_call: None = None
    refusal: None = None
    annotations: None = None
    audio: None = None
    images: None = None
    extra_content: None = None


class PlainChoice(msgspec.Struct, gc=False):
    delta: PlainDelta
    index: Literal[0] = 0
    finish_reason: None = None
    logprobs: None = None
    message: None = None
    text: None = None
    usage: None = None
    stop_reason: None = None
    matched_stop: None = None


class PlainEvent(msgspec.Struct, gc=False):
    choices: tuple[PlainChoice]
    id: str = ""
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int = 0
    model: str = ""
    usage: None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    error: None = None
    x_groq: None = None
    citations: None = None


_DECODER = msgspec.json.Decoder(PlainEvent)


class ChatTextRun(TextRun):
    """See `TextRun`."""

    __slots__ = ("_blocks", "_events")

    def __init__(self, events: list[PlainEvent], part: int, api: str, blocks: list[bytes]) -> None:
        texts = [event.choices[0].delta.content for event in events]
        super().__init__(texts, part, RawBody(api, b"\n\n".join((*blocks, b""))), events)
        self._events = events
        self._blocks = blocks

    def chunks(self) -> list[LLMResponse]:
        return [
            LLMResponse(
                id=event.id,
                object=event.object,
                created=event.created,
                model=event.model,
                choices=[
                    Choice(
                        delta=Delta(
                            role="assistant" if event.choices[0].delta.role == "assistant" else None,
                            content=[TextPart(index=self.part, text=text)],
                        )
                    )
                ],
                system_fingerprint=event.system_fingerprint,
                service_tier=event.service_tier,
                raw=RawBody(self.raw.api, block + b"\n\n"),
            )
            for event, text, block in zip(self._events, self.texts, self._blocks, strict=True)
        ]


def read_text_run(blocks: list[bytes], start: int, part: int, api: str) -> ChatTextRun | None:
    """The plain events from `blocks[start]` on, as a run that extends `part`; None if that one is not plain already.

    The blocks are what `SSEDecoder.feed_blocks` gave; `api` is whose bytes they are.
    """
    decode = _DECODER.decode
    events: list[PlainEvent] = []
    try:
        for block in blocks[start:] if start else blocks:
            # One line only: what would follow a second one's colon need not be data.
            if block[:6] != b"data: " or b"\n" in block:
                break
            events.append(decode(block[6:]))
    except (ValueError, RecursionError):
        pass
    return ChatTextRun(events, part, api, blocks[start : start + len(events)]) if events else None
