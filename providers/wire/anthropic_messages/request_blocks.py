"""Content blocks of a request as parts of the model. Imports the model and its neighbours."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import FilePart, ImagePart, OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from providers.wire.anthropic_messages.blocks import decode_citation
from providers.wire.anthropic_messages.fields import one_of, read, read_open, refuse, type_of
from providers.wire.anthropic_messages.structs import (
    API,
    SIGNATURE_FORMAT,
    DocumentBlock,
    ImageBlock,
    RedactedThinkingBlock,
    Source,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from providers.wire.extra_fields import OpenReader
from providers.wire.json_text import is_object, text_of
from providers.wire.seals import unseal

_CONTENT = msgspec.json.Decoder(str | list[Raw])
_TEXT = OpenReader(TextBlock, "type")
_IMAGE = OpenReader(ImageBlock, "type")
_DOCUMENT = OpenReader(DocumentBlock, "type")
_THINKING = OpenReader(ThinkingBlock, "type")
_REDACTED = OpenReader(RedactedThinkingBlock, "type")
_TOOL_USE = OpenReader(ToolUseBlock, "type")
_TOOL_RESULT = OpenReader(ToolResultBlock, "type")

_SOURCE_FIELDS = {
    "base64": ("media_type", "data"),
    "text": ("data",),
    "url": ("url",),
    "file": ("file_id",),
}

_NOT_FOR_ROLE = {
    "user": frozenset({"tool_use", "thinking", "redacted_thinking"}),
    "assistant": frozenset({"tool_result"}),
    "system": frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking"}),
}


def decode_content(raw: Raw, role: str, param: str) -> list[Part]:
    """`content` of a message, of `system` or of a tool's result: a string or a list of blocks."""
    content = read(_CONTENT, raw, param)
    if isinstance(content, str):
        return [TextPart(text=content)]
    return [_decode_block(block, index, role, f"{param}.{index}") for index, block in enumerate(content)]


def _decode_block(raw: Raw, index: int, role: str, param: str) -> Part:
    kind = type_of(raw, param)
    if kind in _NOT_FOR_ROLE[role]:
        refuse(f"{param}.type", f"'{kind}' blocks cannot stand in a message of role '{role}'")
    match kind:
        case "text":
            text, extra = read_open(_TEXT, raw, param)
            citations = [decode_citation(citation) for citation in text.citations or ()]
            return TextPart(
                index=index, text=text.text, citations=citations, cache_control=text.cache_control, extra=extra
            )
        case "image":
            image, extra = read_open(_IMAGE, raw, param)
            source = _source(image.source, ("base64", "url", "file"), f"{param}.source")
            return ImagePart(
                index=index,
                url=source.url,
                data=source.data,
                media_type=source.media_type,
                file_id=source.file_id,
                cache_control=image.cache_control,
                extra=extra,
            )
        case "document":
            return _document(raw, index, param)
        case "thinking":
            thinking, extra = read_open(_THINKING, raw, param)
            signature = thinking.signature or ""
            return _signed(ReasoningPart(index=index, text=thinking.thinking, signature=signature, extra=extra))
        case "redacted_thinking":
            redacted, extra = read_open(_REDACTED, raw, param)
            return _signed(ReasoningPart(index=index, redacted=redacted.data, extra=extra))
        case "tool_use":
            call, extra = read_open(_TOOL_USE, raw, param)
            if not is_object(call.input):
                refuse(f"{param}.input", "expected object")
            return ToolCallPart(
                index=index,
                id=call.id,
                name=call.name,
                arguments=text_of(call.input),
                cache_control=call.cache_control,
                extra=extra,
            )
        case "tool_result":
            return _tool_result(raw, index, param)
        case _:
            return OpaquePart(index=index, kind=kind, api=API, place=param, raw=raw)


def _signed(part: ReasoningPart) -> ReasoningPart:
    """The part with the format of who signed it: Anthropic, unless it says otherwise."""
    part = unseal(part)
    if part.format is None and (part.signature or part.redacted):
        part.format = SIGNATURE_FORMAT
    return part


def _document(raw: Raw, index: int, param: str) -> Part:
    document, extra = read_open(_DOCUMENT, raw, param)
    if document.source.type == "content":  # blocks inside a document: no other API has that
        return OpaquePart(index=index, kind="document", api=API, place=param, raw=raw)
    source = _source(document.source, ("base64", "text", "url", "file", "content"), f"{param}.source")
    is_text = source.type == "text"
    return FilePart(
        index=index,
        text=source.data if is_text else None,
        data=None if is_text else source.data,
        url=source.url,
        file_id=source.file_id,
        media_type=source.media_type,
        filename=document.title,
        context=document.context,
        citations=document.citations.enabled if document.citations is not None else None,
        cache_control=document.cache_control,
        extra=extra,
    )


def _source(source: Source, known: tuple[str, ...], param: str) -> Source:
    for name in _SOURCE_FIELDS[one_of(source.type, known, f"{param}.type")]:
        if getattr(source, name) is None and not (source.type == "text" and name == "media_type"):
            refuse(f"{param}.{name}", "field required")
    return source


def _tool_result(raw: Raw, index: int, param: str) -> ToolResultPart:
    result, extra = read_open(_TOOL_RESULT, raw, param)
    content: list[Part] = []
    if isinstance(result.content, str):
        content = [TextPart(text=result.content)]
    elif result.content is not None:
        content = [
            _decode_block(block, number, "system", f"{param}.content.{number}")
            for number, block in enumerate(result.content)
        ]
    return ToolResultPart(
        index=index,
        tool_call_id=result.tool_use_id,
        content=content,
        is_error=result.is_error or False,
        cache_control=result.cache_control,
        extra=extra,
    )
