"""The messages of a client's request as OpenAI defines them, as messages of the model.

Messages that hold more are read by `open_messages`, with what stands here. Imports the model and this wire's Structs.
"""

from __future__ import annotations

import msgspec

from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from providers.wire.extra_fields import says_something
from providers.wire.json_text import UNREADABLE
from providers.wire.openai_chat import request_structs as wire
from providers.wire.openai_chat.reasoning import message_reasoning
from providers.wire.openai_chat.request_errors import required

_MESSAGES = msgspec.json.Decoder(list[wire.WireMessage])
_URLS = ("https://", "http://")


def decode_messages(raw: msgspec.Raw) -> list[Message] | None:
    """The parameter `messages`; None if it holds anything that OpenAI does not define: see `open_messages`."""
    try:
        messages = _MESSAGES.decode(raw)
    except UNREADABLE:
        return None
    legacy = LegacyCalls()
    return [decode_message(message, index, legacy) for index, message in enumerate(messages)]


class LegacyCalls:
    """Makes ids for `function_call`s, which have none, and finds them again for the `function` messages."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def called(self, name: str, index: int) -> str:
        self._ids[name] = f"call_{index}_{name}"
        return self._ids[name]

    def answered(self, name: str) -> str:
        return self._ids.get(name, f"call_{name}")


def decode_message(message: wire.WireMessage, index: int, legacy: LegacyCalls) -> Message:
    if isinstance(message, wire.UserMessage):
        return Message(role="user", content=_content(message.content), name=message.name)
    if isinstance(message, wire.AssistantMessage):
        calls = [
            decode_call(call, f"messages[{index}].tool_calls[{place}]")
            for place, call in enumerate(message.tool_calls or ())
        ]
        content = assistant_parts(message, _content(message.content), calls, index, legacy)
        return Message(role="assistant", content=content, name=message.name, extra=_annotations(message))
    if isinstance(message, wire.ToolMessage):
        result = ToolResultPart(tool_call_id=message.tool_call_id, content=_content(message.content))
        return Message(role="tool", content=[result], name=message.name)
    if isinstance(message, wire.SystemMessage):
        return Message(role="system", content=_content(message.content), name=message.name)
    if isinstance(message, wire.DeveloperMessage):
        return Message(role="developer", content=_content(message.content), name=message.name)
    result = ToolResultPart(tool_call_id=legacy.answered(message.name), content=_content(message.content))
    return Message(role="tool", content=[result])


def _content(content: str | list[wire.ContentPart] | None) -> list[Part]:
    if not content:
        return []
    if isinstance(content, str):
        return [TextPart(text=content)]
    parts = [decode_part(part) for part in content]
    return numbered(parts) if len(parts) > 1 else parts


def numbered(parts: list[Part]) -> list[Part]:
    for index, part in enumerate(parts):
        part.index = index
    return parts


def assistant_parts(
    message: wire.AssistantMessage, content: list[Part], calls: list[ToolCallPart], index: int, legacy: LegacyCalls
) -> list[Part]:
    """The parts of an assistant's message: of its `content`, of its `tool_calls`, and of its other fields."""
    parts: list[Part] = []
    parts += message_reasoning(message.reasoning_content or message.reasoning, message.reasoning_details)
    parts += content
    if message.refusal:
        parts.append(RefusalPart(text=message.refusal))
    parts += calls
    if message.function_call is not None:
        function = message.function_call
        call_id = legacy.called(function.name, index)
        parts.append(ToolCallPart(id=call_id, name=function.name, arguments=_arguments(function)))
    if message.audio is not None:
        parts.append(AudioPart(id=message.audio.id))
    return numbered(parts)


def _annotations(message: wire.AssistantMessage) -> dict[str, msgspec.Raw] | None:
    annotations = message.annotations
    return {"annotations": annotations} if annotations and says_something(annotations) else None


def decode_call(call: wire.AssistantToolCall, param: str) -> ToolCallPart:
    if call.type == "custom":
        if call.custom is None:
            raise required(f"{param}.custom")
        return ToolCallPart(id=call.id, name=call.custom.name, arguments=call.custom.input, kind="custom")
    if call.function is None:
        raise required(f"{param}.function")
    signature = call.extra_content.signature if call.extra_content is not None else ""
    function = call.function
    part = ToolCallPart(id=call.id, name=function.name, arguments=_arguments(function), signature=signature)
    if call.type not in (None, "function"):  # a vendor's own (Moonshot's `builtin_function`)
        part.extra = {"type": msgspec.Raw(msgspec.json.encode(call.type))}
    return part


def _arguments(function: wire.CalledFunction) -> str:
    arguments = function.arguments
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else msgspec.json.encode(arguments).decode()


def decode_part(part: wire.ContentPart) -> Part:
    if isinstance(part, wire.TextContent):
        return TextPart(text=part.text, cache_control=part.cache_control)
    if isinstance(part, wire.ImageContent):
        return _image(part)
    if isinstance(part, wire.AudioContent):
        audio = part.input_audio
        return AudioPart(data=audio.data, format=audio.format, cache_control=part.cache_control)
    if isinstance(part, wire.FileContent):
        return _file(part)
    if isinstance(part, wire.RefusalContent):
        return RefusalPart(text=part.refusal)
    return ReasoningPart(text=_thinking(part))


def _image(part: wire.ImageContent) -> ImagePart:
    image = part.image_url
    url, detail = (image, None) if isinstance(image, str) else (image.url, image.detail)
    media_type, data = _split_data_url(url)
    if data is None:
        return ImagePart(url=url, detail=detail, cache_control=part.cache_control)
    return ImagePart(data=data, media_type=media_type, detail=detail, cache_control=part.cache_control)


def _file(part: wire.FileContent) -> FilePart:
    file = part.file
    media_type = data = url = None
    if file.file_data is not None:
        media_type, data = _split_data_url(file.file_data)
        if data is None and file.file_data.startswith(_URLS):  # as OpenRouter takes it
            url = file.file_data
        elif data is None:
            data = file.file_data
    return FilePart(
        data=data,
        url=url,
        media_type=media_type,
        file_id=file.file_id,
        filename=file.filename,
        cache_control=part.cache_control,
    )


def _split_data_url(url: str) -> tuple[str | None, str | None]:
    """Media type and base64 data of a `data:` URL (RFC 2397); (None, None) for any other, and for one not in base64."""
    if not url.startswith("data:"):
        return None, None
    head, comma, data = url.partition(",")
    if not comma or not head.endswith(";base64"):
        return None, None
    return head[5:-7].partition(";")[0] or None, data


def _thinking(part: wire.ThinkingContent) -> str:
    if isinstance(part.thinking, str):
        return part.thinking
    texts = [item.get("text") for item in part.thinking]
    return "".join(text for text in texts if isinstance(text, str))
