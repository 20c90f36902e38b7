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
from providers.wire.extra_fields import Extra, OpenReader, says_something
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value, read_open, required
from providers.wire.openai_responses import request_structs as wire
from providers.wire.openai_responses.annotations import decode_annotation
from providers.wire.openai_responses.answer_reader import text_of_arguments
from providers.wire.openai_responses.api import API, CONTENT_FORMAT, SUMMARY_FORMAT
from providers.wire.openai_responses.parameters import DROPPABLE_ITEMS, WHY_ITEM_IS_BOUND, WHY_OTHER_ITEM_IS_BOUND
from providers.wire.seals import unseal

_INPUT = msgspec.json.Decoder(str | list[Raw])
_ITEM = msgspec.json.Decoder(wire.WireItem)
_MESSAGE = OpenReader(wire.MessageItem)
_REASONING = OpenReader(wire.ReasoningItem)
_CALL = OpenReader(wire.FunctionCallItem)
_CUSTOM_CALL = OpenReader(wire.CustomToolCallItem)
_OUTPUT = OpenReader(wire.CallOutputItem)
_CONTENT = OpenReader(wire.InputContent)

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
                thought, extra = read_open(_REASONING, param, raw)
                parts = _reasoning(thought)
                parts[0].extra = _beside(extra, status=thought.status)
                self._turn().content += parts
            case "function_call":
                call, extra = read_open(_CALL, param, raw)
                arguments = text_of_arguments(call.arguments) or ""
                extra = _beside_item(call, extra)
                self._turn().content.append(
                    ToolCallPart(id=call.call_id, name=call.name, arguments=arguments, extra=extra)
                )
            case "custom_tool_call":
                custom, extra = read_open(_CUSTOM_CALL, param, raw)
                part = ToolCallPart(id=custom.call_id, name=custom.name, arguments=custom.input, kind="custom")
                part.extra = _beside_item(custom, extra)
                self._turn().content.append(part)
            case "function_call_output" | "custom_tool_call_output":
                self._result(*read_open(_OUTPUT, param, raw), kind, param)
            case "":
                raise required(f"{param}.type")
            case _:
                self._opaque(kind, raw, param)

    def _message(self, raw: Raw, param: str) -> None:
        message, extra = read_open(_MESSAGE, param, raw)
        extra = _beside_item(message, extra)
        role = _ROLES.get(message.role)
        if role is None:
            raise invalid_value(f"{param}.role", f"one of {', '.join(map(repr, _ROLES))}", repr(message.role))
        content = decode_content(message.content, f"{param}.content")
        if role != "assistant":
            self._messages.append(Message(role=role, content=content, extra=extra))
            return
        if extra is not None and content:
            # A turn may hold several messages: what belongs to one stays with its first part.
            item = {f"item.{name}": value for name, value in extra.items()}
            content[0].extra = {**(content[0].extra or {}), **item}
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

    def _result(self, item: wire.CallOutputItem, extra: Extra | None, kind: str, param: str) -> None:
        content = decode_content(item.output, f"{param}.output")
        extra = _beside_item(item, extra)
        result = ToolResultPart(tool_call_id=item.call_id or "", content=content, extra=extra)
        if kind == "custom_tool_call_output":
            result.kind = "custom"
        if not self._messages or self._messages[-1].role != "tool":
            self._messages.append(Message(role="tool"))
        self._messages[-1].content.append(result)

    def _opaque(self, kind: str, raw: Raw, param: str) -> None:
        if kind not in DROPPABLE_ITEMS:
            self._request.bound[param] = WHY_ITEM_IS_BOUND.get(kind, WHY_OTHER_ITEM_IS_BOUND)
        self._turn().content.append(OpaquePart(kind=kind, api=API, place=param, raw=raw))


def _beside(extra: Extra | None, **also: Raw) -> Extra | None:
    """The unknown fields of an item, and those that mean something to this API alone."""
    own = {name: value for name, value in also.items() if bytes(value) not in (b"", b"null")}
    return {**own, **(extra or {})} or None


def _beside_item(item: wire.Item, extra: Extra | None) -> Extra | None:
    return _beside(extra, id=item.id, status=item.status)


def decode_content(content: str | list[Raw] | None, param: str) -> list[Part]:
    """The content of a message or of a tool's result."""
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(text=content)]
    return [_part(raw, f"{param}[{index}]") for index, raw in enumerate(content)]


def _part(raw: Raw, param: str) -> Part:
    content, extra = read_open(_CONTENT, param, raw)
    part = _part_of(content, raw, param)
    if not isinstance(part, OpaquePart):
        part.extra = _beside(extra, **_of_another_kind(content, part))
    return part


def _of_another_kind(content: wire.InputContent, part: Part) -> Extra:
    """Fields that the model has for other kinds of parts."""
    found = {"logprobs": content.logprobs} if says_something(content.logprobs) else {}
    if isinstance(part, FilePart) and content.detail is not None:
        found["detail"] = Raw(msgspec.json.encode(content.detail))
    return found


def _part_of(part: wire.InputContent, raw: Raw, param: str) -> Part:
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
