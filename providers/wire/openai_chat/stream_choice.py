"""What is kept of one choice of a streamed answer between its chunks: see `stream_encoder`. Imports the model."""

from __future__ import annotations

from providers.model import Citation, Part, ReasoningPart, ToolCallPart


class Call:
    """A tool call on its way. Nothing is said before its id and name are known, or arguments show that they will not
    come any more."""

    __slots__ = ("arguments", "head", "place", "said")

    def __init__(self, place: int, first: ToolCallPart) -> None:
        self.place = place
        """Its index among the tool calls."""
        self.head = ToolCallPart(kind=first.kind)
        """Id and name, as far as they are known."""
        self.arguments: list[str] = []
        """What waits for them."""
        self.said = False


class Block:
    """A block of reasoning on its way."""

    __slots__ = ("part", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.part = ReasoningPart()
        """Everything but the text."""

    def add(self, piece: ReasoningPart) -> None:
        part = self.part
        self.texts.append(piece.text)
        part.signature += piece.signature
        part.redacted += piece.redacted
        part.id = piece.id or part.id
        part.format = piece.format or part.format


class ChoiceState:
    __slots__ = (
        "_opaque",
        "annotations",
        "blocks",
        "call_count",
        "calls",
        "chars",
        "citations",
        "details",
        "finish_reason",
        "images",
        "index",
        "open_part",
        "role_said",
        "text_start",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.role_said = False
        self.finish_reason: str | None = None
        """What was said last; None: nothing yet."""
        self.open_part: tuple[type, int] | None = None
        self.blocks: dict[int, Block] = {}
        """Reasoning, and the signatures of texts, by the part's index, until it was said whole."""
        self.details = 0
        self.calls: dict[int, Call] = {}
        self.call_count = 0
        self.citations: list[Citation] = []
        """Of the text part that is open."""
        self.annotations = 0
        self.images = 0
        self.chars = 0
        """How many characters of text were said."""
        self.text_start = 0
        """Where the open text part begins, in these."""
        self._opaque: set[tuple[type, int]] = set()

    def is_new_opaque(self, part: Part) -> bool:
        key = (type(part), part.index)
        if key in self._opaque:
            return False
        self._opaque.add(key)
        return True
