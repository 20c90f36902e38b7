"""A streamed answer for an OpenAI client: chunks of the model in, `data:` events out. Does no I/O.

The grammar that this file keeps, for each choice:

    role -> (text | reasoning | refusal | tool call | audio | image | annotations | reasoning_details)* -> finish_reason

and for the stream: at the end the usage, if the client asked for it, then `[DONE]`. The rules behind it come from what
SDKs do with deltas: they join strings, so the role, an id and a name are said once; they merge the entries of a list by
their `index`, so every entry has one and no list numbers two things alike. Hence a signed block of reasoning is said
whole, in one entry of `reasoning_details`, when it is over; and a citation when its text is.

A chunk that comes from this same API unchanged is relayed: its own bytes go out, and what they said is noted. Only tool
calls are numbered across events, so once anything was encoded in between (a plugin may have added or taken away a
call), chunks with tool calls are encoded, too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import (
    AudioPart,
    Choice,
    EventKind,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    signature_block,
)
from providers.model.text_run import TextRun
from providers.wire.openai_chat.answer_parts import (
    ENCODER,
    annotation,
    answer_head,
    answer_image,
    default_finish_reason,
    make_call_id,
    signed,
    tool_call,
)
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.reasoning import needs_detail, part_detail
from providers.wire.openai_chat.stream_choice import Block, Call, ChoiceState
from providers.wire.openai_chat.usage import encode_usage
from providers.wire.repeat import repeat_event


class _Delta(msgspec.Struct, omit_defaults=True, gc=False):
    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    audio: dict[str, Any] | None = None
    annotations: list[dict[str, Any]] | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    images: list[dict[str, Any]] | None = None


_NOTHING = _Delta()


class _Choice(msgspec.Struct, gc=False):
    index: int
    delta: _Delta
    logprobs: dict[str, Any] | None = None
    finish_reason: str | None = None


_TEXT_BEFORE, _, _TEXT_AFTER = (ENCODER.encode(_Choice(0, _Delta(content="~"))) + b"]}\n\n").partition(b'"~"')
"""What stands around the text in an event of nothing else, behind the head."""


class ChatStreamEncoder:
    """Implements `providers.wire.base.StreamEncoder`."""

    __slots__ = ("_choices", "_encoded", "_ended", "_failed", "_head", "_request", "_usage_said", "dropped_blocks")

    relays = True

    def __init__(self, request: LLMRequest) -> None:
        self._request = request
        self._head: bytes | None = None
        """Every event up to its choices: the same for the whole stream."""
        self._choices: dict[int, ChoiceState] = {}
        self._failed = False
        self._encoded = False
        """Whether any event was made here."""
        self._ended = False
        """Whether the provider's own terminator was relayed."""
        self._usage_said = False
        self.dropped_blocks = 0
        """Parts and citations so far that this API has no place for."""

    def encode(self, chunk: LLMResponse) -> bytes:
        """The events that say `chunk`; b"" if there is nothing to say."""
        kind = chunk.kind
        raw = chunk.raw
        if raw is not None and raw.api == API and not (self._encoded and _has_tool_calls(chunk)):
            return self._relay(chunk, raw.body)
        if kind is EventKind.KEEP_ALIVE:
            return b": keep-alive\n\n"
        if kind is EventKind.DONE and not chunk.choices:
            return b""
        self._encoded = True
        if self._head is None:
            self._start(chunk)
        if chunk.error is not None:
            self._failed = True
            info = chunk.error
            error: dict[str, str | None] = {
                "message": info.message,
                "type": info.type or "server_error",
                "param": info.param,
                "code": info.code,
            }
            return b"data: " + ENCODER.encode({"error": error}) + b"\n\n"
        out: list[bytes] = []
        for choice in chunk.choices:
            self._encode_choice(choice, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def encode_run(self, run: TextRun) -> bytes:
        """See `RunEncoder`. In the middle of a text, all that differs between the events is the text."""
        state = self._choices.get(0)
        in_text = state is not None and state.role_said and state.open_part == (TextPart, run.part)
        if state is None or not in_text or run.raw.api == API:  # this API's own bytes are relayed
            return b"".join([self.encode(chunk) for chunk in run.chunks()])
        state.chars += sum(map(len, run.texts))
        assert self._head is not None
        before = self._head + _TEXT_BEFORE
        return repeat_event(before, run.texts, _TEXT_AFTER)

    def finish(self, response: LLMResponse) -> bytes:
        """The events that end the stream well. `response` is the accumulated answer."""
        if self._failed or self._ended:
            return b""
        if self._head is None:
            self._start(response)
        reasons = {choice.index: choice.finish_reason for choice in response.choices}
        out: list[bytes] = []
        for index in list(self._choices) or [0]:
            state = self._state(index)
            if state.finish_reason is None:
                self._finish_choice(state, reasons.get(index), out)
        if self._request.include_usage and response.usage is not None and not self._usage_said:
            assert self._head is not None
            usage = ENCODER.encode(encode_usage(response.usage))
            out.append(b"".join((self._head, b'],"usage":', usage, b"}\n\n")))
        out.append(b"data: [DONE]\n\n")
        return b"".join(out)

    # -- relayed events -----------------------------------------------------------------------------------------------

    def _relay(self, chunk: LLMResponse, body: bytes) -> bytes:
        """The event as it came, if the client is to see it. What it says is noted."""
        match chunk.kind:
            case EventKind.KEEP_ALIVE:
                return body
            case EventKind.DONE:
                # After an event made here the end is made here, too: `finish` knows what is missing.
                self._ended = not self._encoded
                return body if self._ended else b""
            case EventKind.ERROR:
                self._failed = True
                return body
            case EventKind.USAGE if not self._request.include_usage:
                return b""
        if self._head is None:
            self._start(chunk)
        if chunk.usage is not None:
            self._usage_said = True
        for choice in chunk.choices:
            self._note(self._state(choice.index), choice)
        return body

    @staticmethod
    def _note(state: ChoiceState, choice: Choice) -> None:
        state.role_said = True
        for part in choice.delta.content if choice.delta is not None else ():
            state.open_part = (type(part), part.index)
            if isinstance(part, TextPart):
                state.chars += len(part.text)
            elif isinstance(part, ToolCallPart):
                call = state.calls.get(part.index)
                if call is None or (part.id and call.head.id and part.id != call.head.id):
                    call = state.calls[part.index] = Call(state.call_count, part)
                    state.call_count += 1
                    call.said = True
                call.head.id = call.head.id or part.id
                call.head.name = call.head.name or part.name
            elif isinstance(part, ImagePart):
                state.images += 1
        if choice.finish_reason is not None:
            state.finish_reason = choice.finish_reason

    # -- encoded events -----------------------------------------------------------------------------------------------

    def _start(self, response: LLMResponse) -> None:
        head = ENCODER.encode(answer_head(response, self._request, "chat.completion.chunk"))
        self._head = b"".join((b"data: ", head[:-1], b',"choices":['))

    def _state(self, index: int) -> ChoiceState:
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = ChoiceState(index)
        return state

    def _say(self, state: ChoiceState, delta: _Delta, out: list[bytes], choice: Choice | None = None) -> None:
        if not state.role_said:
            state.role_said = True
            if delta == _NOTHING:
                delta.content = ""
            delta.role = "assistant"
        wire = _Choice(state.index, delta, choice.logprobs if choice is not None else None)
        assert self._head is not None
        out.append(b"".join((self._head, ENCODER.encode(wire), b"]}\n\n")))

    def _encode_choice(self, choice: Choice, out: list[bytes]) -> None:
        state = self._state(choice.index)
        content = choice.delta.content if choice.delta is not None else None
        if content is None and choice.message is not None:
            content = choice.message.content
        said_before = len(out)
        # Log probabilities belong to the text: they go with the first event that is said.
        with_logprobs: Choice | None = choice if choice.logprobs else None
        for part in content or ():
            self._encode_part(state, part, out, with_logprobs)
            if len(out) > said_before:
                with_logprobs = None
        if with_logprobs is not None or not (state.role_said or choice.finish_reason):
            self._say(state, _Delta(), out, with_logprobs)
        # A body may hold a second message, with a reason of its own: the last one stands.
        if choice.finish_reason is not None and choice.finish_reason != state.finish_reason:
            self._finish_choice(state, choice.finish_reason, out)

    def _encode_part(self, state: ChoiceState, part: Part, out: list[bytes], choice: Choice | None) -> None:
        key = (type(part), part.index)
        if state.open_part != key:
            self._close_part(state, out)
            state.open_part = key
        if isinstance(part, TextPart):
            if part.text:
                state.chars += len(part.text)
                self._say(state, _Delta(content=part.text), out, choice)
            if part.citations:
                state.citations += part.citations
            if (block := signature_block(part)) is not None:
                state.blocks.setdefault(part.index, Block()).add(block)
        elif isinstance(part, ToolCallPart):
            self._encode_call(state, part, out)
        elif isinstance(part, ReasoningPart):
            state.blocks.setdefault(part.index, Block()).add(part)
            if part.text:
                self._say(state, _Delta(reasoning_content=part.text), out, choice)
        elif isinstance(part, RefusalPart):
            if part.text:
                self._say(state, _Delta(refusal=part.text), out, choice)
        elif isinstance(part, AudioPart):
            self._say(state, _Delta(audio=_audio(part)), out)
        elif isinstance(part, ImagePart) and (image := answer_image(part)) is not None:
            self._say(state, _Delta(images=[{"index": state.images, **image}]), out)
            state.images += 1
        elif state.is_new_opaque(part):
            self.dropped_blocks += 1

    def _encode_call(self, state: ChoiceState, part: ToolCallPart, out: list[bytes]) -> None:
        call = state.calls.get(part.index)
        if call is None or (part.id and call.head.id and part.id != call.head.id):
            if call is not None and not call.said:
                self._start_call(state, call, out)
            call = state.calls[part.index] = Call(state.call_count, part)
            state.call_count += 1
        if call.said:
            if part.arguments:
                self._say(state, _Delta(tool_calls=[_arguments(call, part.arguments)]), out)
            if part.signature:
                self._say(state, _Delta(tool_calls=[{"index": call.place, **signed(part.signature)}]), out)
            return
        head = call.head
        head.id = head.id or part.id
        head.name = head.name or part.name
        head.signature += part.signature
        if part.arguments:
            call.arguments.append(part.arguments)
        if head.name and (head.id or call.arguments):
            self._start_call(state, call, out)

    def _start_call(self, state: ChoiceState, call: Call, out: list[bytes]) -> None:
        call.said = True
        call.head.id = call.head.id or make_call_id()
        first = {"index": call.place, **tool_call(call.head, call.head.id)}
        self._say(state, _Delta(tool_calls=[first]), out)
        if call.arguments:
            self._say(state, _Delta(tool_calls=[_arguments(call, "".join(call.arguments))]), out)

    def _close_part(self, state: ChoiceState, out: list[bytes]) -> None:
        """The open part is over, for now at least: say what can only be said at its end."""
        if state.open_part is None:
            return
        kind, index = state.open_part
        if kind is ReasoningPart:
            self._say_detail(state, index, out)
        elif kind is TextPart:
            self._say_annotations(state, out)
            self._say_detail(state, index, out)
            state.text_start = state.chars

    def _say_detail(self, state: ChoiceState, index: int, out: list[bytes]) -> None:
        block = state.blocks.get(index)
        # The signature of a block may still come after other parts: keep what was not said.
        if block is not None and needs_detail(block.part):
            block.part.text = "".join(block.texts)
            detail = part_detail(block.part, state.details)
            state.details += 1
            del state.blocks[index]
            self._say(state, _Delta(reasoning_details=[detail]), out)

    def _say_annotations(self, state: ChoiceState, out: list[bytes]) -> None:
        found: list[dict[str, Any]] = []
        for citation in state.citations:
            wire = annotation(citation, state.text_start, state.chars)
            if wire is None:
                self.dropped_blocks += 1
                continue
            found.append({**wire, "index": state.annotations})
            state.annotations += 1
        state.citations = []
        if found:
            self._say(state, _Delta(annotations=found), out)

    def _finish_choice(self, state: ChoiceState, reason: str | None, out: list[bytes]) -> None:
        self._close_part(state, out)
        state.open_part = None
        for index in list(state.blocks):
            self._say_detail(state, index, out)
        for call in state.calls.values():
            if not call.said:
                self._start_call(state, call, out)
        if not state.role_said:
            self._say(state, _Delta(), out)
        state.finish_reason = reason or default_finish_reason(state.call_count > 0)
        wire = _Choice(state.index, _Delta(), None, state.finish_reason)
        assert self._head is not None
        out.append(b"".join((self._head, ENCODER.encode(wire), b"]}\n\n")))


def _has_tool_calls(chunk: LLMResponse) -> bool:
    return any(
        isinstance(part, ToolCallPart)
        for choice in chunk.choices
        for part in (choice.delta.content if choice.delta is not None else ())
    )


def _arguments(call: Call, arguments: str) -> dict[str, Any]:
    if call.head.kind == "custom":
        return {"index": call.place, "custom": {"input": arguments}}
    return {"index": call.place, "function": {"arguments": arguments}}


def _audio(part: AudioPart) -> dict[str, Any]:
    values = {"id": part.id, "data": part.data, "transcript": part.transcript, "expires_at": part.expires_at}
    return {name: value for name, value in values.items() if value}
