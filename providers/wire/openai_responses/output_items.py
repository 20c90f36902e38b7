"""Output items in the making, for clients of this API: what is known of each until it is told whole.

Imports the model.
"""

from __future__ import annotations

from typing import Any, Literal

from providers.model import Citation, ImagePart, ReasoningPart
from providers.wire.openai_responses.annotations import encode_annotation
from providers.wire.openai_responses.api import CONTENT_FORMAT, OWN_FORMATS
from providers.wire.seals import seal

ContentKind = Literal["output_text", "refusal", "summary_text", "reasoning_text"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class Content:
    """A text, a refusal or a piece of reasoning inside an item."""

    __slots__ = ("annotations", "citations", "index", "key", "kind", "logprobs", "place", "start", "texts")

    def __init__(self, kind: ContentKind, key: tuple[type, int], index: int, place: bytes, start: int) -> None:
        self.kind = kind
        self.key = key
        """Type and index of the parts that extend it."""
        self.index = index
        """Its number in the item's `content`, or in its `summary`."""
        self.place = place
        """The fields that name it in an event, as JSON."""
        self.start = start
        """How many characters of text the answer had before it."""
        self.texts: list[str] = []
        self.logprobs: list[Any] = []
        self.citations: list[Citation] = []
        self.annotations: list[dict[str, Any]] = []
        """The citations that this API can say, once the text is over."""

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def annotate(self, size: int) -> int:
        """Make the annotations of a text of `size` characters. Returns how many citations cannot be said."""
        for citation in self.citations:
            wire = encode_annotation(citation, self.start, self.start + size)
            if wire is not None:
                self.annotations.append(wire)
        return len(self.citations) - len(self.annotations)

    def whole(self) -> dict[str, Any]:
        """The content part as it stands."""
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": self.text}
        if self.kind != "output_text":
            return {"type": self.kind, "text": self.text}
        return {"type": "output_text", "text": self.text, "annotations": self.annotations, "logprobs": self.logprobs}


class Item:
    """One output item. `whole` says it as it stands."""

    __slots__ = ("contents", "id", "index", "is_over")

    def __init__(self, index: int, id_: str) -> None:
        self.index = index
        """Its `output_index`."""
        self.id = id_
        self.contents: list[Content] = []
        self.is_over = False

    def whole(self, status: ItemStatus) -> dict[str, Any]:
        raise NotImplementedError


class MessageItem(Item):
    __slots__ = ("phase",)

    def __init__(self, index: int, id_: str, phase: str | None) -> None:
        super().__init__(index, id_)
        self.phase = phase

    def whole(self, status: ItemStatus) -> dict[str, Any]:
        contents = [content.whole() for content in self.contents]
        item = {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": contents}
        return item if self.phase is None else {**item, "phase": self.phase}


class ReasoningItem(Item):
    """A block of reasoning. What another provider signed is sealed, to come back as encrypted content."""

    __slots__ = ("signer",)

    def __init__(self, index: int, id_: str, first: ReasoningPart) -> None:
        own_id = first.id if first.format in OWN_FORMATS else None
        super().__init__(index, own_id or id_)
        self.signer = ReasoningPart(id=first.id, format=first.format)
        """Everything but the texts."""

    def sign(self, part: ReasoningPart) -> None:
        """Take in what a piece says besides its text."""
        signer = self.signer
        signer.signature += part.signature
        signer.redacted += part.redacted
        signer.format = part.format or signer.format
        signer.id = signer.id or part.id

    def whole(self, status: ItemStatus) -> dict[str, Any]:
        item: dict[str, Any] = {
            "id": self.id,
            "type": "reasoning",
            "summary": [content.whole() for content in self.contents if content.kind == "summary_text"],
        }
        shown = [content.whole() for content in self.contents if content.kind == "reasoning_text"]
        if shown or self.signer.format == CONTENT_FORMAT:
            item["content"] = shown
        if sealed := seal(self.signer, OWN_FORMATS):
            item["encrypted_content"] = sealed
        return item


class CallItem(Item):
    """A call for the client to run."""

    __slots__ = ("arguments", "call_id", "given_id", "is_custom", "lingers", "name")

    def __init__(self, index: int, id_: str, name: str, call_id: str, *, is_custom: bool) -> None:
        super().__init__(index, id_)
        self.name = name
        self.call_id = call_id
        self.given_id = ""
        """What the provider calls it, if it does."""
        self.is_custom = is_custom
        self.arguments: list[str] = []
        self.lingers = False
        """It stays open though another part has begun: its arguments are not complete."""

    def whole(self, status: ItemStatus) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self.id, "status": status, "call_id": self.call_id, "name": self.name}
        arguments = "".join(self.arguments)
        if self.is_custom:
            return {"type": "custom_tool_call", **item, "input": arguments}
        return {"type": "function_call", **item, "arguments": arguments}


_IMAGE_FORMATS = frozenset({"png", "webp", "jpeg", "gif"})


class ImageItem(Item):
    """An image that the model drew, as a tool's work: this API has no place for one in the answer itself."""

    __slots__ = ("_part",)

    def __init__(self, index: int, id_: str, part: ImagePart) -> None:
        super().__init__(index, id_)
        self._part = part

    def whole(self, status: ItemStatus) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self.id, "type": "image_generation_call", "status": status}
        if status == "in_progress":
            return {**item, "result": None}
        form = (self._part.media_type or "image/png").removeprefix("image/")
        told = {"output_format": form} if form in _IMAGE_FORMATS else {}
        return {**item, "result": self._part.data, **told}
