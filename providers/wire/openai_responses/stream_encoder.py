"""A streamed answer for a client of the Responses API: chunks of the model in, named events out. Does no I/O.

The grammar that this file keeps (the official SDK's accumulator asserts on it):

    created, in_progress, item*, (completed | incomplete)
    item    = output_item.added, content*, output_item.done
    content = content_part.added, (output_text | refusal).delta*, annotation.added*, .done, content_part.done
            | reasoning_summary_part.added, reasoning_summary_text.delta*, .done, reasoning_summary_part.done
            | (function_call_arguments | custom_tool_call_input).delta*, .done          (an item has one of these)
            | image_generation_call.in_progress, .generating, .completed

Every event has the next `sequence_number`; an item keeps its id and its `output_index` to the end, and the last event
repeats the items as their own last events told them. Items follow each other, but for calls whose arguments are not
complete when another part begins (parallel calls that arrive interleaved): these stay open to the end. Their arguments
are looked at once, so the cost stays linear. Texts that follow each other are content parts of one message.
"""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

import msgspec

from providers.model import (
    Choice,
    EventKind,
    ImagePart,
    LLMRequest,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    part_kind,
    signature_block,
)
from providers.wire.json_text import json_object
from providers.wire.openai_responses.api import API, CONTENT_FORMAT
from providers.wire.openai_responses.envelope import envelope
from providers.wire.openai_responses.errors import encode_error_info
from providers.wire.openai_responses.finish import ending_of
from providers.wire.openai_responses.output_items import (
    CallItem,
    Content,
    ContentKind,
    ImageItem,
    Item,
    ItemStatus,
    MessageItem,
    ReasoningItem,
)
from providers.wire.openai_responses.usage import encode_usage

_json = msgspec.json.Encoder().encode

_T = TypeVar("_T", bound=Item)

_NAMES: dict[str, tuple[str, str, str, str]] = {
    # kind: the part's events, the text's events, the field that numbers it, the field with the whole text
    "output_text": ("content_part", "output_text", "content_index", "text"),
    "refusal": ("content_part", "refusal", "content_index", "refusal"),
    "reasoning_text": ("content_part", "reasoning_text", "content_index", "text"),
    "summary_text": ("reasoning_summary_part", "reasoning_summary_text", "summary_index", "text"),
}


class _PendingCall:
    """A tool call whose name has not come yet, so that its item cannot begin."""

    __slots__ = ("arguments", "id")

    def __init__(self) -> None:
        self.id = ""
        self.arguments: list[str] = []


class ResponsesStreamEncoder:
    """Implements `providers.wire.base.StreamEncoder`. After `finish`, `response` is the whole answer."""

    __slots__ = (
        "_calls",
        "_chars",
        "_content",
        "_current",
        "_done",
        "_dropped",
        "_ended",
        "_ids",
        "_next_item",
        "_open_calls",
        "_out",
        "_pending",
        "_request",
        "_sequence",
        "_signers",
        "_texts",
        "_token",
        "dropped_blocks",
        "response",
        "unsaid",
    )

    def __init__(self, request: LLMRequest) -> None:
        self.dropped_blocks = 0
        self.unsaid: list[str] = []
        """The kind of each of these."""
        self.response: dict[str, Any] = {}
        """The response object, once the answer has begun."""
        self._request = request
        self._token = uuid.uuid4().hex
        """What the ids of this answer have in common."""
        self._sequence = 0
        self._ended = False
        self._out: list[bytes] = []
        """The events of the call under way."""
        self._next_item = 0
        self._current: Item | None = None
        """The item that was extended last, while it is open."""
        self._content: Content | None = None
        """The open content of the current item."""
        self._open_calls: list[CallItem] = []
        """Calls that linger."""
        self._calls: dict[int, CallItem] = {}
        """The last call under each part index."""
        self._signers: dict[int, ReasoningPart] = {}
        """By part index, first pieces of reasoning that told only who signs it."""
        self._pending: dict[int, _PendingCall] = {}
        self._done: dict[int, object] = {}
        """Items that are over, as they were told, by `output_index`."""
        self._dropped: set[tuple[str, int]] = set()
        self._ids: set[str] = set()
        """Ids of items and calls that were begun."""
        self._texts: set[int] = set()
        """Indices of the text parts that were begun."""
        self._chars = 0
        """Characters of text said so far."""

    def encode(self, chunk: LLMResponse) -> bytes:
        """The events that say `chunk`; b"" if there is nothing to say."""
        if chunk.kind is EventKind.KEEP_ALIVE:
            return b": keep-alive\n\n"
        if chunk.kind is EventKind.DONE and not chunk.choices:
            return b""
        if not self.response:
            self._begin(chunk)
        if chunk.error is not None:
            self._ended = True
            self._out.append(encode_error_info(chunk.error, self._sequence))
        for choice in chunk.choices:
            if choice.index == 0:
                self._choice(choice)
            else:
                self._drop("choice", choice.index)
        return self._take()

    def finish(self, response: LLMResponse) -> bytes:
        """The events that end the stream well. `response` is the accumulated answer."""
        if self._ended:
            return b""
        self._ended = True
        if not self.response:
            self._begin(response)
        choice = next((choice for choice in response.choices if choice.index == 0), None) or Choice()
        status, reason = ending_of(choice.finish_reason)
        last: ItemStatus = "completed" if status == "completed" else "incomplete"
        for index in list(self._pending):
            self._drop("tool_call", index)
        still_open: list[Item] = [*self._open_calls, *([self._current] if self._current is not None else [])]
        for item in sorted(still_open, key=lambda item: item.index):
            self._end_item(item, last)
        whole = self.response
        whole["status"] = status
        whole["incomplete_details"] = {"reason": reason} if reason is not None else None
        whole["output"] = [self._done[index] for index in sorted(self._done)]
        if response.usage is not None:
            whole["usage"] = encode_usage(response.usage)
        self._event(f"response.{status}", response=whole)
        return self._take()

    # -- events -------------------------------------------------------------------------------------------------------

    def _take(self) -> bytes:
        out = self._out
        if not out:
            return b""
        self._out = []
        return out[0] if len(out) == 1 else b"".join(out)

    def _event(self, name: str, **fields: Any) -> None:
        event = {"type": name, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        self._out += (b"event: ", name.encode(), b"\ndata: ", _json(event), b"\n\n")

    def _say(self, content: Content, text: str, logprobs: object = None) -> None:
        """A delta: the one event that there are many of."""
        content.texts.append(text)
        name = b"response.%b.delta" % _NAMES[content.kind][1].encode()
        more = b',"logprobs":%b' % _json(logprobs or []) if content.kind == "output_text" else b""
        self._out.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b,"delta":%b%b}\n\n'
            % (name, name, self._sequence, content.place, _json(text), more)
        )
        self._sequence += 1

    def _begin(self, chunk: LLMResponse) -> None:
        self.response = envelope(chunk, self._request, f"resp_{self._token}")
        self._event("response.created", response=self.response)
        self._event("response.in_progress", response=self.response)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _choice(self, choice: Choice) -> None:
        content = choice.delta.content if choice.delta is not None else None
        if content is None and choice.message is not None:
            content = choice.message.content
        # Log probabilities belong to the text: they go with the first one.
        logprobs = choice.logprobs.get("content") if choice.logprobs else None
        for part in content or ():
            if (signed := signature_block(part)) is not None:
                self._reasoning(signed)
            if isinstance(part, TextPart) and part.text:
                self._text(part, "output_text", logprobs)
                logprobs = None
            else:
                self._part(part)
            if isinstance(part, TextPart) and part.citations:
                self._cite(part)

    def _part(self, part: Part) -> None:
        match part:
            case TextPart():
                pass
            case RefusalPart():
                if part.text:
                    self._text(part, "refusal", None)
            case ReasoningPart():
                self._reasoning(part)
            case ToolCallPart():
                self._call(part)
            case OpaquePart() if part.api == API and bytes(part.raw):
                self._leave()
                self._event("response.output_item.added", output_index=self._next_item, item=part.raw)
                self._event("response.output_item.done", output_index=self._next_item, item=part.raw)
                self._done[self._next_item] = part.raw
                self._next_item += 1
            case ImagePart() if part.data:
                self._image(part)
            case _:
                self._drop_part(part)

    def _text(self, part: TextPart | RefusalPart, kind: ContentKind, logprobs: Any) -> None:
        item = self._current
        phase = part.phase if isinstance(part, TextPart) else None
        if not isinstance(item, MessageItem) or (phase is not None and phase != item.phase):
            item = self._begin_item(MessageItem(self._next_item, self._id("msg"), phase))
        content = self._content_for(item, kind, (type(part), part.index))
        self._texts.add(part.index)
        if not part.text:
            return
        if kind == "output_text":
            self._chars += len(part.text)
        if logprobs:
            content.logprobs += logprobs
        self._say(content, part.text, logprobs)

    def _cite(self, part: TextPart) -> None:
        if part.index not in self._texts:
            self._text(part, "output_text", None)  # its citations come before it
        content = self._content
        if content is not None and content.kind == "output_text":
            content.citations += part.citations
        else:
            self._lose("citation", len(part.citations))

    def _reasoning(self, part: ReasoningPart) -> None:
        key = (ReasoningPart, part.index)
        item = self._current
        if not isinstance(item, ReasoningItem) or not (
            any(content.key == key for content in item.contents[-1:])
            or (part.id is not None and part.id == item.signer.id)
        ):
            if not (part.text or part.signature or part.redacted):
                self._signers[part.index] = part
                return
            first = self._signers.pop(part.index, part)
            item = ReasoningItem(self._next_item, self._id("rs"), first)
            if item.id in self._ids:  # a block that something else came between
                item.id = self._id("rs")
            self._begin_item(item)
        item.sign(part)
        # A signature without any text keeps an empty summary, which tells it from redacted reasoning.
        if part.text or (part.signature and not item.contents):
            is_shown = item.signer.format == CONTENT_FORMAT
            content = self._content_for(item, "reasoning_text" if is_shown else "summary_text", key)
            if part.text:
                self._say(content, part.text)

    def _call(self, part: ToolCallPart) -> None:
        item = self._calls.get(part.index)
        if item is None or (part.id and item.given_id and part.id != item.given_id):
            begun = self._begin_call(part)
            if begun is None:
                return
            item = begun
        elif part.arguments:
            if item is not self._current:
                self._leave()
                self._current = item
            if item.is_over:  # complete JSON cannot go on, unless with white space
                self._current = None
                if part.arguments.strip():
                    self._drop("arguments", item.index)
                return
            self._argue(item, part.arguments)

    def _begin_call(self, part: ToolCallPart) -> CallItem | None:
        pending = self._pending.setdefault(part.index, _PendingCall())
        pending.id = part.id or pending.id
        pending.arguments.append(part.arguments)
        if not part.name:
            return None
        del self._pending[part.index]
        # SDKs tell calls by their ids; some services give two calls the same.
        call_id = pending.id if pending.id and pending.id not in self._ids else self._id("call")
        self._ids.add(call_id)
        is_custom = part.kind == "custom"
        made_id = self._id("ctc" if is_custom else "fc")
        item = self._begin_item(CallItem(self._next_item, made_id, part.name, call_id, is_custom=is_custom))
        item.given_id = pending.id
        self._calls[part.index] = item
        self._argue(item, "".join(pending.arguments))
        return item

    def _argue(self, item: CallItem, pieces: str) -> None:
        if not pieces:
            return
        item.arguments.append(pieces)
        name = "response.custom_tool_call_input.delta" if item.is_custom else "response.function_call_arguments.delta"
        self._event(name, item_id=item.id, output_index=item.index, delta=pieces)

    def _image(self, part: ImagePart) -> None:
        """An image that the model drew, said whole as what OpenAI's own tool gives."""
        item = self._begin_item(ImageItem(self._next_item, self._id("ig"), part))
        where = {"item_id": item.id, "output_index": item.index}
        for stage in ("in_progress", "generating", "completed"):
            self._event(f"response.image_generation_call.{stage}", **where)
        self._leave()

    def _drop(self, kind: str, index: int) -> None:
        """Count something that cannot be said, once for each thing."""
        if (kind, index) not in self._dropped:
            self._dropped.add((kind, index))
            self._lose(kind, 1)

    def _drop_part(self, part: Part) -> None:
        # Only an opaque part's first piece need say its kind.
        if (type(part).__name__, part.index) not in self._dropped:
            self._dropped.add((type(part).__name__, part.index))
            self._lose(part_kind(part), 1)

    def _lose(self, kind: str, count: int) -> None:
        self.dropped_blocks += count
        self.unsaid += [kind] * count

    # -- items --------------------------------------------------------------------------------------------------------

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._token}{self._next_item:02x}"

    def _begin_item(self, item: _T) -> _T:
        self._leave()
        self._current = item
        self._ids.add(item.id)
        self._next_item += 1
        self._event("response.output_item.added", output_index=item.index, item=item.whole("in_progress"))
        return item

    def _leave(self) -> None:
        """Leave the current item: end it, or let an unfinished call linger."""
        item = self._current
        if item is None:
            return
        self._current = None
        if not isinstance(item, CallItem):
            self._end_item(item, "completed")
        elif not item.lingers:
            # Free text (a custom tool's input) does not tell by itself that it is over.
            item.lingers = item.is_custom or json_object("".join(item.arguments)) is None
            if item.lingers:
                self._open_calls.append(item)
            else:
                self._end_item(item, "completed")

    def _end_item(self, item: Item, status: ItemStatus) -> None:
        if item.is_over:
            return
        item.is_over = True
        self._end_content(item)
        if isinstance(item, CallItem):
            where: dict[str, Any] = {"item_id": item.id, "output_index": item.index}
            arguments = "".join(item.arguments)
            if item.is_custom:
                self._event("response.custom_tool_call_input.done", **where, input=arguments)
            else:
                self._event("response.function_call_arguments.done", **where, arguments=arguments)
        whole = self._done[item.index] = item.whole(status)
        self._event("response.output_item.done", output_index=item.index, item=whole)

    def _content_for(self, item: Item, kind: ContentKind, key: tuple[type, int]) -> Content:
        """The item's open content that a part extends; one is begun if another is open, or none."""
        content = self._content
        if content is not None and content.key == key and content.kind == kind:
            return content
        self._end_content(item)
        part_name, _, index_name, _ = _NAMES[kind]
        index = sum(1 for other in item.contents if (other.kind == "summary_text") == (kind == "summary_text"))
        place = b'"item_id":%b,"output_index":%d,"%b":%d' % (_json(item.id), item.index, index_name.encode(), index)
        content = self._content = Content(kind, key, index, place, self._chars)
        item.contents.append(content)
        where: dict[str, Any] = {"item_id": item.id, "output_index": item.index, index_name: index}
        self._event(f"response.{part_name}.added", **where, part=content.whole())
        return content

    def _end_content(self, item: Item) -> None:
        content = self._content
        if content is None or content not in item.contents[-1:]:
            return
        self._content = None
        part_name, text_name, index_name, text_field = _NAMES[content.kind]
        where: dict[str, Any] = {"item_id": item.id, "output_index": item.index, index_name: content.index}
        text = content.text
        if content.citations:
            self._lose("citation", content.annotate(len(text)))
            for number, annotation in enumerate(content.annotations):
                name = "response.output_text.annotation.added"
                self._event(name, **where, annotation_index=number, annotation=annotation)
        logprobs = {"logprobs": content.logprobs} if content.kind == "output_text" else {}
        self._event(f"response.{text_name}.done", **where, **{text_field: text}, **logprobs)
        self._event(f"response.{part_name}.done", **where, part=content.whole())
