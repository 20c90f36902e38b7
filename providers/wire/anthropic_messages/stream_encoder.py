"""Streamed answers out: chunks to an Anthropic event stream. No I/O; imports the model.

Theory of operation. An encoder is in one of two modes.

* *Relay*, as long as the chunks come from this same API unchanged: their own bytes go out. The encoder only notes which
  blocks are open. A changed chunk that extends an open block is encoded in between; where the end of that block went
  into the change, it is made up for before the next event that cannot stand inside a block.
* *Encode*, from the first chunk that fits no other way (another API's, or one in which a plugin began a block or
  changed the end): everything is made from the model. There is no way back within a stream, since the block numbers
  have parted.

The grammar of the encode mode: `message_start`, blocks, `message_delta`, `message_stop`. Blocks are numbered in order
of their start and follow one another: a part of another kind or index ends the one before. The exception is a tool call
whose arguments are not complete JSON when another part begins (parallel calls that arrive interleaved): it stays open
to the end. Its arguments are looked at once, so the cost stays linear.

The end (`message_delta`, `message_stop`) is written by `finish` alone: other APIs report usage after the finish reason.
"""

from __future__ import annotations

import secrets

import msgspec

from providers.model import (
    Choice,
    EventKind,
    LLMRequest,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    signature_block,
)
from providers.model.text_run import TextRun
from providers.wire.anthropic_messages.errors import encode_error_info
from providers.wire.anthropic_messages.finish import stop_reason_of
from providers.wire.anthropic_messages.response_encoder import new_message_id
from providers.wire.anthropic_messages.stream_blocks import Block, PendingCall
from providers.wire.anthropic_messages.structs import API, SIGNATURE_FORMAT
from providers.wire.anthropic_messages.usage import encode_usage
from providers.wire.json_text import json_object
from providers.wire.repeat import repeat_event
from providers.wire.seals import seal

_PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_OUTSIDE_OF_BLOCKS = (b'"content_block_start"', b'"message_delta"', b'"message_stop"')
"""As they stand in an event's bytes. In a text's JSON the quotes would be escaped."""
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_TEXT_DELTA = b'{"type":"text_delta","text":'
_INPUT_DELTA = b'{"type":"input_json_delta","partial_json":'

_json = msgspec.json.Encoder().encode


class AnthropicStreamEncoder:
    """See `StreamEncoder`. One for each stream."""

    __slots__ = (
        "_base",
        "_blocks",
        "_calls",
        "_current",
        "_delta_sent",
        "_dropped",
        "_ended",
        "_has_tool_call",
        "_lingering",
        "_next",
        "_pending",
        "_relaying",
        "_request",
        "_started",
        "dropped_blocks",
    )

    relays = True

    def __init__(self, request: LLMRequest) -> None:
        self.dropped_blocks = 0
        self._request = request
        self._relaying = True
        self._started = False
        self._delta_sent = False
        self._ended = False
        self._has_tool_call = False
        self._next = 0
        """The number of the next block on the client's wire."""
        self._base = 0
        """Relay mode: the part index of the current message's block 0."""
        self._current: Block | None = None
        self._lingering: list[Block] = []
        self._blocks: dict[tuple[type, int], Block] = {}
        """The last block of each key. Text and reasoning are looked up only while they are current."""
        self._calls: dict[int, str] = {}
        """The id of the last tool call under each part index."""
        self._pending: dict[int, PendingCall] = {}
        self._dropped: set[tuple[str, int]] = set()

    def encode(self, chunk: LLMResponse) -> bytes:
        raw = chunk.raw
        if raw is not None and raw.api == API:
            self._relaying = self._relaying and self._fits_grammar(chunk, raw.body)
            if self._relaying:
                missing = self._missing_end(raw.body)
                self._observe(chunk, raw.body)
                return missing + raw.body
            if chunk.kind is EventKind.KEEP_ALIVE:
                return raw.body
        if chunk.kind is EventKind.KEEP_ALIVE:
            return _PING
        if chunk.kind is EventKind.ERROR:
            self._ended = True
            return encode_error_info(chunk.error) if chunk.error is not None else b""
        self._relaying = self._relaying and self._started and self._fits_relay(chunk)
        out: list[bytes] = []
        if not self._started:
            self._begin_message(chunk, out)
        for choice in chunk.choices:
            if choice.index != 0:
                self._drop("choice", choice.index)
                continue
            for part in _parts(choice):
                self._part(part, out)
        return b"".join(out)

    def encode_run(self, run: TextRun) -> bytes:
        """See `RunEncoder`. In the middle of a block, all that differs between the events is the text."""
        current = self._current
        if self._relaying or current is None or current.key != (TextPart, run.part):
            return b"".join([self.encode(chunk) for chunk in run.chunks()])
        out: list[bytes] = []
        _delta(current.index, _TEXT_DELTA, "~", out)
        before, _, after = out[0].partition(b'"~"')
        return repeat_event(before, run.texts, after)

    def finish(self, response: LLMResponse) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        if self._delta_sent:
            return _MESSAGE_STOP
        out: list[bytes] = []
        if not self._started:
            self._begin_message(response, out)
        for index in list(self._pending):
            self._drop("tool_call", index)
        if self._current is not None:
            self._lingering.append(self._current)
        for block in sorted(self._lingering, key=lambda block: block.index):
            self._end_block(block, out)
        choice = next((choice for choice in response.choices if choice.index == 0), None) or Choice()
        sequence = choice.stop_sequence
        reason = stop_reason_of(
            choice.finish_reason, choice.native_finish_reason, sequence, has_tool_call=self._has_tool_call
        )
        event = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": encode_usage(response.usage),
        }
        out += (b"event: message_delta\ndata: ", _json(event), b"\n\n", _MESSAGE_STOP)
        return b"".join(out)

    # Relay mode.

    def _fits_grammar(self, chunk: LLMResponse, body: bytes) -> bool:
        """Whether an event can be relayed: not a delta whose block the client never saw begin."""
        if chunk.kind is not EventKind.CHUNK or b'"content_block_delta"' not in body:
            return True
        current = self._current
        return all(
            current is not None and current.key == (type(part), part.index)
            for choice in chunk.choices
            for part in _parts(choice)
        )

    def _missing_end(self, body: bytes) -> bytes:
        """The end of a block that a changed chunk swallowed, due before `body`."""
        current = self._current
        if current is None or not any(event in body for event in _OUTSIDE_OF_BLOCKS):
            return b""
        out: list[bytes] = []
        self._end_block(current, out)
        self._current = None
        return b"".join(out)

    def _observe(self, chunk: LLMResponse, body: bytes) -> None:
        """Note what a relayed event did to the client's view."""
        if chunk.kind is not EventKind.CHUNK:
            if chunk.kind in (EventKind.DONE, EventKind.ERROR):
                self._ended = True
            return
        for choice in chunk.choices:
            if choice.delta is not None and choice.delta.role is not None:
                if self._next:
                    self._base = 1 + max(index for _, index in self._blocks)
                self._started, self._ended, self._delta_sent = True, False, False
                self._next = 0
                self._current = None
            if choice.finish_reason is not None:
                self._delta_sent = True
            for part in _parts(choice):
                self._observe_part(part)
        if self._current is not None and b'"content_block_stop"' in body:
            self._current.ended = True
            self._current = None

    def _observe_part(self, part: Part) -> None:
        key = (type(part), part.index)
        if self._current is not None and self._current.key == key:
            return
        if key not in self._blocks:
            self._blocks[key] = self._current = Block(part.index - self._base, key)
            self._next = self._current.index + 1
        if isinstance(part, ToolCallPart):
            self._has_tool_call = True
            if part.id:
                self._calls[part.index] = part.id

    def _fits_relay(self, chunk: LLMResponse) -> bool:
        """Whether a changed chunk only extends the block that is open."""
        if chunk.kind is not EventKind.CHUNK or chunk.usage is not None or self._current is None:
            return False
        key = self._current.key
        return all(
            choice.finish_reason is None and all((type(part), part.index) == key for part in _parts(choice))
            for choice in chunk.choices
        )

    # Encode mode.

    def _begin_message(self, chunk: LLMResponse, out: list[bytes]) -> None:
        self._started = True
        message: dict[str, object] = {
            "id": chunk.id or new_message_id(),
            "type": "message",
            "role": "assistant",
            "model": chunk.model or self._request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": encode_usage(chunk.usage),
        }
        out += (b"event: message_start\ndata: ", _json({"type": "message_start", "message": message}), b"\n\n")

    def _part(self, part: Part, out: list[bytes]) -> None:
        if (signed := signature_block(part)) is not None:
            self._reasoning(signed, out)
        match part:
            case TextPart() | RefusalPart():
                if part.text:
                    block = self._sequential(part, {"type": "text", "text": ""}, out)
                    _delta(block.index, _TEXT_DELTA, part.text, out)
                if isinstance(part, TextPart) and part.citations:
                    self._citations(part, out)
            case ToolCallPart():
                self._tool_call(part, out)
            case ReasoningPart():
                self._reasoning(part, out)
            case OpaquePart():
                self._opaque(part, out)
            case _:
                self._drop(type(part).__name__, part.index)

    def _citations(self, part: TextPart, out: list[bytes]) -> None:
        for citation in part.citations:
            if citation.api != API or citation.raw is None:
                self.dropped_blocks += 1
                continue
            block = self._sequential(part, {"type": "text", "text": ""}, out)
            _delta(block.index, b'{"type":"citations_delta","citation":', citation.raw, out)

    def _reasoning(self, part: ReasoningPart, out: list[bytes]) -> None:
        if part.redacted:
            self._switch(None, out)
            start = {"type": "redacted_thinking", "data": seal(part, (SIGNATURE_FORMAT,))}
            block = self._begin_block((ReasoningPart, part.index), start, out)
            self._end_block(block, out)
        if not (part.text or part.signature):
            return
        block = self._sequential(part, {"type": "thinking", "thinking": "", "signature": ""}, out)
        if part.text:
            _delta(block.index, b'{"type":"thinking_delta","thinking":', part.text, out)
        if part.signature:
            block.signature.append(part.signature)
        if part.format is not None or part.id is not None:
            signer = block.signer
            block.signer = ReasoningPart(format=part.format or signer.format, id=part.id or signer.id)
        if self._relaying:  # the block's end will be relayed
            self._sign(block, out)

    def _opaque(self, part: OpaquePart, out: list[bytes]) -> None:
        key = (OpaquePart, part.index)
        if bytes(part.raw) and part.api == API:
            self._switch(None, out)
            self._current = self._begin_block(key, part.raw, out)
        block = self._blocks.get(key)
        if block is None or block.ended or part.api != API:
            self._drop("opaque", part.index)
        elif part.input:
            _delta(block.index, _INPUT_DELTA, part.input, out)

    def _tool_call(self, part: ToolCallPart, out: list[bytes]) -> None:
        index = part.index
        key = (ToolCallPart, index)
        known = self._calls.get(index)
        block = self._blocks.get(key)
        if block is None or (part.id and known is not None and part.id != known):
            block = self._begin_call(part, key, out)
            if block is None:
                return
        elif not part.arguments:
            return
        else:
            self._switch(block, out)
            pieces = part.arguments
            if block.ended:  # complete JSON cannot go on, unless with white space
                if pieces.strip():
                    self._drop("arguments", block.index)
                return
            self._arguments(block, pieces, out)

    def _begin_call(self, part: ToolCallPart, key: tuple[type, int], out: list[bytes]) -> Block | None:
        pending = self._pending.setdefault(part.index, PendingCall())
        pending.id = part.id or pending.id
        pending.arguments.append(part.arguments)
        if not part.name:
            return None
        del self._pending[part.index]
        self._has_tool_call = True
        self._switch(None, out)
        call_id = pending.id or "toolu_" + secrets.token_hex(12)
        self._calls[part.index] = call_id
        start = {"type": "tool_use", "id": call_id, "name": part.name, "input": {}}
        block = self._current = self._begin_block(key, start, out)
        if part.kind == "custom":  # its free text becomes the one member of an object
            block.is_text = True
            _delta(block.index, _INPUT_DELTA, '{"input":"', out)
        self._arguments(block, "".join(pending.arguments), out)
        return block

    def _arguments(self, block: Block, pieces: str, out: list[bytes]) -> None:
        if pieces:
            if not block.lingers:
                block.arguments.append(pieces)
            text = _json(pieces)[1:-1].decode() if block.is_text else pieces
            _delta(block.index, _INPUT_DELTA, text, out)

    def _sequential(self, part: Part, start: dict[str, str], out: list[bytes]) -> Block:
        """The open block that `part` extends; one is begun if another kind of part, or none, came before."""
        key = (type(part), part.index)
        current = self._current
        if current is not None and current.key == key:
            return current
        self._switch(None, out)
        self._current = self._begin_block(key, start, out)
        return self._current

    def _switch(self, to: Block | None, out: list[bytes]) -> None:
        """Leave the current block: end it, or let an unfinished tool call linger."""
        current = self._current
        if current is to:
            return
        if current is not None and not current.ended:
            if not current.lingers and current.key[0] is ToolCallPart:
                current.lingers = current.is_text or json_object("".join(current.arguments)) is None
                current.arguments.clear()
                if current.lingers:
                    self._lingering.append(current)
            if not current.lingers:
                self._end_block(current, out)
        self._current = to if to is not None and not to.ended else None

    def _begin_block(self, key: tuple[type, int], start: object, out: list[bytes]) -> Block:
        block = self._blocks[key] = Block(self._next, key)
        self._next += 1
        event = {"type": "content_block_start", "index": block.index, "content_block": start}
        out += (b"event: content_block_start\ndata: ", _json(event), b"\n\n")
        return block

    def _end_block(self, block: Block, out: list[bytes]) -> None:
        if block.ended:
            return
        block.ended = True
        self._sign(block, out)
        if block.is_text:
            _delta(block.index, _INPUT_DELTA, '"}', out)
        out.append(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % block.index)

    @staticmethod
    def _sign(block: Block, out: list[bytes]) -> None:
        signature = block.whole_signature()
        if signature != block.signed:
            block.signed = signature
            _delta(block.index, b'{"type":"signature_delta","signature":', signature, out)

    def _drop(self, kind: str, index: int) -> None:
        """Count something that cannot be said, once for each thing."""
        if (kind, index) not in self._dropped:
            self._dropped.add((kind, index))
            self.dropped_blocks += 1


def _parts(choice: Choice) -> list[Part]:
    if choice.delta is not None:
        return choice.delta.content
    return choice.message.content if choice.message is not None else []


def _delta(index: int, head: bytes, value: object, out: list[bytes]) -> None:
    out.append(
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b%b}}\n\n'
        % (index, head, _json(value))
    )
