"""How much a request says. Pure; imports the model."""

from __future__ import annotations

import msgspec

from providers.model import (
    AudioPart,
    FilePart,
    LLMRequest,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)

CHARS_PER_TOKEN = 4
"""For the estimate of input tokens: about right for English with any vendor's tokenizer, too low for other scripts."""


def size_of(request: LLMRequest) -> int:
    """The characters of all that a model reads of a request: messages, tools, and the schema of the answer. Pictures
    and the like count nothing, and tokens as the characters that they stand for."""
    size = sum(_size(part) for message in request.messages for part in message.content)
    size += sum(map(_tool, request.tools))
    if request.response_format is not None and request.response_format.schema is not None:
        size += _json(request.response_format.schema)
    return size


def _size(part: Part) -> int:
    match part:
        case TextPart() | ReasoningPart() | RefusalPart():
            return len(part.text)
        case ToolCallPart():
            return len(part.name) + len(part.arguments)
        case ToolResultPart():
            return sum(map(_size, part.content))
        case AudioPart():
            return len(part.transcript)
        case FilePart():
            return len(part.text or "") + len(part.context or "")
        case OpaquePart(kind="tokens"):
            return CHARS_PER_TOKEN * (bytes(part.raw).count(b",") + 1)
        case OpaquePart():
            return len(bytes(part.raw).decode("utf-8", "replace")) + len(part.input)
    return 0


def _tool(tool: Tool) -> int:
    if tool.raw is not None:
        return _json(tool.raw)
    return len(tool.name) + len(tool.description or "") + (_json(tool.parameters) if tool.parameters else 0)


def _json(value: object) -> int:
    return len(msgspec.json.encode(value).decode())
