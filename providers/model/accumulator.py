"""Folds the chunks of a stream into the whole response. Does no I/O.

Linear in the bytes it is given: pieces are appended to lists and joined once, when the response is asked for. A part is
found by its choice, its index and its type; a tool call with another id under the same index is another call (vendors
that number every parallel call 0 exist). Usage may come first, last or both: for each field the last value wins.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec

from providers.model.content import (
    AudioPart,
    Citation,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from providers.model.response import (
    AssistantMessage,
    Choice,
    Delta,
    LLMResponse,
    ResponseMetadata,
    TokenDetails,
    Usage,
)
from providers.model.text_run import TextRun


def merge_usage(old: Usage | None, new: Usage) -> Usage:
    """`old` with every field that `new` reports replaced. Returns a new object; changes neither."""
    if old is None:
        return msgspec.structs.replace(new)
    merged = msgspec.structs.replace(old)
    for field in ("prompt_tokens", "completion_tokens", "total_tokens"):
        value = getattr(new, field)
        if value is not None:
            setattr(merged, field, value)
    if new.details is not None:
        merged.details = _merge_details(old.details, new.details)
    if new.extra:
        merged.extra = {**old.extra, **new.extra}
    return merged


def add_usage(first: Usage | None, second: Usage | None) -> Usage | None:
    """What both together cost. Returns a new object; changes neither."""
    if first is None or second is None:
        return first or second
    details = second.details or first.details
    if first.details is not None and second.details is not None:
        details = TokenDetails(
            **{name: _sum(getattr(first.details, name), getattr(second.details, name)) for name in _DETAILS}
        )
    return Usage(
        prompt_tokens=_sum(first.prompt_tokens, second.prompt_tokens),
        completion_tokens=_sum(first.completion_tokens, second.completion_tokens),
        total_tokens=_sum(first.total_tokens, second.total_tokens),
        details=details,
        extra={**first.extra, **second.extra},
    )


_DETAILS = TokenDetails.__struct_fields__


def _sum(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else first + second


def _merge_details(old: TokenDetails | None, new: TokenDetails) -> TokenDetails:
    if old is None:
        return new
    changes = {name: value for name in new.__struct_fields__ if (value := getattr(new, name)) is not None}
    return msgspec.structs.replace(old, **changes)


class _PartBuilder:
    """One part in the making. `texts` holds the pieces of its main text field, `more` those of a second one."""

    __slots__ = ("citations", "first", "more", "texts")

    def __init__(self, first: Part) -> None:
        self.first = first
        self.texts: list[str] = []
        self.more: list[str] = []
        self.citations: list[Citation] = []

    def add(self, part: Part) -> None:
        if isinstance(part, TextPart):
            self.texts.append(part.text)
            if part.citations:
                self.citations += part.citations
            if part.signature:
                self.more.append(part.signature)
        elif isinstance(part, ToolCallPart):
            self.texts.append(part.arguments)
            if part.signature:
                self.more.append(part.signature)
            first = self.first
            assert isinstance(first, ToolCallPart)
            if part is not first and ((part.id and not first.id) or (part.name and not first.name)):
                self.first = msgspec.structs.replace(first, id=first.id or part.id, name=first.name or part.name)
        elif isinstance(part, ReasoningPart):
            self.texts.append(part.text)
            if part.signature:
                self.more.append(part.signature)
            if part is not self.first and (part.redacted or part.id or part.format):
                first = self.first
                assert isinstance(first, ReasoningPart)
                self.first = msgspec.structs.replace(
                    first,
                    redacted=first.redacted + part.redacted,
                    id=part.id or first.id,
                    format=part.format or first.format,
                )
        elif isinstance(part, RefusalPart):
            self.texts.append(part.text)
        elif isinstance(part, OpaquePart):
            self.texts.append(part.input)
        elif isinstance(part, AudioPart):
            self.texts.append(part.data)
            self.more.append(part.transcript)
            if part is not self.first:
                first = self.first
                assert isinstance(first, AudioPart)
                self.first = msgspec.structs.replace(
                    first, id=part.id or first.id, expires_at=part.expires_at or first.expires_at
                )
        else:  # images and files come whole
            self.first = part

    def build(self, index: int) -> Part:
        text = "".join(self.texts)
        changes: dict[str, Any]
        match self.first:
            case TextPart():
                changes = {"text": text, "citations": self.citations, "signature": "".join(self.more)}
            case RefusalPart():
                changes = {"text": text}
            case ToolCallPart():
                changes = {"arguments": text, "signature": "".join(self.more)}
            case ReasoningPart():
                changes = {"text": text, "signature": "".join(self.more)}
            case OpaquePart():
                changes = {"input": text}
            case AudioPart():
                changes = {"data": text, "transcript": "".join(self.more)}
            case _:
                changes = {}
        return msgspec.structs.replace(self.first, index=index, **changes)


class _ChoiceBuilder:
    __slots__ = ("finish_reason", "index", "logprobs", "native", "order", "parts", "stop_sequence")

    def __init__(self, index: int) -> None:
        self.index = index
        self.parts: dict[tuple[type, int], _PartBuilder] = {}
        self.order: list[_PartBuilder] = []
        self.finish_reason: str | None = None
        self.native: str | None = None
        self.stop_sequence: str | None = None
        self.logprobs: dict[str, list[Any]] = {}

    def add(self, choice: Choice) -> None:
        content = choice.delta.content if choice.delta is not None else None
        if content is None and choice.message is not None:
            content = choice.message.content
        for part in content or ():
            key = (type(part), part.index)
            builder = self.parts.get(key)
            if builder is None or (isinstance(part, ToolCallPart) and self._is_another_call(builder, part)):
                builder = self.parts[key] = _PartBuilder(part)
                self.order.append(builder)
            builder.add(part)
        if choice.finish_reason is not None:
            self.finish_reason = choice.finish_reason
        if choice.native_finish_reason is not None:
            self.native = choice.native_finish_reason
        if choice.stop_sequence is not None:
            self.stop_sequence = choice.stop_sequence
        if choice.logprobs:
            for name, values in choice.logprobs.items():
                if isinstance(values, list):
                    self.logprobs.setdefault(name, []).extend(values)

    @staticmethod
    def _is_another_call(builder: _PartBuilder, part: ToolCallPart) -> bool:
        first = builder.first
        return bool(part.id) and isinstance(first, ToolCallPart) and bool(first.id) and first.id != part.id

    def add_texts(self, part: int, texts: list[str]) -> None:
        """`add` for deltas of nothing but text."""
        key = (TextPart, part)
        builder = self.parts.get(key)
        if builder is None:
            builder = self.parts[key] = _PartBuilder(TextPart(index=part))
            self.order.append(builder)
        builder.texts += texts

    def build(self) -> Choice:
        content = [builder.build(index) for index, builder in enumerate(self.order)]
        return self._choice(message=AssistantMessage(content=content))

    def build_delta(self) -> Choice:
        return self._choice(delta=Delta(content=[builder.build(builder.first.index) for builder in self.order]))

    def _choice(self, *, message: AssistantMessage | None = None, delta: Delta | None = None) -> Choice:
        return Choice(
            index=self.index,
            message=message,
            delta=delta,
            finish_reason=self.finish_reason,
            native_finish_reason=self.native,
            stop_sequence=self.stop_sequence,
            logprobs=self.logprobs or None,
        )


_HEAD = ("id", "model", "created", "system_fingerprint", "service_tier", "metadata")


class Accumulator:
    """The response so far.

    `add` costs a few appends for each chunk. `response()` may be called at any time, also for a stream that was cut;
    it joins everything again on each call, so call it once.
    """

    __slots__ = ("_choices", "_head", "_unknown", "chunks", "usage")

    def __init__(self) -> None:
        self._choices: dict[int, _ChoiceBuilder] = {}
        self._head: dict[str, Any] = {}
        self._unknown: tuple[str, ...] = _HEAD
        """Fields of the head that no chunk has named yet. The first one that does counts."""
        self.chunks = 0
        """How many chunks were added."""
        self.usage: Usage | None = None
        """Usage so far."""

    def add(self, chunk: LLMResponse) -> None:
        """Take in one chunk (or a whole response: its messages count as one delta)."""
        self.chunks += 1
        for name in self._unknown:
            if value := getattr(chunk, name):
                self._learn(name, value)
        if chunk.usage is not None:
            self.usage = merge_usage(self.usage, chunk.usage)
        for choice in chunk.choices:
            self._choice(choice.index).add(choice)

    def add_run(self, run: TextRun) -> None:
        """Take in all chunks of a run."""
        self.chunks += len(run.texts)
        heads = run.heads
        if heads:
            for name in self._unknown:
                if name != "metadata" and (value := next(filter(None, map(attrgetter(name), heads)), None)):
                    self._learn(name, value)
        self._choice(0).add_texts(run.part, run.texts)

    def _choice(self, index: int) -> _ChoiceBuilder:
        builder = self._choices.get(index)
        if builder is None:
            builder = self._choices[index] = _ChoiceBuilder(index)
        return builder

    def _learn(self, name: str, value: object) -> None:
        self._head[name] = value
        self._unknown = tuple(other for other in self._unknown if other != name)

    @property
    def finished(self) -> bool:
        """Whether some choice has its finish reason."""
        return any(choice.finish_reason for choice in self._choices.values())

    def response(self) -> LLMResponse:
        """The whole answer, choices in order of their index."""
        choices = [self._choices[index].build() for index in sorted(self._choices)]
        return self._response("chat.completion", choices)

    def chunk(self) -> LLMResponse:
        """Everything that was added as one chunk, whose parts keep their indexes: it says the same as they did."""
        choices = [self._choices[index].build_delta() for index in sorted(self._choices)]
        return self._response("chat.completion.chunk", choices)

    def _response(self, kind: str, choices: list[Choice]) -> LLMResponse:
        head = self._head
        metadata: ResponseMetadata | None = head.get("metadata")
        return LLMResponse(
            object=kind,
            id=head.get("id", ""),
            model=head.get("model", ""),
            created=head.get("created", 0),
            system_fingerprint=head.get("system_fingerprint"),
            service_tier=head.get("service_tier"),
            metadata=metadata,
            usage=self.usage,
            choices=choices,
        )
