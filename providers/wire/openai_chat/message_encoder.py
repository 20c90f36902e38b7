"""Messages of the model as messages of this API. Imports the model.

What OpenAI's messages cannot say, and what becomes of it:

| what | becomes |
|---|---|
| an image or a file in a tool's result | a user message right after the tool messages, with the call's id above it |
| `is_error` of a tool's result | dropped; the result's text says what went wrong |
| reasoning of another API | dropped: plain OpenAI rejects it; a vendor's dialect may want it back |
| reasoning of a client of this API | sent back as the client sent it (`reasoning_content`, `reasoning_details`) |
| Google's signature of a text or a call | as reasoning |
| a text document | a text part, without its title |
| a document by URL | refused; of a client of this API it goes back as it came (`file_data`) |
| a document by another API's file id | refused |
| `cache_control` of another API, citations of a text | dropped |
| the order of an answer's texts, reasoning and calls | reasoning, one text of all, refusal, calls |

Parameters are named as `messages[].content[kind]`, without indices: system messages and tool results stand elsewhere in
other APIs, so that an index here would not be the client's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
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
from providers.wire.data_url import file_name, join_data_url
from providers.wire.extra_fields import put_back
from providers.wire.media_types import media_type_of_name
from providers.wire.openai_chat.answer_parts import tool_call
from providers.wire.openai_chat.reasoning import needs_detail, part_detail

WireObject = dict[str, Any]

_PLAIN_TEXT = {"type", "text"}


class MessageEncoder:
    """Encodes the messages of one request. `own`: the request came through this API, so its additions go back.

    `keep_reasoning`: the reasoning of another API's client goes back too, which some vendors demand. `document_urls`:
    the vendor takes documents by URL. `cache_control`: it takes prompt-cache breakpoints.
    """

    def __init__(
        self,
        translation: Translation,
        *,
        own: bool,
        keep_reasoning: bool = False,
        document_urls: bool = False,
        cache_control: bool = False,
    ) -> None:
        self._translation = translation
        self._own = own
        self._keep_reasoning = own or keep_reasoning
        self._document_urls = document_urls
        self._cache_control = own or cache_control
        self._wire: list[WireObject] = []
        self._seen: list[WireObject] = []
        """Images and files of tool results, waiting for the end of the tool messages: OpenAI wants these together."""

    def encode(self, messages: list[Message]) -> list[WireObject]:
        """The whole parameter."""
        for message in messages:
            if message.role == "assistant":
                self._say_seen()
                self._assistant(message)
            else:
                self._input(message)
        self._say_seen()
        return self._wire

    def _say_seen(self) -> None:
        if self._seen:
            self._wire.append({"role": "user", "content": self._seen})
            self._seen = []

    def _input(self, message: Message) -> None:
        """A message that is not the model's: results first, because they answer the message before."""
        rest: list[Part] = []
        for part in message.content:
            if isinstance(part, ToolResultPart):
                self._tool_result(part, message)
            else:
                rest.append(part)
        if message.role == "tool":
            return
        if message.content and not rest:
            return
        self._say_seen()
        wire: WireObject = {"role": message.role, "content": self._content(rest)}
        if message.name is not None:
            wire["name"] = message.name
        self._append(wire, message)

    def _append(self, wire: WireObject, message: Message) -> None:
        if self._own:
            put_back(wire, message.extra)
        self._wire.append(wire)

    def _content(self, parts: list[Part]) -> str | list[WireObject]:
        """A string where one text is all there is, else a list."""
        wires = [wire for part in parts if (wire := self._part(part)) is not None]
        if not wires:
            return ""
        if len(wires) == 1 and wires[0].keys() == _PLAIN_TEXT:
            text: str = wires[0]["text"]
            return text
        return wires

    def _tool_result(self, part: ToolResultPart, message: Message) -> None:
        if part.is_error:
            self._translation.drop("messages[].content[tool_result].is_error")
        if part.cache_control is not None:
            self._translation.drop("messages[].content[].cache_control")
        texts: list[Part] = []
        seen: list[WireObject] = []
        for inner in part.content:
            if isinstance(inner, ImagePart | AudioPart) or (isinstance(inner, FilePart) and inner.text is None):
                wire = self._part(inner)
                if wire is not None:
                    seen.append(wire)
            else:
                texts.append(inner)
        content = self._content(texts)
        if seen:
            content = content or "The result is in the next user message."
            self._seen.append({"type": "text", "text": f"Result of tool call {part.tool_call_id}:"})
            self._seen += seen
        said: WireObject = {"role": "tool", "tool_call_id": part.tool_call_id, "content": content}
        if not part.tool_call_id:  # some vendors' have none
            del said["tool_call_id"]
        if message.name is not None:
            said["name"] = message.name
        self._append(said, message)

    def _assistant(self, message: Message) -> None:
        texts: list[WireObject] = []
        refusals: list[str] = []
        calls: list[WireObject] = []
        reasoning: list[ReasoningPart] = []
        wire: WireObject = {"role": "assistant", "content": None}
        others: list[WireObject] = []
        for part in message.content:
            if isinstance(part, TextPart):
                if (text := self._part(part)) is not None:
                    texts.append(text)
                if (signed := signature_block(part)) is not None:
                    reasoning.append(signed)
            elif isinstance(part, ToolCallPart):
                calls.append(self._call(part))
            elif isinstance(part, ReasoningPart):
                reasoning.append(part)
            elif isinstance(part, RefusalPart):
                refusals.append(part.text)
            elif isinstance(part, AudioPart) and part.id:
                wire["audio"] = {"id": part.id}
            elif isinstance(part, OpaquePart):
                others.append(msgspec.json.decode(part.raw))
            else:
                self._translation.refuse(f"messages[].content[{_kind(part)}]", "not in an assistant message")
        if others or (self._own and (len(texts) > 1 or any(text.keys() != _PLAIN_TEXT for text in texts))):
            wire["content"] = [*texts, *others]
        elif texts or not (calls or refusals or "audio" in wire):
            # One string, not a list, unless the client wrote a list: many vendors take nothing else here.
            wire["content"] = "".join(text["text"] for text in texts)
        self._add_reasoning(reasoning, wire)
        if refusals:
            wire["refusal"] = "".join(refusals)
        if calls:
            wire["tool_calls"] = calls
        if message.name is not None:
            wire["name"] = message.name
        self._append(wire, message)

    def _call(self, part: ToolCallPart) -> WireObject:
        if part.cache_control is not None:
            self._translation.drop("messages[].content[].cache_control")
        if part.signature and not self._own:
            self._translation.drop("messages[].content[tool_call].signature")
            part = msgspec.structs.replace(part, signature="")
        wire = tool_call(part, part.id)
        if not part.id:  # some vendors' have none
            del wire["id"]
        if self._own:
            put_back(wire, part.extra)
        return wire

    def _add_reasoning(self, parts: list[ReasoningPart], wire: WireObject) -> None:
        if not parts:
            return
        if not self._keep_reasoning:
            self._translation.drop("messages[].content[thinking]")
            return
        text = "".join(part.text for part in parts)
        if text:
            wire["reasoning_content"] = text
        if any(needs_detail(part) or part.format or part.id for part in parts):
            wire["reasoning_details"] = [part_detail(part, index) for index, part in enumerate(parts)]

    def _check_cache_control(self, part: Part) -> None:
        if part.cache_control is not None and not self._cache_control:
            self._translation.drop("messages[].content[].cache_control")

    def _part(self, part: Part) -> WireObject | None:
        wire = self._bare_part(part)
        if part.cache_control is not None:
            if self._cache_control and wire is not None:
                wire["cache_control"] = part.cache_control
            self._check_cache_control(part)
        if part.extra is not None and wire is not None and self._own:
            put_back(wire, part.extra)
        return wire

    def _bare_part(self, part: Part) -> WireObject | None:
        if isinstance(part, TextPart):
            if part.citations:
                self._translation.drop("messages[].content[text].citations")
            return {"type": "text", "text": part.text}
        if isinstance(part, ImagePart):
            return self._image(part)
        if isinstance(part, FilePart):
            return self._file(part)
        if isinstance(part, AudioPart):
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format or "wav"}}
        if isinstance(part, RefusalPart):
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, OpaquePart):  # `messages_for` leaves only this API's own
            wire: WireObject = msgspec.json.decode(part.raw)
            return wire
        if isinstance(part, ReasoningPart):
            self._translation.drop("messages[].content[thinking]")
        else:
            self._translation.refuse(f"messages[].content[{_kind(part)}]", "not in this kind of message")
        return None

    def _image(self, part: ImagePart) -> WireObject | None:
        if part.data is not None:
            url = join_data_url(part.media_type or "image/png", part.data)
        elif part.url is not None:
            url = part.url
        else:
            self._translation.refuse("messages[].content[image].source.file_id", "images go by URL or as data")
            return None
        image: WireObject = {"url": url}
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def _file(self, part: FilePart) -> WireObject | None:
        if part.citations:
            self._translation.drop("messages[].content[document].citations")
        if part.context is not None:
            self._translation.drop("messages[].content[document].context")
        if part.text is not None:
            if part.filename is not None:
                self._translation.drop("messages[].content[document].title")
            return {"type": "text", "text": part.text}
        if part.data is not None:
            # A client of this API may have sent bare base64, without saying what it is.
            media_type = part.media_type or ("" if self._own else media_type_of_name(part.filename, "application/pdf"))
            data = join_data_url(media_type, part.data) if media_type else part.data
            file: WireObject = {"file_data": data}
            name = part.filename or (None if self._own else file_name(media_type))
            if name is not None:
                file["filename"] = name
            return {"type": "file", "file": file}
        kept = {"file_id": part.file_id} if part.file_id is not None else {"file_data": part.url}
        if self._own and None not in kept.values():
            file = kept if part.filename is None else {**kept, "filename": part.filename}
            return {"type": "file", "file": file}
        if part.url is not None and self._document_urls:
            return {"type": "document_url", "document_url": part.url}
        source = "url" if part.url is not None else "file_id"
        self._translation.refuse(f"messages[].content[document].source.{source}", "documents go as data")
        return None


def _kind(part: Part) -> str:
    tag = part.__struct_config__.tag
    return tag if isinstance(tag, str) else "?"
