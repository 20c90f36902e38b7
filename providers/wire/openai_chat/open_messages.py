"""Messages that hold more than OpenAI defines, read field by field: vendors have parts, roles and fields of their own.

What is not known stays as it came, for a provider of this API: a part is opaque, a field goes to `extra`. What is known
but of another type stays too (in `extra`), and is noted in `unread`: another API could not be told it. A mistake that
no vendor could take is told at once: a message that is no object, without a role or a content, a text without text.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from providers.errors import RequestError
from providers.model import Message, OpaquePart, Part, TextPart, ToolCallPart, ToolResultPart, Unread
from providers.wire.extra_fields import Extra, names_of, says_something, split_fields
from providers.wire.json_text import FIELDS, UNREADABLE
from providers.wire.openai_chat import request_structs as wire
from providers.wire.openai_chat.api import API
from providers.wire.openai_chat.message_decoder import (
    LegacyCalls,
    assistant_parts,
    decode_call,
    decode_message,
    decode_part,
    numbered,
)
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value, note, required

_T = TypeVar("_T")
_Decoder = msgspec.json.Decoder

_MESSAGE = _Decoder(wire.WireMessage)
_PART = _Decoder(wire.ContentPart)
_CALL = _Decoder(wire.AssistantToolCall)
_RAWS = _Decoder(list[Raw])
_STRING = _Decoder(str)
_MAYBE_STRING = _Decoder(str | None)
_TEXT = _Decoder(str | list[Raw])
_MAYBE_TEXT = _Decoder(str | list[Raw] | None)

_NULL = Raw(b"null")

_PARTS: dict[str, tuple[type[msgspec.Struct], dict[str, frozenset[str]]]] = {
    "text": (wire.TextContent, {}),
    "image_url": (wire.ImageContent, {"image_url": names_of(wire.ImageURL)}),
    "input_audio": (wire.AudioContent, {"input_audio": names_of(wire.InputAudio)}),
    "file": (wire.FileContent, {"file": names_of(wire.File)}),
    "refusal": (wire.RefusalContent, {}),
    "thinking": (wire.ThinkingContent, {}),
}
"""The parts that are known, and the objects in them."""

_ONE_FORM = frozenset({"text", "image_url", "refusal"})
"""Parts that no vendor takes in another form."""

_REASONING = ("reasoning_content", "reasoning", "reasoning_details")
"""Never asked for by another API: vendors may shape it as they like."""


class OpenMessages:
    """Reads the messages of one request. `unread` takes what is of another type than OpenAI's."""

    def __init__(self, unread: dict[str, Unread]) -> None:
        self._unread = unread
        self._legacy = LegacyCalls()

    def decode(self, raw: Raw) -> list[Message]:
        """The parameter `messages`. Raises `RequestError` that names the field."""
        items = decode_parameter(_RAWS, "messages", raw)
        return [self._message(item, index) for index, item in enumerate(items)]

    def _message(self, raw: Raw, index: int) -> Message:
        try:
            return decode_message(_MESSAGE.decode(raw), index, self._legacy)
        except UNREADABLE:
            pass
        param = f"messages[{index}]"
        fields = decode_parameter(FIELDS, param, raw)
        if fields.get("role", _NULL) == _NULL:
            raise required(f"{param}.role")
        if not bytes(fields["role"]).startswith(b'"'):
            decode_parameter(_MESSAGE, param, raw)
        role = decode_parameter(_STRING, f"{param}.role", fields["role"])
        match role:
            case "assistant":
                return self._assistant(fields, index, param)
            case "tool":
                return self._result(fields, param)
            case "function":
                pruned, extra = split_fields(raw, names_of(wire.FunctionMessage))
                message = decode_message(decode_parameter(_MESSAGE, param, pruned), index, self._legacy)
                message.extra = extra or None
                return message
            case "system" | "developer" | "user":
                message = Message(role=role)
            case _:
                # Whoever it is that speaks, what is said can be seen.
                message = Message(role="user", extra={"role": fields["role"]})
                note(invalid_value(f"{param}.role", wire.ROLES_TOLD, repr(role)), self._unread)
        if "content" not in fields:
            raise required(f"{param}.content")
        message.content = self._content(decode_parameter(_TEXT, f"{param}.content", fields["content"]), param)
        return self._finished(message, fields, param)

    def _finished(self, message: Message, fields: dict[str, Raw], param: str, *known: str) -> Message:
        """The message with its name, and with what is not known."""
        extra: Extra = dict(message.extra or {})
        message.name = self._field(_MAYBE_STRING, "name", fields, param, extra)
        for name, value in fields.items():
            if name in ("role", "content", "name", *known) or value == _NULL:
                continue
            if name != "annotations" or says_something(value):
                extra[name] = value
        message.extra = extra or None
        return message

    def _assistant(self, fields: dict[str, Raw], index: int, param: str) -> Message:
        extra: Extra = {}
        said = wire.AssistantMessage()
        known = names_of(wire.AssistantMessage)
        for name in sorted(known - {"role", "content", "name", "tool_calls", "annotations"}):
            setattr(said, name, self._field(_FIELDS[name], name, fields, param, extra, told=name not in _REASONING))
        content = self._content(decode_parameter(_MAYBE_TEXT, f"{param}.content", fields.get("content", _NULL)), param)
        calls: list[ToolCallPart] = []
        if fields.get("tool_calls", _NULL) != _NULL:
            raws = decode_parameter(_RAWS, f"{param}.tool_calls", fields["tool_calls"])
            calls = [self._call(raw, f"{param}.tool_calls[{place}]") for place, raw in enumerate(raws)]
        message = Message(role="assistant", extra=extra)
        message.content = assistant_parts(said, content, calls, index, self._legacy)
        return self._finished(message, fields, param, *(known - {"annotations"}))

    def _result(self, fields: dict[str, Raw], param: str) -> Message:
        content = decode_parameter(_MAYBE_TEXT, f"{param}.content", fields.get("content", _NULL))
        result = ToolResultPart(tool_call_id="", content=self._content(content, param))
        message = Message(role="tool", content=[result], extra={})
        assert message.extra is not None
        if "tool_call_id" not in fields:
            note(required(f"{param}.tool_call_id"), self._unread)
        else:
            call_id = self._field(_STRING, "tool_call_id", fields, param, message.extra)
            result.tool_call_id = call_id or ""
        return self._finished(message, fields, param, "tool_call_id")

    def _call(self, raw: Raw, param: str) -> ToolCallPart:
        try:
            return decode_call(_CALL.decode(raw), param)
        except UNREADABLE:
            pass
        fields = decode_parameter(FIELDS, param, raw)
        pruned, extra = split_fields(raw, names_of(wire.AssistantToolCall), _IN_CALLS)
        if fields.get("id", _NULL) == _NULL:
            note(required(f"{param}.id"), self._unread)
            pruned = Raw(msgspec.json.encode({**FIELDS.decode(pruned), "id": ""}))
        part = decode_call(decode_parameter(_CALL, param, pruned), param)
        part.extra = {**(part.extra or {}), **extra} or None
        return part

    def _content(self, content: str | list[Raw] | None, param: str) -> list[Part]:
        if not content:
            return []
        if isinstance(content, str):
            return [TextPart(text=content)]
        return numbered([self._part(raw, f"{param}.content[{place}]") for place, raw in enumerate(content)])

    def _part(self, raw: Raw, param: str) -> Part:
        try:
            return decode_part(_PART.decode(raw))
        except UNREADABLE:
            pass
        fields = decode_parameter(FIELDS, param, raw)
        if fields.get("type", _NULL) == _NULL:
            raise required(f"{param}.type")
        kind = decode_parameter(_STRING, f"{param}.type", fields["type"])
        if kind not in _PARTS:
            return OpaquePart(kind=kind, api=API, place=param, raw=raw)
        struct, nested = _PARTS[kind]
        pruned, extra = split_fields(raw, names_of(struct), nested)
        try:
            part = decode_part(decode_parameter(_PART, param, pruned))
        except RequestError as error:
            if kind in _ONE_FORM:
                raise
            note(error, self._unread)
            return OpaquePart(kind=kind, api=API, place=param, raw=raw)
        part.extra = extra or None
        return part

    def _field(
        self, decoder: _Decoder[_T], name: str, fields: dict[str, Raw], param: str, extra: Extra, *, told: bool = True
    ) -> _T | None:
        """A field of a message; None if it is not given, or not of this type. `told`: another API is told so."""
        raw = fields.get(name, _NULL)
        if raw == _NULL:
            return None
        try:
            return decode_parameter(decoder, f"{param}.{name}", raw)
        except RequestError as error:
            extra[name] = raw
            if told:
                note(error, self._unread)
            return None


_IN_CALLS = {"function": names_of(wire.CalledFunction), "custom": names_of(wire.CalledCustomTool)}

_FIELDS: dict[str, _Decoder[Any]] = {
    field.name: _Decoder(field.type)
    for field in msgspec.structs.fields(wire.AssistantMessage)
    if field.name != "content"
}
