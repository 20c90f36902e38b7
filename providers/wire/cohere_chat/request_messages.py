"""Messages of the model as Cohere's. Imports the model.

| what | becomes |
|---|---|
| system and developer messages | role `system`, where they stand |
| an image or a file in a tool's result | a user message right after the tool messages, with the call's id above it |
| `is_error` of a tool's result | dropped; the result's text says what went wrong |
| reasoning in a message with tool calls | `tool_plan`, which is what the API itself calls it there |
| reasoning in another message | a `thinking` item for a model that reasons; else dropped |
| signed or redacted reasoning | dropped: other services' |
| a text document that may be cited | the `documents` of the request |
| another text document | a text |
| other files, audio | refused |
| cache breakpoints, names | dropped |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from providers.errors import RequestError
from providers.model import (
    FilePart,
    ImagePart,
    LLMRequest,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    signature_block,
)
from providers.wire.base import Translation
from providers.wire.leftover_parts import messages_for
from providers.wire.tool_media import move_media_out_of_results

WireObject = dict[str, Any]


class MessageEncoder:
    """Encodes the messages of one request."""

    def __init__(self, translation: Translation, *, thinks: bool) -> None:
        self._translation = translation
        self._thinks = thinks
        self.documents: list[WireObject] = []
        """What the request's `documents` are, once the messages are encoded."""

    def encode(self, request: LLMRequest) -> list[WireObject]:
        """The whole parameter. Raises `RequestError` if there is nothing to send."""
        wire: list[WireObject] = []
        for message in move_media_out_of_results(messages_for("", request, self._translation)):
            if message.name is not None:
                self._translation.drop("messages.name")
            self._check(message.content)
            results = [self._result(part) for part in message.content if isinstance(part, ToolResultPart)]
            wire += results
            rest = [part for part in message.content if not isinstance(part, ToolResultPart)]
            if message.role == "assistant":
                wire.append(self._assistant(rest))
            elif message.role != "tool" and (content := self._content(rest)):
                role = "user" if message.role == "user" else "system"
                wire.append({"role": role, "content": content})
        if not wire:
            param = self._translation.spell("messages")
            raise RequestError(f"{param}: at least one message with content is required", param=param)
        return wire

    def _check(self, parts: Iterable[Part]) -> None:
        for part in parts:
            if part.cache_control is not None:
                self._translation.drop("cache_control")
            if signature_block(part) is not None:
                self._translation.drop("messages.signature")

    def _content(self, parts: Iterable[Part]) -> str | list[WireObject]:
        """A string where one text is all there is, else a list; empty if there is nothing."""
        items = [item for part in parts if (item := self._item(part)) is not None]
        if len(items) == 1 and items[0]["type"] == "text":
            text: str = items[0]["text"]
            return text
        return items

    def _item(self, part: Part) -> WireObject | None:
        match part:
            case TextPart() | RefusalPart():
                return {"type": "text", "text": part.text} if part.text else None
            case ImagePart():
                return self._image(part)
            case FilePart():
                return self._file(part)
            case ReasoningPart():
                self._translation.drop("messages.reasoning")
            case OpaquePart():
                pass  # `messages_for` leaves none
            case _:
                self._translation.refuse("messages.content.input_audio", "the API takes no audio")
        return None

    def _image(self, part: ImagePart) -> WireObject | None:
        url = part.url
        if part.data is not None:
            url = f"data:{part.media_type or 'image/png'};base64,{part.data}"
        if url is None:
            self._translation.refuse("messages.content.image.file_id", "the image is stored with another provider")
            return None
        image = {"url": url} if part.detail is None else {"url": url, "detail": part.detail}
        return {"type": "image_url", "image_url": image}

    def _file(self, part: FilePart) -> WireObject | None:
        if part.text is None:
            self._translation.refuse("messages.content.file", "it takes text documents only")
            return None
        if not part.citations:
            for name in ("filename", "context"):
                if getattr(part, name) is not None:
                    self._translation.drop(f"messages.content.file.{name}")
            return {"type": "text", "text": part.text}
        told = {"title": part.filename, "context": part.context, "text": part.text}
        self.documents.append({"data": {name: value for name, value in told.items() if value is not None}})
        return None

    def _result(self, part: ToolResultPart) -> WireObject:
        if part.is_error:
            self._translation.drop("messages.content.tool_result.is_error")
        content = self._content(part.content)
        return {"role": "tool", "tool_call_id": part.tool_call_id, "content": content or ""}

    def _assistant(self, parts: Sequence[Part]) -> WireObject:
        calls = [self._call(part) for part in parts if isinstance(part, ToolCallPart)]
        thoughts = [part for part in parts if isinstance(part, ReasoningPart)]
        plain = [part.text for part in thoughts if part.text and not (part.signature or part.redacted)]
        if len(plain) < len(thoughts) or (plain and not calls and not self._thinks):
            self._translation.drop("messages.reasoning")
        content = self._content(part for part in parts if not isinstance(part, ReasoningPart | ToolCallPart))
        wire: WireObject = {"role": "assistant"}
        if plain and not calls and self._thinks:
            items = [{"type": "text", "text": content}] if isinstance(content, str) else content
            content = [*({"type": "thinking", "thinking": text} for text in plain), *items]
        if content or not calls:
            wire["content"] = content or ""
        if calls:
            wire["tool_calls"] = calls
            if plain:
                wire["tool_plan"] = "".join(plain)
        return wire

    def _call(self, part: ToolCallPart) -> WireObject:
        arguments = part.arguments if part.arguments.strip() else "{}"
        if part.kind == "custom":
            self._translation.refuse("messages.tool_calls.custom", "its tools take a JSON object")
            arguments = msgspec.json.encode({"input": part.arguments}).decode()
        return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": arguments}}
