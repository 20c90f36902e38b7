"""Messages of the model as input items of this API. Imports the model.

What the input cannot say, and what becomes of it:

| what | becomes |
|---|---|
| `is_error` of a tool's result, a message's `name`, `cache_control` | dropped |
| reasoning that another provider gave | dropped: this one could not check it |
| reasoning of this API that a client of another one gives back | an item, if it holds more than a summary: what the \
provider has not stored it does not know by its id |
| audio, an image or a file by another API's file id | refused |
| a text document | a text part, without its title |
| a document's title beside a URL, another API's citations of a text | dropped |

Parameters are named as `messages[].content[kind]`, without indices, which would not be the client's.
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
from providers.wire.openai_responses.api import API, CONTENT_FORMAT, OWN_FORMATS

WireObject = dict[str, Any]

_PLAIN_TEXT = {"type", "text"}
_MESSAGE = msgspec.Raw(b'"message"')
_OF_ITEM = "item."
"""Before the fields of a message's item in the `extra` of its first part."""

_OUTPUT_TYPES = {"function": "function_call_output", "custom": "custom_tool_call_output"}


class InputEncoder:
    """Encodes the messages of one request. `own`: it came through this API, so its additions go back."""

    def __init__(self, translation: Translation, *, own: bool) -> None:
        self._translation = translation
        self._own = own
        self._items: list[WireObject | msgspec.Raw] = []
        self._custom: set[str] = set()
        """Ids of calls of custom tools, whose results have a type of their own."""

    def encode(self, messages: list[Message]) -> list[WireObject | msgspec.Raw]:
        """The whole parameter."""
        for message in messages:
            if message.name is not None:
                self._translation.drop("messages[].name")
            if message.role == "assistant":
                self._assistant(message)
            else:
                self._input(message)
        return self._items

    def _input(self, message: Message) -> None:
        """A message that is not the model's: results first, because they answer the message before."""
        rest: list[Part] = []
        for part in message.content:
            if isinstance(part, ToolResultPart):
                self._result(part)
            else:
                rest.append(part)
        if message.role == "tool" or (message.content and not rest):
            return
        item: WireObject = {"role": message.role, "content": self._content(rest)}
        if self._own and message.extra is not None:
            put_back(item, {"type": _MESSAGE, **message.extra})
        self._items.append(item)

    def _result(self, part: ToolResultPart) -> None:
        if part.is_error:
            self._translation.drop("messages[].content[tool_result].is_error")
        self._check_cache_control(part)
        is_custom = part.kind == "custom" or part.tool_call_id in self._custom
        item: WireObject = {
            "type": _OUTPUT_TYPES["custom" if is_custom else "function"],
            "call_id": part.tool_call_id,
            "output": self._content(part.content),
        }
        self._put_back(item, part)
        self._items.append(item)

    def _put_back(self, wire: WireObject, part: Part) -> None:
        if self._own:
            put_back(wire, part.extra)

    def _content(self, parts: list[Part]) -> str | list[Any]:
        """A string where one text is all there is, else a list."""
        wires = [wire for part in parts if (wire := self._part(part)) is not None]
        if not wires:
            return ""
        if len(wires) == 1 and isinstance(wires[0], dict) and wires[0].keys() == _PLAIN_TEXT:
            text: str = wires[0]["text"]
            return text
        return wires

    def _part(self, part: Part) -> WireObject | msgspec.Raw | None:
        wire = self._bare_part(part)
        if isinstance(wire, dict):
            self._put_back(wire, part)
        return wire

    def _bare_part(self, part: Part) -> WireObject | msgspec.Raw | None:
        self._check_cache_control(part)
        if isinstance(part, TextPart | RefusalPart):
            return {"type": "input_text", "text": part.text}
        if isinstance(part, ImagePart):
            return self._image(part)
        if isinstance(part, FilePart):
            return self._file(part)
        if isinstance(part, OpaquePart):  # `messages_for` leaves only this API's own
            return part.raw
        if isinstance(part, AudioPart):
            if self._own:
                return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
            self._translation.refuse("messages[].content[audio]", "the API takes no audio")
        elif isinstance(part, ReasoningPart):
            self._translation.drop("messages[].content[thinking]")
        else:
            self._translation.refuse("messages[].content[tool_call]", "not in this kind of message")
        return None

    def _image(self, part: ImagePart) -> WireObject | None:
        image: WireObject = {"type": "input_image", "detail": part.detail or "auto"}
        if part.data is not None:
            image["image_url"] = join_data_url(part.media_type or "image/png", part.data)
        elif part.url is not None:
            image["image_url"] = part.url
        elif part.file_id is not None and self._own:
            image["file_id"] = part.file_id
        else:
            self._translation.refuse("messages[].content[image].file_id", "the file is stored with another provider")
            return None
        return image

    def _file(self, part: FilePart) -> WireObject | None:
        if part.citations:
            self._translation.drop("messages[].content[document].citations")
        if part.context is not None:
            self._translation.drop("messages[].content[document].context")
        if part.filename is not None and (part.text is not None or part.url is not None):
            self._translation.drop("messages[].content[document].title")
        if part.text is not None:
            return {"type": "input_text", "text": part.text}
        file: WireObject = {"type": "input_file"}
        if part.data is not None:
            # A client of this API may have sent bare base64, without saying what it is.
            media_type = part.media_type or ("" if self._own else media_type_of_name(part.filename, "application/pdf"))
            file["file_data"] = join_data_url(media_type, part.data) if media_type else part.data
            name = part.filename or (None if self._own else file_name(media_type))
        elif part.url is not None:
            file["file_url"], name = part.url, None  # the API takes no name beside a URL
        elif part.file_id is not None and self._own:
            file["file_id"], name = part.file_id, part.filename
        else:
            self._translation.refuse("messages[].content[file].file_id", "the file is stored with another provider")
            return None
        if name is not None:
            file["filename"] = name
        return file

    def _assistant(self, message: Message) -> None:
        said: list[TextPart | RefusalPart] = []
        thought: list[ReasoningPart] = []
        for part in message.content:
            self._check_cache_control(part)
            if signature_block(part) is not None:
                self._translation.drop("messages[].content[thinking]")
            if said and not (isinstance(part, TextPart | RefusalPart) and _phase(part) == _phase(said[0])):
                self._say(said)
                said = []
            if thought and not (isinstance(part, ReasoningPart) and part.id and part.id == thought[0].id):
                self._think(thought)
                thought = []
            if isinstance(part, TextPart | RefusalPart):
                said.append(part)
            elif isinstance(part, ReasoningPart):
                thought.append(part)
            elif isinstance(part, ToolCallPart):
                self._call(part)
            elif isinstance(part, OpaquePart):
                self._items.append(part.raw)
            else:
                kind = part.__struct_config__.tag
                self._translation.refuse(f"messages[].content[{kind}]", "not in an assistant message")
        self._say(said)
        self._think(thought)

    def _say(self, parts: list[TextPart | RefusalPart]) -> None:
        """A run of texts and refusals: one message."""
        parts = [part for part in parts if part.text]
        citations = [citation for part in parts if isinstance(part, TextPart) for citation in part.citations]
        if any(citation.api != API for citation in citations):
            self._translation.drop("messages[].content[text].citations")
        if not parts:
            return
        item: WireObject = {"role": "assistant"}
        extra = (parts[0].extra or {}) if self._own else {}
        own = {name[5:]: value for name, value in extra.items() if name.startswith(_OF_ITEM)}
        if own:
            item = {"type": "message", **item}
        plain = len(parts) == 1 and isinstance(parts[0], TextPart) and not extra
        if plain and not (self._own and isinstance(parts[0], TextPart) and parts[0].citations):
            item["content"] = parts[0].text
        else:
            item["content"] = [self._output(part) for part in parts]
        if (phase := _phase(parts[0])) is not None:
            item["phase"] = phase
        put_back(item, own)
        self._items.append(item)

    def _output(self, part: TextPart | RefusalPart) -> WireObject:
        if isinstance(part, RefusalPart):
            wire: WireObject = {"type": "refusal", "refusal": part.text}
        else:
            own = [citation.raw for citation in part.citations if citation.api == API and citation.raw is not None]
            wire = {"type": "output_text", "text": part.text, "annotations": own}
        if self._own:
            put_back(wire, {name: value for name, value in (part.extra or {}).items() if not name.startswith(_OF_ITEM)})
        return wire

    def _think(self, parts: list[ReasoningPart]) -> None:
        """Neighbouring reasoning of one id: one item."""
        if not parts:
            return
        last = parts[-1]
        sealed = last.redacted or last.signature
        shown = [part for part in parts if part.format == CONTENT_FORMAT]
        if last.format not in OWN_FORMATS or not (self._own or sealed or shown):
            self._translation.drop("messages[].content[thinking]")
            return
        summaries = [part for part in parts if part.format != CONTENT_FORMAT and (part.text or part.signature)]
        item: WireObject = {"type": "reasoning"}
        if last.id is not None:
            item["id"] = last.id
        item["summary"] = [{"type": "summary_text", "text": part.text} for part in summaries]
        if shown:
            item["content"] = [{"type": "reasoning_text", "text": part.text} for part in shown]
        if sealed:
            item["encrypted_content"] = sealed
        self._put_back(item, parts[0])
        self._items.append(item)

    def _call(self, part: ToolCallPart) -> None:
        if part.kind == "custom":
            self._custom.add(part.id)
            call = {"type": "custom_tool_call", "call_id": part.id, "name": part.name, "input": part.arguments}
        else:
            arguments = part.arguments or "{}"
            call = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": arguments}
        self._put_back(call, part)
        self._items.append(call)

    def _check_cache_control(self, part: Part) -> None:
        if part.cache_control is not None:
            self._translation.drop("messages[].content[].cache_control")


def _phase(part: TextPart | RefusalPart) -> str | None:
    return part.phase if isinstance(part, TextPart) else None
