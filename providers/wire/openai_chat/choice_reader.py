"""`ChoiceReader`: the pieces of one choice as parts of the model. The same code reads deltas and whole messages.

The wire has fields where the model has an ordered list, so the reader gives out the part indices: each field, each
tool call and each block of reasoning gets the next one when it first says something. Within one piece the order is
reasoning, text, refusal, tool calls, audio, images.
"""

from __future__ import annotations

import msgspec

from providers.model import (
    AudioPart,
    Citation,
    ImagePart,
    JSONObject,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
)
from providers.wire.data_url import split_data_url
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.reasoning import detail_part, detail_text
from providers.wire.openai_chat.response_structs import Audio, ChatMessage, ReasoningDetail
from providers.wire.openai_chat.tool_call_reader import ToolCallReader


class ChoiceReader:
    """One for each choice of an answer."""

    __slots__ = (
        "_audio",
        "_calls",
        "_details",
        "_next",
        "_plain",
        "_plain_index",
        "_plain_size",
        "_refusal",
        "_sources",
        "_text",
        "opaque",
    )

    def __init__(self) -> None:
        self._next = 0
        self._text = -1
        self._refusal = -1
        self._audio = -1
        self._plain_index = -1
        self._plain: list[str] = []
        """The unsigned reasoning so far; see `_read_detail`."""
        self._plain_size = 0
        self._details: dict[tuple[str, int | None], tuple[int, str]] = {}
        """Type and index of a detail to its part's index and its id."""
        self._calls: ToolCallReader | None = None
        self._sources: set[str] = set()
        self.opaque = 0
        """Blocks that have no place in the model but as opaque parts."""

    def read(self, message: ChatMessage) -> list[Part]:
        """The parts that a piece of the message adds."""
        parts: list[Part] = []
        plain = message.reasoning_content or message.reasoning
        if plain or message.reasoning_details:
            self._read_reasoning(plain, message.reasoning_details or [], parts)
        content = message.content
        if content:
            if isinstance(content, str):
                parts.append(TextPart(index=self.text_index(), text=content))
            else:
                self._read_list(content, parts)
        if message.extra_content is not None and (signature := message.extra_content.signature):
            parts.append(TextPart(index=self.text_index(), signature=signature))
        if message.annotations:
            self._cite([_annotation(annotation) for annotation in message.annotations], parts)
        if message.refusal:
            if self._refusal < 0:
                self._refusal = self._new()
            parts.append(RefusalPart(index=self._refusal, text=message.refusal))
        if message.tool_calls or message.function_call:
            self._read_calls(message, parts)
        audio = message.audio
        if audio is not None and (audio.id or audio.data or audio.transcript or audio.expires_at):
            if self._audio < 0:
                self._audio = self._new()
            parts.append(_audio_part(audio, self._audio))
        for entry in message.images or ():
            # Each is a whole image, whatever its `index` says: some services number every one of them 0.
            if (image := _image_part(entry)) is not None:
                image.index = self._new()
                parts.append(image)
        return parts

    def read_sources(self, urls: list[str], parts: list[Part]) -> None:
        """Perplexity names its sources again in every chunk: cite each once."""
        new = [url for url in urls if url not in self._sources]
        if new:
            self._sources.update(new)
            self._cite([Citation(kind="url_citation", url=url) for url in new], parts)

    def read_text(self, text: str) -> list[Part]:
        """The text of a legacy completion."""
        return [TextPart(index=self.text_index(), text=text)] if text else []

    def _new(self) -> int:
        index = self._next
        self._next += 1
        return index

    def text_index(self) -> int:
        """The index of the part that plain text extends."""
        if self._text < 0:
            self._text = self._new()
        return self._text

    def _cite(self, citations: list[Citation], parts: list[Part]) -> None:
        for part in parts:
            if isinstance(part, TextPart):
                part.citations = part.citations + citations
                return
        parts.append(TextPart(index=self.text_index(), citations=citations))

    def _read_reasoning(self, plain: str | None, details: list[ReasoningDetail], parts: list[Part]) -> None:
        said_in_details = any(detail_text(detail) for detail in details)
        if plain and not said_in_details:
            self._add_plain(plain, parts)
        for detail in details:
            self._read_detail(detail, alone=not plain, parts=parts)

    def _add_plain(self, text: str, parts: list[Part]) -> None:
        if self._plain_index < 0:
            self._plain_index = self._new()
        self._plain.append(text)
        self._plain_size += len(text)
        parts.append(ReasoningPart(index=self._plain_index, text=text))

    def _read_detail(self, detail: ReasoningDetail, *, alone: bool, parts: list[Part]) -> None:
        """A gateway like this one streams a signed block's text in `reasoning_content` and then gives the block whole,
        in a chunk of its own (`alone`). Then the detail only adds the signature to the text that was read already."""
        text = detail_text(detail)
        if alone and text and len(text) == self._plain_size and "".join(self._plain) == text:
            part = detail_part(detail, self._plain_index)
            assert part is not None
            part.text = ""
            parts.append(part)
            self._plain = []
            self._plain_size = 0
            self._plain_index = -1
            return
        key = (detail.type or "", detail.index)
        known = self._details.get(key)
        if known is None or (detail.id and known[1] and detail.id != known[1]):
            part = detail_part(detail, self._next)
            if part is None:
                return
            self._details[key] = (self._new(), detail.id or "")
        else:
            part = detail_part(detail, known[0])
            if part is None:
                return
            if detail.id and not known[1]:
                self._details[key] = (known[0], detail.id)
        parts.append(part)

    def _read_list(self, items: list[JSONObject], parts: list[Part]) -> None:
        """Mistral's form of `content`, and Databricks', whose reasoning stands in a `summary`."""
        for item in items:
            kind = item.get("type")
            if kind == "text":
                if isinstance(text := item.get("text"), str) and text:
                    parts.append(TextPart(index=self.text_index(), text=text))
            elif kind in ("thinking", "reasoning"):
                if text := _thinking_text(item.get("thinking") or item.get("summary")):
                    self._add_plain(text, parts)
            elif kind == "reference":
                self._cite([Citation(kind="reference", api=API, raw=item)], parts)
            else:
                self.opaque += 1
                raw = msgspec.Raw(msgspec.json.encode(item))
                parts.append(OpaquePart(index=self._new(), kind=str(kind or ""), api=API, raw=raw))

    def _read_calls(self, message: ChatMessage, parts: list[Part]) -> None:
        if self._calls is None:
            self._calls = ToolCallReader(self._new)
        if message.tool_calls:
            parts.extend(self._calls.read(message.tool_calls))
        elif message.function_call is not None:
            parts.extend(self._calls.read_legacy(message.function_call))


def _audio_part(audio: Audio, index: int) -> AudioPart:
    return AudioPart(
        index=index,
        id=audio.id or None,
        data=audio.data or "",
        transcript=audio.transcript or "",
        expires_at=audio.expires_at or None,
    )


def _image_part(entry: JSONObject) -> ImagePart | None:
    image = entry.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        return None
    inline = split_data_url(url)
    return ImagePart(data=inline[1], media_type=inline[0] or None) if inline is not None else ImagePart(url=url)


def _thinking_text(thinking: object) -> str:
    if isinstance(thinking, str):
        return thinking
    if not isinstance(thinking, list):
        return ""
    texts = [item.get("text") for item in thinking if isinstance(item, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _annotation(raw: JSONObject) -> Citation:
    kind = raw.get("type")
    body = raw.get("url_citation")
    if not isinstance(body, dict):
        body = {}
    citation = Citation(kind=kind if isinstance(kind, str) else "", api=API, raw=raw)
    if isinstance(url := body.get("url"), str):
        citation.url = url
    if isinstance(title := body.get("title"), str):
        citation.title = title
    if isinstance(content := body.get("content"), str):
        citation.cited_text = content
    if isinstance(start := body.get("start_index"), int):
        citation.start = start
    if isinstance(end := body.get("end_index"), int):
        citation.end = end
    return citation
