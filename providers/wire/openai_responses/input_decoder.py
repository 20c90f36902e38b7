"""The input of a client's request, as messages of the model. Imports the model and this wire's Structs.

The wire is a flat list of items; the model has turns. What the assistant said, thought and called between two inputs of
the client's is one message, and so are the results of its tools. An assistant's message begins a message of its own
only after a text without calls: other APIs want a call's results right after the message that holds the call.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    LLMRequest,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.data_url import split_data_url
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value, required
from providers.wire.openai_responses import request_structs as wire
from providers.wire.openai_responses.annotations import decode_annotation
from providers.wire.openai_responses.answer_reader import text_of_arguments
from providers.wire.openai_responses.api import API, CONTENT_FORMAT, SUMMARY_FORMAT
from providers.wire.openai_responses.parameters import DROPPABLE_ITEMS, WHY_ITEM_IS_BOUND, WHY_OTHER_ITEM_IS_BOUND
from providers.wire.seals import unseal

_INPUT = msgspec.json.Decoder(str | list[Raw])
_ITEM = msgspec.json.Decoder(wire.WireItem)
_MESSAGE = msgspec.json.Decoder(wire.MessageItem)
_REASONING = msgspec.json.Decoder(wire.ReasoningItem)
_CALL = msgspec.json.Decoder(wire.FunctionCallItem)
_CUSTOM_CALL = msgspec.json.Decoder(wire.CustomToolCallItem)
_OUTPUT = msgspec.json.Decoder(wire.CallOutputItem)
_CONTENT = msgspec.json.Decoder(wire.InputContent)

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "developer"}

_FIELDS = {"input_text": "text", "output_text": "text", "refusal": "refusal", "input_audio": "input_audio"}
"""The field that a content part of a type must have."""


class InputDecoder:
    """Adds the messages of one request to it."""

    def __init__(self, request: LLMRequest) -> None:
        self._request = request
        self._messages = request.messages

    def decode(self, raw: Raw) -> None:
        """The parameter `input`. Raises `RequestError` that names the field."""
        items = decode_parameter(_INPUT, "input", raw)
        if isinstance(items, str):
            self._messages.append(Message(role="user", content=[TextPart(text=items)]))
            return
        for index, item in enumerate(items):
            self._item(item, f"input[{index}]")
        for message in self._messages:
            for index, part in enumerate(message.content):
                part.index = index

    def _item(self, raw: Raw, param: str) -> None:
        head = decode_parameter(_ITEM, param, raw)
        kind = head.type
        if kind is None:
            kind = "message" if head.role is not None else "item_reference" if head.id is not None else ""
        match kind:
            case "message":
                self._message(raw, param)
            case "reasoning":
                self._turn().content += _reasoning(decode_parameter(_REASONING, param, raw))
            case "function_call":
                call = decode_parameter(_CALL, param, raw)
                arguments = text_of_arguments(call.arguments) or ""
                self._turn().content.append(ToolCallPart(id=call.call_id, name=call.name, arguments=arguments))
            case "custom_tool_call":
                custom = decode_parameter(_CUSTOM_CALL, param, raw)
                self._turn().content.append(
                    ToolCallPart(id=custom.call_id, name=custom.name, arguments=custom.input, kind="custom")
                )
            case "function_call_output" | "custom_tool_call_output":
                self._result(decode_parameter(_OUTPUT, param, raw), kind, param)
            case "":
                raise required(f"{param}.type")
            case _:
                self._opaque(kind, raw, param)

    def _message(self, raw: Raw, param: str) -> None:
        message = decode_parameter(_MESSAGE, param, raw)
        role = _ROLES.get(message.role)
        if role is None:
            raise invalid_value(f"{param}.role", f"one of {', '.join(map(repr, _ROLES))}", repr(message.role))
        content = decode_content(message.content, f"{param}.content")
        if role != "assistant":
            self._messages.append(Message(role=role, content=content))
            return
        for part in content:
            if isinstance(part, TextPart):
                part.phase = message.phase
        turn = self._turn()
        if turn.text and not any(isinstance(part, ToolCallPart) for part in turn.content):
            turn = Message(role="assistant")
            self._messages.append(turn)
        turn.content += content

    def _turn(self) -> Message:
        """The assistant's message that is under way; a new one after any other message."""
        if not self._messages or self._messages[-1].role != "assistant":
            self._messages.append(Message(role="assistant"))
        return self._messages[-1]

    def _result(self, item: wire.CallOutputItem, kind: str, param: str) -> None:
        content = decode_content(item.output, f"{param}.output")
        result = ToolResultPart(tool_call_id=item.call_id or "", content=content)
        if kind == "custom_tool_call_output":
            result.kind = "custom"
        if not self._messages or self._messages[-1].role != "tool":
            self._messages.append(Message(role="tool"))
        self._messages[-1].content.append(result)

    def _opaque(self, kind: str, raw: Raw, param: str) -> None:
        if kind not in DROPPABLE_ITEMS:
            self._request.bound[param] = WHY_ITEM_IS_BOUND.get(kind, WHY_OTHER_ITEM_IS_BOUND)
        self._turn().content.append(OpaquePart(kind=kind, api=API, place=param, raw=raw))


def decode_content(content: str | list[Raw] | None, param: str) -> list[Part]:
    """The content of a message or of a tool's result."""
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(text=content)]
    return [_part(raw, f"{param}[{index}]") for index, raw in enumerate(content)]


def _part(raw: Raw, param: str) -> Part:
    part = decode_parameter(_CONTENT, param, raw)
    field = _FIELDS.get(part.type)
    if field is not None and getattr(part, field) is None:
        raise required(f"{param}.{field}")
    match part.type:
        case "input_text" | "output_text" | "text":
            citations = [decode_annotation(annotation, 0) for annotation in part.annotations or ()]
            return TextPart(text=part.text or "", citations=citations)
        case "refusal":
            return RefusalPart(text=part.refusal or "")
        case "input_image":
            return _image(part, param)
        case "input_file":
            return _file(part, param)
        case "input_audio":
            assert part.input_audio is not None
            return AudioPart(data=part.input_audio.data, format=part.input_audio.format)
        case _:
            return OpaquePart(kind=part.type, api=API, place=param, raw=raw)


def _image(part: wire.InputContent, param: str) -> ImagePart:
    if part.image_url is not None:
        inline = split_data_url(part.image_url)
        if inline is None:
            return ImagePart(url=part.image_url, detail=part.detail)
        return ImagePart(data=inline[1], media_type=inline[0] or None, detail=part.detail)
    if part.file_id is None:
        raise required(f"{param}.image_url")
    return ImagePart(file_id=part.file_id, detail=part.detail)


def _file(part: wire.InputContent, param: str) -> FilePart:
    if part.file_data is not None:
        media_type, data = split_data_url(part.file_data) or ("", part.file_data)
        return FilePart(data=data, media_type=media_type or None, filename=part.filename)
    if part.file_url is None and part.file_id is None:
        raise required(f"{param}.file_data", " (or 'file_url', or 'file_id')")
    return FilePart(url=part.file_url, file_id=part.file_id, filename=part.filename)


def _reasoning(item: wire.ReasoningItem) -> list[Part]:
    """A part for each summary and each content; the encrypted content is the signature of the last."""
    parts = [ReasoningPart(text=summary.text, id=item.id, format=SUMMARY_FORMAT) for summary in item.summary or ()]
    parts += [ReasoningPart(text=text.text, id=item.id, format=CONTENT_FORMAT) for text in item.content or ()]
    sealed = item.encrypted_content
    if sealed:
        if parts:
            parts[-1].signature = sealed
        else:
            parts.append(ReasoningPart(redacted=sealed, id=item.id, format=SUMMARY_FORMAT))
        foreign = unseal(parts[-1])
        if foreign.format not in (SUMMARY_FORMAT, CONTENT_FORMAT):
            # Another provider's block: neither id nor format of ours are its own.
            parts = [msgspec.structs.replace(part, id=foreign.id, format=foreign.format) for part in parts]
            parts[-1] = foreign
    elif not parts:
        parts.append(ReasoningPart(id=item.id, format=SUMMARY_FORMAT))
    return list(parts)
