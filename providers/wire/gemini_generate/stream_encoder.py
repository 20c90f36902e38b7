"""A streamed answer for a Gemini client (`alt=sse`): chunks of the model in, events out. Does no I/O.

The grammar that this file keeps: each event holds pieces of text and thoughts as they come, and everything else whole.
A function call waits until its arguments are complete (the next part begins) or the stream ends. The last event has
each candidate's finish reason, its citations, and the usage: other APIs report usage after the finish reason.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from providers.model import (
    Choice,
    Citation,
    EventKind,
    LLMRequest,
    LLMResponse,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from providers.wire.gemini_generate.answer_parts import (
    WireObject,
    answer_head,
    call_part,
    citation_metadata,
    encode_part,
    reasoning_part,
)
from providers.wire.gemini_generate.errors import encode_error_info
from providers.wire.gemini_generate.finish import reason_of
from providers.wire.gemini_generate.logprobs import encode_logprobs
from providers.wire.gemini_generate.structs import API
from providers.wire.gemini_generate.usage import encode_usage
from providers.wire.json_text import json_object

KEEP_ALIVE = b"\r\n"
"""A blank line: google-genai takes a comment of server-sent events for the beginning of an error."""

_encode = msgspec.json.Encoder().encode


class _Call:
    """A tool call on its way."""

    __slots__ = ("arguments", "head")

    def __init__(self, first: ToolCallPart) -> None:
        self.head = ToolCallPart(kind=first.kind)
        self.arguments: list[str] = []

    def add(self, piece: ToolCallPart) -> None:
        self.head.id = self.head.id or piece.id
        self.head.name = self.head.name or piece.name
        self.head.signature += piece.signature
        self.arguments.append(piece.arguments)

    def is_another(self, piece: ToolCallPart) -> bool:
        return bool(piece.id and self.head.id and piece.id != self.head.id)


class _CandidateState:
    """What is kept of one candidate."""

    __slots__ = ("blocks", "calls", "citations", "dropped", "open_call")

    def __init__(self) -> None:
        self.calls: dict[int, _Call] = {}
        """Calls that have not been said, by the part's index, in order of their beginning."""
        self.open_call: int | None = None
        self.blocks: dict[int, ReasoningPart] = {}
        """Signed thoughts by the part's index: the signature so far, without the text, which was said."""
        self.citations: list[Citation] = []
        self.dropped: set[tuple[type, int]] = set()


class GeminiStreamEncoder:
    """Implements `providers.wire.base.StreamEncoder`. One for each stream."""

    __slots__ = ("_candidates", "_failed", "_head", "_request", "dropped_blocks")

    def __init__(self, request: LLMRequest) -> None:
        self.dropped_blocks = 0
        self._request = request
        self._head: WireObject | None = None
        self._candidates: dict[int, _CandidateState] = {}
        self._failed = False

    def encode(self, chunk: LLMResponse) -> bytes:
        if chunk.raw is not None and chunk.raw.api == API:
            return chunk.raw.body
        if chunk.kind is EventKind.KEEP_ALIVE:
            return KEEP_ALIVE
        if chunk.kind is EventKind.ERROR:
            self._failed = True
            return encode_error_info(chunk.error) if chunk.error is not None else b""
        self._read_head(chunk)
        candidates = [wire for choice in chunk.choices if (wire := self._candidate(choice)) is not None]
        return self._event(candidates) if candidates else b""

    def finish(self, response: LLMResponse) -> bytes:
        if self._failed:
            return b""
        self._read_head(response)
        choices = response.choices or [Choice()]
        return self._event([self._end(choice) for choice in choices], {"usageMetadata": encode_usage(response.usage)})

    def _read_head(self, chunk: LLMResponse) -> None:
        if self._head is None:
            self._head = answer_head(chunk, self._request)

    def _event(self, candidates: list[WireObject], more: WireObject | None = None) -> bytes:
        assert self._head is not None
        return b"data: " + _encode({"candidates": candidates, **(more or {}), **self._head}) + b"\r\n\r\n"

    def _state(self, index: int) -> _CandidateState:
        return self._candidates.setdefault(index, _CandidateState())

    def _candidate(self, choice: Choice) -> WireObject | None:
        state = self._state(choice.index)
        content = choice.delta.content if choice.delta is not None else None
        if content is None and choice.message is not None:
            content = choice.message.content
        parts: list[WireObject | Raw] = []
        for part in content or ():
            self._part(state, part, parts)
        logprobs = encode_logprobs(choice.logprobs)
        if not parts and logprobs is None:
            return None
        candidate = _content(choice.index, parts)
        if logprobs is not None:
            candidate["logprobsResult"] = logprobs
        return candidate

    def _part(self, state: _CandidateState, part: Part, out: list[WireObject | Raw]) -> None:
        self._say_signatures(state, out, but=part.index)
        if isinstance(part, ToolCallPart):
            self._call(state, part, out)
            return
        self._leave_call(state, out)
        if isinstance(part, ReasoningPart):
            _keep_signed(state, part)
            wire: WireObject | Raw | None = reasoning_part(part.text, ReasoningPart())
        else:
            if isinstance(part, TextPart):
                state.citations += part.citations
            wire = encode_part(part)
        if wire is not None:
            out.append(wire)
        elif not isinstance(part, TextPart | RefusalPart | ReasoningPart):
            self._drop(state, part)

    def _drop(self, state: _CandidateState, part: Part) -> None:
        """Count a part that cannot be said, once."""
        key = (type(part), part.index)
        if key not in state.dropped:
            state.dropped.add(key)
            self.dropped_blocks += 1

    def _say_signatures(self, state: _CandidateState, out: list[WireObject | Raw], *, but: int | None = None) -> None:
        for index in [index for index in state.blocks if index != but]:
            wire = reasoning_part("", state.blocks.pop(index))
            if wire is not None:
                out.append(wire)

    def _call(self, state: _CandidateState, part: ToolCallPart, out: list[WireObject | Raw]) -> None:
        call = state.calls.get(part.index)
        if call is None or call.is_another(part):
            self._leave_call(state, out)
            if part.index in state.calls:  # the one before it under this index is as complete as it will be
                self._say_call(state, part.index, out)
            call = state.calls[part.index] = _Call(part)
        elif state.open_call != part.index:
            self._leave_call(state, out)
        state.open_call = part.index
        call.add(part)

    def _leave_call(self, state: _CandidateState, out: list[WireObject | Raw]) -> None:
        """Another part begins: a call that is complete is said, one that is not may go on later."""
        index = state.open_call
        state.open_call = None
        if index is None or index not in state.calls:
            return
        call = state.calls[index]
        if call.head.name and json_object("".join(call.arguments) or "{}") is not None:
            self._say_call(state, index, out)

    def _say_call(self, state: _CandidateState, index: int, out: list[WireObject | Raw]) -> None:
        call = state.calls.pop(index)
        wire = call_part(call.head, "".join(call.arguments))
        if wire is None or not call.head.name:
            self.dropped_blocks += 1
        else:
            out.append(wire)

    def _end(self, choice: Choice) -> WireObject:
        state = self._state(choice.index)
        parts: list[WireObject | Raw] = []
        self._say_signatures(state, parts)
        for index in list(state.calls):
            self._say_call(state, index, parts)
        candidate = _content(choice.index, parts or [{"text": ""}])
        candidate["finishReason"] = reason_of(choice.finish_reason, choice.native_finish_reason)
        metadata, dropped = citation_metadata(state.citations)
        self.dropped_blocks += dropped
        if metadata is not None:
            candidate["citationMetadata"] = metadata
        return candidate


def _keep_signed(state: _CandidateState, piece: ReasoningPart) -> None:
    """Keep what is signed: it comes in pieces, and who signed it may be said before or after."""
    block = state.blocks.setdefault(piece.index, ReasoningPart())
    block.signature += piece.signature
    block.redacted += piece.redacted
    block.id = piece.id or block.id
    block.format = piece.format or block.format


def _content(index: int, parts: list[Any]) -> WireObject:
    return {"content": {"parts": parts, "role": "model"}, "index": index}
