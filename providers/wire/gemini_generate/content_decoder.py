"""The contents of a client's request, as messages of the model. Imports the model and this wire's Structs.

* Results of functions stand in a user's content and become messages of role `tool`, in order.
* Calls and results need no ids here, but everywhere else. A call without one gets it from its place; a result without
  one answers the oldest call of its name that has none yet.
* A list may be given as its only item (`"parts": {"text": ...}`), as Google's own examples do.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import msgspec
from msgspec import Raw

from providers.model import (
    GOOGLE_SIGNATURE,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.extra_fields import Extra, OpenReader
from providers.wire.gemini_generate.candidate_reader import arguments_of, kind_of
from providers.wire.gemini_generate.function_result import read_response
from providers.wire.gemini_generate.media import decode_file, decode_inline
from providers.wire.gemini_generate.signatures import decode_signature
from providers.wire.gemini_generate.structs import (
    API,
    NO_RAW,
    FunctionCall,
    FunctionResponse,
    WirePart,
    given,
)
from providers.wire.json_text import FIELDS, is_object, text_of
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value, read_open, required


class _RequestContent(msgspec.Struct, rename="camel"):
    parts: Raw = NO_RAW
    role: str | None = None


_RAWS = msgspec.json.Decoder(list[Raw])
_CONTENT = OpenReader(_RequestContent)
_PART = OpenReader(WirePart)
_STRING = msgspec.json.Decoder(str)

_ROLES: dict[str, Literal["user", "assistant"]] = {
    "": "user",
    "user": "user",
    "function": "user",
    "tool": "user",
    "model": "assistant",
}


def decode_list(raw: Raw, param: str) -> list[Raw]:
    """A list, or the one item that stands for it."""
    return [raw] if is_object(raw) else decode_parameter(_RAWS, param, raw)


def decode_contents(raw: Raw, param: str = "contents") -> list[Message]:
    """The parameter `contents`. Raises `RequestError` that names the field."""
    items = decode_list(raw, param)
    if not items:
        raise invalid_value(param, "at least one content", "an empty array")
    calls = _Calls()
    messages: list[Message] = []
    for place, item in enumerate(items):
        where = f"{param}[{place}]"
        content, extra = read_open(_CONTENT, where, item)
        role = _ROLES.get(content.role or "")
        if role is None:
            raise invalid_value(f"{where}.role", "one of 'user', 'model'", repr(content.role))
        reader = _ContentReader(role, calls, place)
        for number, part in enumerate(decode_list(content.parts, f"{where}.parts") if given(content.parts) else ()):
            reader.read(part, f"{where}.parts[{number}]", number)
        _add_turn(messages, Message(role=role, content=reader.parts(), extra=extra))
    return messages


def decode_system(raw: Raw, param: str = "systemInstruction") -> Message:
    """The parameter `systemInstruction`: a content, or just its text."""
    if text_of(raw).startswith('"'):
        return Message(role="system", content=[TextPart(text=decode_parameter(_STRING, param, raw))])
    content, extra = read_open(_CONTENT, param, raw)
    reader = _ContentReader("user", _Calls(), 0)
    for number, part in enumerate(decode_list(content.parts, f"{param}.parts") if given(content.parts) else ()):
        reader.read(part, f"{param}.parts[{number}]", number)
    return Message(role="system", content=reader.parts(), extra=extra)


def _add_turn(messages: list[Message], turn: Message) -> None:
    """Add a turn, its results of functions as messages of their own, in order."""
    if not any(isinstance(part, ToolResultPart) for part in turn.content):
        messages.append(turn)
        return
    current: Message | None = None
    for part in turn.content:
        role: Literal["tool", "user"] = "tool" if isinstance(part, ToolResultPart) else "user"
        if current is None or current.role != role:
            current = Message(role=role, extra=turn.extra if current is None else None)
            messages.append(current)
        part.index = len(current.content)
        current.content.append(part)


class _Calls:
    """Which call does a result answer? Calls that wait for one, by name, oldest first."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[str, deque[str]] = {}

    def called(self, call: FunctionCall, made_id: str) -> str:
        call_id = call.id or made_id
        self._waiting.setdefault(call.name or "", deque()).append(call_id)
        return call_id

    def answered(self, result: FunctionResponse) -> str:
        waiting = self._waiting.get(result.name or "")
        if result.id:
            if waiting and result.id in waiting:
                waiting.remove(result.id)
            return result.id
        return waiting.popleft() if waiting else f"call_{result.name}"


class _ContentReader:
    """Reads the parts of one content."""

    def __init__(self, role: str, calls: _Calls, place: int) -> None:
        self._role = role
        self._calls = calls
        self._place = place
        self._parts: list[Part] = []
        self._thoughts: list[str] = []
        """Pieces of a thought that nobody has signed yet: a signature may follow in a part of its own."""
        self._extra: Extra = {}
        """Their unknown fields."""

    def parts(self) -> list[Part]:
        """All of them, numbered."""
        self._end_thought()
        for index, part in enumerate(self._parts):
            part.index = index
        return self._parts

    def read(self, raw: Raw, param: str, number: int) -> None:
        """Take in one part. Raises `RequestError`."""
        part, extra = read_open(_PART, param, raw)
        if part.text is not None and self._role == "assistant" and (part.thought or part.thought_signature):
            self._read_thought(part, extra)
            return
        self._end_thought()
        before = len(self._parts)
        signature = part.thought_signature or ""
        if part.text is not None:
            self._parts.append(TextPart(text=part.text))
        elif part.function_call is not None:
            if self._role != "assistant":
                raise invalid_value(f"{param}.functionCall", "a content of role 'model' around it")
            self._read_call(part.function_call, signature, param, number)
        elif part.function_response is not None:
            if self._role == "assistant":
                raise invalid_value(f"{param}.functionResponse", "a content of role 'user' around it")
            self._parts.append(self._result(part.function_response, param))
        elif part.inline_data is not None and not self._is_special(raw):
            self._parts.append(decode_inline(part.inline_data, 0, signature))
        elif part.file_data is not None and not self._is_special(raw):
            self._parts.append(decode_file(part.file_data, 0))
        elif kind := kind_of(raw):
            self._parts.append(OpaquePart(kind=kind, api=API, place=param, raw=raw))
            return
        if len(self._parts) > before:
            self._parts[-1].extra = extra

    @staticmethod
    def _is_special(raw: Raw) -> bool:
        """Whether only this API can say what is meant: a clip of a video."""
        return "videoMetadata" in FIELDS.decode(raw)

    def _end_thought(self, signed: ReasoningPart | None = None) -> None:
        text, extra = "".join(self._thoughts), self._extra
        self._thoughts, self._extra = [], {}
        if signed is not None:
            signed.text, signed.extra = text, extra or None
            self._parts.append(signed)
        elif text:
            self._parts.append(ReasoningPart(text=text, extra=extra or None))

    def _read_thought(self, part: WirePart, extra: Extra | None) -> None:
        """A thought, or any text that has a signature."""
        text, signature = part.text or "", part.thought_signature or ""
        foreign = decode_signature(signature) if signature else None
        if foreign is not None:
            if foreign.redacted:  # such a block has no text
                self._end_thought()
            else:
                self._think(text, extra)
            self._end_thought(foreign)
        elif not part.thought:
            self._end_thought()
            self._parts.append(TextPart(text=text, signature=signature, extra=extra))
        elif signature:
            self._end_thought()
            self._parts.append(ReasoningPart(text=text, signature=signature, format=GOOGLE_SIGNATURE, extra=extra))
        else:
            self._think(text, extra)

    def _think(self, text: str, extra: Extra | None) -> None:
        self._thoughts.append(text)
        self._extra.update(extra or {})

    def _read_call(self, call: FunctionCall, signature: str, param: str, number: int) -> None:
        if not call.name:
            raise required(f"{param}.functionCall.name")
        if given(call.args) and not is_object(call.args):
            raise invalid_value(f"{param}.functionCall.args", "an object")
        call_id = self._calls.called(call, f"call_{self._place}_{number}")
        self._parts.append(ToolCallPart(id=call_id, name=call.name, arguments=arguments_of(call), signature=signature))

    def _result(self, result: FunctionResponse, param: str) -> ToolResultPart:
        where = f"{param}.functionResponse"
        if not result.name:
            raise required(f"{where}.name")
        part = ToolResultPart(tool_call_id=self._calls.answered(result))
        if given(result.response):
            decode_parameter(FIELDS, f"{where}.response", result.response)
            text, part.is_error = read_response(result.response)
            part.content.append(TextPart(text=text))
        for number, raw in enumerate(decode_list(result.parts, f"{where}.parts") if given(result.parts) else ()):
            place = f"{where}.parts[{number}]"
            media, extra = read_open(_PART, place, raw)
            index = len(part.content)
            if media.inline_data is not None:
                part.content.append(decode_inline(media.inline_data, index))
            elif media.file_data is not None:
                part.content.append(decode_file(media.file_data, index))
            elif kind := kind_of(raw):
                part.content.append(OpaquePart(index=index, kind=kind, api=API, place=place, raw=raw))
                continue
            if len(part.content) > index:
                part.content[-1].extra = extra
        return part
