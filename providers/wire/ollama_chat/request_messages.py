"""Messages of the model as Ollama's. Imports the model.

| what | becomes |
|---|---|
| several texts of a message | one, joined by line ends |
| images | `images`, as data; by URL they are refused: the server fetches nothing |
| an image in a tool's result | a user message right after the tool messages, with the call's id above it |
| tool calls | with their arguments as an object; ids go along, and a result names its tool too, for older servers |
| unsigned reasoning | `thinking`; signed or redacted: dropped |
| a text document | a text; other files and audio are refused |
| `is_error`, cache breakpoints, names | dropped |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Raw

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
from providers.wire.data_url import split_data_url
from providers.wire.json_text import json_object
from providers.wire.leftover_parts import messages_for
from providers.wire.tool_media import move_media_out_of_results

WireObject = dict[str, Any]


class MessageEncoder:
    """Encodes the messages of one request."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._tools: dict[str, str] = {}
        """Ids of the calls so far to the names of their tools."""

    def encode(self, request: LLMRequest) -> list[WireObject]:
        """The whole parameter. Raises `RequestError` if there is nothing to send."""
        wire: list[WireObject] = []
        for message in move_media_out_of_results(messages_for("", request, self._translation)):
            if message.name is not None:
                self._translation.drop("messages.name")
            self._check(message.content)
            wire += [self._result(part) for part in message.content if isinstance(part, ToolResultPart)]
            rest = [part for part in message.content if not isinstance(part, ToolResultPart)]
            if message.role == "assistant":
                wire.append(self._assistant(rest))
            elif message.role != "tool" and rest:
                role = "user" if message.role == "user" else "system"
                wire.append({"role": role, **self._content(rest)})
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

    def _content(self, parts: Iterable[Part]) -> WireObject:
        """`content`, and `images` if there are any."""
        texts: list[str] = []
        images: list[str] = []
        for part in parts:
            match part:
                case TextPart() | RefusalPart():
                    texts.append(part.text)
                case ImagePart():
                    images += self._image(part)
                case FilePart():
                    texts += self._file(part)
                case ReasoningPart():
                    self._translation.drop("messages.reasoning")
                case OpaquePart():
                    pass  # `messages_for` leaves none
                case _:
                    self._translation.refuse("messages.content.input_audio", "the API takes no audio")
        content: WireObject = {"content": "\n".join(text for text in texts if text)}
        return {**content, "images": images} if images else content

    def _image(self, part: ImagePart) -> list[str]:
        if part.detail not in (None, "auto"):
            self._translation.drop("messages.content.image_url.detail")
        if part.data is not None:
            return [part.data]
        if part.url is not None and (inline := split_data_url(part.url)) is not None:
            return [inline[1]]
        place = "image_url" if part.url is not None else "image.file_id"
        self._translation.refuse(f"messages.content.{place}", "images go as data")
        return []

    def _file(self, part: FilePart) -> list[str]:
        if part.text is None:
            self._translation.refuse("messages.content.file", "it takes text documents only")
            return []
        for name in ("filename", "context", "citations"):
            if getattr(part, name):
                self._translation.drop(f"messages.content.file.{name}")
        return [part.text]

    def _result(self, part: ToolResultPart) -> WireObject:
        if part.is_error:
            self._translation.drop("messages.content.tool_result.is_error")
        wire: WireObject = {"role": "tool", **self._content(part.content), "tool_call_id": part.tool_call_id}
        if (name := self._tools.get(part.tool_call_id)) is not None:
            wire["tool_name"] = name
        return wire

    def _assistant(self, parts: Sequence[Part]) -> WireObject:
        calls = [self._call(part) for part in parts if isinstance(part, ToolCallPart)]
        thoughts = [part for part in parts if isinstance(part, ReasoningPart)]
        plain = [part.text for part in thoughts if part.text and not (part.signature or part.redacted)]
        if len(plain) < len(thoughts):
            self._translation.drop("messages.reasoning")
        rest = [part for part in parts if not isinstance(part, ReasoningPart | ToolCallPart)]
        wire: WireObject = {"role": "assistant", **self._content(rest)}
        if plain:
            wire["thinking"] = "".join(plain)
        if calls:
            wire["tool_calls"] = calls
        return wire

    def _call(self, part: ToolCallPart) -> WireObject:
        self._tools[part.id] = part.name
        arguments: Raw | dict[str, str] | None
        if part.kind == "custom":
            self._translation.refuse("messages.tool_calls.custom", "its tools take a JSON object")
            arguments = {"input": part.arguments}
        else:
            arguments = json_object(part.arguments) if part.arguments.strip() else Raw(b"{}")
        if arguments is None:
            param = self._translation.spell("messages.tool_calls.function.arguments")
            raise RequestError(f"{param}: expected a JSON object in the call '{part.id}' of '{part.name}'", param=param)
        return {"id": part.id, "function": {"name": part.name, "arguments": arguments}}
