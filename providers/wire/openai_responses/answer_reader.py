"""`AnswerReader`: the output items of an answer as parts of the model. The same code reads streams and whole answers.

Two rules of this file:
* A piece belongs to its item by `output_index` alone: some services change an item's id with every event.
* What is told again is said once. `*.done` events and whole items repeat what deltas told, so of these only the rest
  is taken: all of it where a vendor streams no deltas, nothing where it does.

A message's texts, a refusal, each summary and each call are a part of their own. Encrypted reasoning, known only when
its item is over, is the signature of the item's last part, or a part without text where the item has none. Items of all
other types are opaque: tools that the provider runs itself are never tool calls.
"""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec
from msgspec import Raw

from providers.model import JSONObject, OpaquePart, Part, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from providers.wire.json_text import UNREADABLE
from providers.wire.lenient import decode_leniently
from providers.wire.openai_responses.annotations import decode_annotation
from providers.wire.openai_responses.api import API, CONTENT_FORMAT, SUMMARY_FORMAT
from providers.wire.openai_responses.response_structs import ITEM, TYPED, ContentPart, OutputItem

PieceKind = Literal["output_text", "refusal", "summary_text", "reasoning_text", "call"]

_CALLS: dict[str, Literal["function", "custom"]] = {"function_call": "function", "custom_tool_call": "custom"}
_KNOWN_ITEMS = frozenset({"message", "reasoning", *_CALLS})


class _Who(TypedDict):
    id: str
    name: str
    kind: Literal["function", "custom"]


class _Piece:
    """One part in the making."""

    __slots__ = ("annotations", "index", "size", "start", "told")

    def __init__(self, index: int, start: int) -> None:
        self.index = index
        """The part's index."""
        self.start = start
        """How many characters of text the answer had before it."""
        self.size = 0
        """Characters said so far."""
        self.told: list[str] = []
        """Its text so far, in pieces; of a call nothing."""
        self.annotations = 0
        """Annotations said so far."""


class AnswerReader:
    """One for each answer. `first_index` is the index of its first part."""

    __slots__ = ("_chars", "_items", "has_calls", "next_index", "opaque")

    def __init__(self, first_index: int = 0) -> None:
        self.next_index = first_index
        self.has_calls = False
        """Whether there is a call for the client to run."""
        self.opaque = 0
        """Items that have no place in the model but as opaque parts."""
        self._chars = 0
        self._items: dict[int, ItemReader] = {}

    def item(self, output_index: int) -> ItemReader:
        """The item at a place of `output`; a new one if it was not known."""
        item = self._items.get(output_index)
        if item is None:
            item = self._items[output_index] = ItemReader(self)
        return item

    def read_output(self, output: list[Raw]) -> list[Part]:
        """What the whole list says beyond what was read before.

        A list of another length than the items so far cannot be matched to them; then it adds nothing.
        """
        if self._items and len(self._items) != len(output):
            return []
        places = sorted(self._items) or range(len(output))
        parts: list[Part] = []
        for place, raw in zip(places, output, strict=True):
            parts += self.item(place).read_whole(raw)
        return parts

    def new_piece(self) -> _Piece:
        piece = _Piece(self.next_index, self._chars)
        self.next_index += 1
        return piece

    def count_text(self, size: int) -> None:
        self._chars += size


class ItemReader:
    """One output item."""

    __slots__ = ("_answer", "_head", "_is_over", "_pieces", "_type")

    def __init__(self, answer: AnswerReader) -> None:
        self._answer = answer
        self._type = ""
        self._head = OutputItem()
        """Id, phase and name, as first told."""
        self._pieces: dict[tuple[PieceKind, int], _Piece] = {}
        self._is_over = False

    def begin(self, raw: Raw) -> list[Part]:
        """`output_item.added`. What the item holds already is read with its end, unless deltas tell it before."""
        self._type = TYPED.decode(raw).type
        if self._type not in _KNOWN_ITEMS:
            return []
        self._head = read_item(raw)
        return [self._call("")] if self._type in _CALLS and self._head.name else []

    def read_whole(self, raw: Raw) -> list[Part]:
        """`output_item.done`, or the item in a whole answer: what it says beyond what was read before."""
        if self._is_over:
            return []
        self._is_over = True
        kind = TYPED.decode(raw).type
        if kind not in _KNOWN_ITEMS:
            self._answer.opaque += 1
            return [OpaquePart(index=self._answer.new_piece().index, kind=kind, api=API, raw=raw)]
        item = read_item(raw)
        if not self._type:
            self._head = item
        self._type = kind
        if kind == "message":
            return [part for place, content in enumerate(item.content or ()) for part in self.content(place, content)]
        if kind == "reasoning":
            return self._read_reasoning(item)
        return self._read_call(item)

    def delta(self, kind: PieceKind, place: int, text: str) -> Part:
        """The next piece of a text, a refusal, a summary or a call's arguments."""
        if kind == "call":
            return self._call(text)
        key = (kind, place)
        piece = self._pieces.get(key)
        is_first = piece is None
        if piece is None:
            piece = self._pieces[key] = self._answer.new_piece()
        piece.size += len(text)
        piece.told.append(text)
        if kind == "output_text":
            self._answer.count_text(len(text))
            return TextPart(index=piece.index, text=text, phase=self._head.phase if is_first else None)
        if kind == "refusal":
            return RefusalPart(index=piece.index, text=text)
        part = ReasoningPart(index=piece.index, text=text)
        if is_first:
            part.id = self._head.id
            part.format = SUMMARY_FORMAT if kind == "summary_text" else CONTENT_FORMAT
        return part

    def done(self, kind: PieceKind, place: int, whole: str | None) -> list[Part]:
        """A piece is told whole: what the deltas left out of it."""
        piece = self._pieces.get((kind, place))
        rest = whole or ""
        if piece is not None:
            told = "".join(piece.told)
            # Where the two disagree, what was told stands: the client has it, and the rest of another text is none.
            rest = rest[piece.size :] if rest.startswith(told) else ""
        return [self.delta(kind, place, rest)] if rest else []

    def content(self, place: int, content: ContentPart) -> list[Part]:
        """A content part of a message or of reasoning is told whole."""
        if content.type == "refusal":
            return self.done("refusal", place, content.refusal)
        if content.type == "reasoning_text":
            return self.done("reasoning_text", place, content.text)
        if content.type != "output_text":
            return []
        parts = self.done("output_text", place, content.text)
        piece = self._pieces.get(("output_text", place))
        for raw in (content.annotations or ())[piece.annotations if piece is not None else 0 :]:
            parts.append(self.annotation(place, raw))
        return parts

    def annotation(self, place: int, raw: JSONObject) -> Part:
        """One more annotation of a text."""
        part = self.delta("output_text", place, "")
        piece = self._pieces["output_text", place]
        piece.annotations += 1
        assert isinstance(part, TextPart)
        part.citations = [decode_annotation(raw, piece.start)]
        return part

    def _read_reasoning(self, item: OutputItem) -> list[Part]:
        parts: list[Part] = []
        for place, summary in enumerate(item.summary or ()):
            parts += self.done("summary_text", place, summary.text)
        for place, content in enumerate(item.content or ()):
            parts += self.content(place, content)
        if not item.encrypted_content:
            return parts
        last = max(self._pieces.values(), key=lambda piece: piece.index, default=None)
        if last is not None:
            return [*parts, ReasoningPart(index=last.index, signature=item.encrypted_content)]
        index = self._answer.new_piece().index
        sealed = item.encrypted_content
        return [*parts, ReasoningPart(index=index, redacted=sealed, id=self._head.id, format=SUMMARY_FORMAT)]

    def _read_call(self, item: OutputItem) -> list[Part]:
        arguments = item.input if self._type == "custom_tool_call" else text_of_arguments(item.arguments)
        if ("call", 0) not in self._pieces or not self._head.name:
            self._head = item
            return [self._call(arguments or "")] if ("call", 0) not in self._pieces else self._late_name(arguments)
        return self.done("call", 0, arguments)

    def _late_name(self, arguments: str | None) -> list[Part]:
        """The call's name and id come with its end."""
        piece = self._pieces["call", 0]
        rest = (arguments or "")[piece.size :]
        return [ToolCallPart(index=piece.index, arguments=rest, **self._who())]

    def _call(self, arguments: str) -> Part:
        piece = self._pieces.get(("call", 0))
        if piece is None:
            piece = self._pieces["call", 0] = self._answer.new_piece()
            self._answer.has_calls = True
            piece.size = len(arguments)
            return ToolCallPart(index=piece.index, arguments=arguments, **self._who())
        piece.size += len(arguments)
        return ToolCallPart(index=piece.index, arguments=arguments, kind=_CALLS.get(self._type, "function"))

    def _who(self) -> _Who:
        head = self._head
        return {
            "id": head.call_id or head.id or "",
            "name": head.name or "",
            "kind": _CALLS.get(self._type, "function"),
        }


def read_item(raw: Raw) -> OutputItem:
    """An item of a known type, less what is not as the Structs say."""
    try:
        return ITEM.decode(raw)
    except UNREADABLE:
        return decode_leniently(bytes(raw), ITEM) or OutputItem()


def text_of_arguments(arguments: str | JSONObject | None) -> str | None:
    """A call's arguments as JSON text."""
    if arguments is None or isinstance(arguments, str):
        return arguments
    return msgspec.json.encode(arguments).decode()
