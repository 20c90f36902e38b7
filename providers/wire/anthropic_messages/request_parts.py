"""Parts of a request as content blocks. Imports the model and its neighbours.

Texts of nothing but white space are left out: the API refuses them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

import msgspec
from msgspec import Raw

from providers.errors import RequestError
from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    signature_block,
)
from providers.wire.anthropic_messages.response_encoder import encode_opaque
from providers.wire.anthropic_messages.structs import API, SIGNATURE_FORMAT
from providers.wire.base import Translation
from providers.wire.data_url import split_data_url
from providers.wire.extra_fields import put_back
from providers.wire.json_text import json_object
from providers.wire.media_types import media_type_of_name

Block = dict[str, object] | Raw

_ID_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")
"""What may not stand in a tool call's id. Some vendors write `functions.get_weather:0`."""


class PartEncoder:
    """Encodes the parts of one request, which came through the client API `api`."""

    def __init__(self, api: str, translation: Translation) -> None:
        self._own = api == API
        self._translation = translation

    def text_only(self, parts: Iterable[Part]) -> list[Block]:
        """Blocks of a system message, which holds text."""
        blocks: list[Block] = []
        for part in parts:
            if isinstance(part, (TextPart, RefusalPart)) or (isinstance(part, OpaquePart) and part.api == API):
                blocks += self.blocks([part])
            else:
                self._translation.refuse("messages.content", "system messages hold only text")
        return blocks

    def results(self, parts: Iterable[Part]) -> list[Block]:
        """Blocks of a tool message."""
        return [self._result(part) for part in parts if isinstance(part, ToolResultPart)]

    def blocks(self, parts: Iterable[Part]) -> list[Block]:
        """Blocks of a user's or the assistant's message."""
        return [block for part in parts if (block := self._block(part)) is not None]

    def _block(self, part: Part) -> Block | None:
        block: dict[str, object] | None
        if signature_block(part) is not None:
            self._translation.drop("messages.signature")  # the API takes only what it has signed
        match part:
            case TextPart():
                block = self._text(part)
            case RefusalPart():
                block = {"type": "text", "text": part.text} if part.text.strip() else None
            case ReasoningPart():
                block = self._reasoning(part)
            case ToolCallPart():
                block = self._tool_call(part)
            case ToolResultPart():
                block = self._result(part)
            case ImagePart():
                block = self._image(part)
            case FilePart():
                block = self._document(part)
            case AudioPart():
                self._translation.refuse("messages.content.input_audio", "the API takes no audio")
                return None
            case OpaquePart():
                return encode_opaque(part)
        if block is not None:
            if part.cache_control is not None:
                block["cache_control"] = part.cache_control
            self._put_back(block, part)
        return block

    def _put_back(self, block: dict[str, object], part: Part) -> None:
        if self._own:
            put_back(block, part.extra)

    def _text(self, part: TextPart) -> dict[str, object] | None:
        if not part.text.strip():
            return None
        block: dict[str, object] = {"type": "text", "text": part.text}
        own = [citation.raw for citation in part.citations if citation.api == API and citation.raw is not None]
        if own:
            block["citations"] = own
        if len(own) < len(part.citations):
            self._translation.drop("messages.content.citations")
        return block

    def _reasoning(self, part: ReasoningPart) -> dict[str, object] | None:
        signed_here = part.format in (None, SIGNATURE_FORMAT)
        if part.redacted and signed_here:
            return {"type": "redacted_thinking", "data": part.redacted}
        if part.signature and signed_here:
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        self._translation.drop("messages.reasoning")  # the API takes only what it has signed
        return None

    def _tool_call(self, part: ToolCallPart) -> dict[str, object]:
        if part.kind == "custom":
            self._translation.refuse("messages.tool_calls.custom", "its tools take a JSON object")
            arguments: Raw | None = Raw(msgspec.json.encode({"input": part.arguments}))
        elif not part.arguments.strip():
            arguments = Raw(b"{}")
        else:
            arguments = json_object(part.arguments)
        if arguments is None:
            param = self._translation.spell("messages.tool_calls.function.arguments")
            raise RequestError(f"{param}: expected a JSON object in the call '{part.id}' of '{part.name}'", param=param)
        return {"type": "tool_use", "id": _tool_id(part.id), "name": part.name, "input": arguments}

    def _result(self, part: ToolResultPart) -> dict[str, object]:
        block: dict[str, object] = {"type": "tool_result", "tool_use_id": _tool_id(part.tool_call_id)}
        if content := self.blocks(part.content):
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        if part.cache_control is not None:
            block["cache_control"] = part.cache_control
        self._put_back(block, part)
        return block

    def _image(self, part: ImagePart) -> dict[str, object] | None:
        if part.detail not in (None, "auto"):
            self._translation.drop("messages.content.image_url.detail")
        url, data, media_type = part.url, part.data, part.media_type
        if url is not None and (inline := split_data_url(url)) is not None:
            url, data, media_type = None, inline[1], inline[0] or media_type
        source: dict[str, str]
        if data is not None:
            source = {"type": "base64", "media_type": media_type or "image/png", "data": data}
        elif url is not None:
            source = {"type": "url", "url": url}
        elif part.file_id is not None and self._own:
            source = {"type": "file", "file_id": part.file_id}
        else:
            self._translation.refuse("messages.content.image.file_id", "the file is stored with another provider")
            return None
        return {"type": "image", "source": source}

    def _document(self, part: FilePart) -> dict[str, object] | None:
        source = self._document_source(part)
        if source is None:
            return None
        block: dict[str, object] = {"type": "document", "source": source}
        if part.filename is not None:
            block["title"] = part.filename
        if part.context is not None:
            block["context"] = part.context
        if part.citations is not None:
            block["citations"] = {"enabled": part.citations}
        return block

    def _document_source(self, part: FilePart) -> dict[str, str] | None:
        if part.text is not None:
            return {"type": "text", "media_type": "text/plain", "data": part.text}
        data, media_type = part.data, part.media_type
        inlined = data if data is not None else part.url
        if inlined is not None and (inline := split_data_url(inlined)) is not None:
            media_type, data = inline[0] or media_type, inline[1]
        if data is not None:
            return self._inline_document(data, media_type or media_type_of_name(part.filename, "application/pdf"))
        if part.url is not None:
            return {"type": "url", "url": part.url}
        if part.file_id is not None and self._own:
            return {"type": "file", "file_id": part.file_id}
        self._translation.refuse("messages.content.file.file_id", "the file is stored with another provider")
        return None

    def _inline_document(self, data: str, media_type: str) -> dict[str, str] | None:
        if media_type == "application/pdf" or self._own:
            return {"type": "base64", "media_type": media_type, "data": data}
        if media_type.startswith("text/") or media_type == "application/json":
            try:
                text = base64.b64decode(data, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                param = self._translation.spell("messages.content.file.file_data")
                raise RequestError(f"{param}: expected UTF-8 text in base64", param=param) from error
            return {"type": "text", "media_type": "text/plain", "data": text}
        self._translation.refuse("messages.content.file", f"no documents of type {media_type[:100]}")
        return None


def _tool_id(call_id: str) -> str:
    return _ID_REFUSED.sub("_", call_id)
