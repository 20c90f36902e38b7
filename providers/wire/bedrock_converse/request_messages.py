"""Messages of the model as Converse's `system` and `messages`. Imports the model and its neighbours.

* System and developer messages become `system` blocks, wherever they stand.
* Roles must alternate, so neighbouring turns of one role are one turn; a user's turn begins with its tool results.
* Texts of nothing but white space are left out: the service refuses them.
* Reasoning goes back only with a signature, as the models that sign it demand; others take none.
* A cache breakpoint becomes a `cachePoint` block after its part.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from msgspec import Raw

from providers.errors import RequestError
from providers.model import (
    AudioPart,
    FilePart,
    ImagePart,
    JSONObject,
    LLMRequest,
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
from providers.wire.bedrock_converse.families import Family
from providers.wire.bedrock_converse.media import Block, MediaEncoder
from providers.wire.bedrock_converse.reasoning import CLAUDE_FORMAT, encode_redacted
from providers.wire.json_text import json_object
from providers.wire.leftover_parts import messages_for

_ID_REFUSED = re.compile(r"[^a-zA-Z0-9_.:-]")
_MAX_ID = 64


class _Turn:
    __slots__ = ("blocks", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[Block] = []
        self.blocks: list[Block] = []


class MessageEncoder:
    """Encodes the messages of one request."""

    def __init__(self, family: Family, translation: Translation) -> None:
        self._family = family
        self._translation = translation
        self._media = MediaEncoder(translation)
        self.called: dict[str, None] = {}
        """The names of the tools that turns so far hold calls of: then the service demands tools."""

    def encode(self, request: LLMRequest) -> tuple[list[Block], list[Block]]:
        """The `system` blocks and the `messages`. Raises `RequestError` if there is no turn to send."""
        system: list[Block] = []
        turns: list[_Turn] = []
        for message in messages_for("", request, self._translation):
            if message.name is not None:
                self._translation.drop("messages.name")
            if message.role in ("system", "developer"):
                system += self._system(message.content)
                continue
            blocks = self._blocks(message.content)
            if not blocks:
                continue
            role = "assistant" if message.role == "assistant" else "user"
            if not turns or turns[-1].role != role:
                turns.append(_Turn(role))
            if message.role == "tool":
                turns[-1].results += blocks
            else:
                turns[-1].blocks += blocks
        if not turns:
            param = self._translation.spell("messages")
            raise RequestError(f"{param}: at least one user message with content is required", param=param)
        return system, [{"role": turn.role, "content": [*turn.results, *turn.blocks]} for turn in turns]

    def cache_point(self, control: JSONObject | None) -> list[Block]:
        """The `cachePoint` for a breakpoint of the client's, if there is one and the model can cache."""
        if control is None:
            return []
        if not self._family.caches:
            self._translation.drop("cache_control")
            return []
        point: Block = {"type": "default"}
        if control.get("ttl") in ("5m", "1h"):
            point["ttl"] = control["ttl"]
        return [{"cachePoint": point}]

    def _system(self, parts: Iterable[Part]) -> list[Block]:
        blocks: list[Block] = []
        for part in parts:
            if isinstance(part, TextPart | RefusalPart):
                blocks += self._blocks([part])
            else:
                self._translation.refuse("messages.content", "system messages hold only text")
        return blocks

    def _blocks(self, parts: Iterable[Part]) -> list[Block]:
        blocks: list[Block] = []
        for part in parts:
            if (block := self._block(part)) is not None:
                blocks.append(block)
                blocks += self.cache_point(part.cache_control)
        return blocks

    def _block(self, part: Part) -> Block | None:
        if signature_block(part) is not None:
            self._translation.drop("messages.signature")  # another service's
        match part:
            case TextPart() | RefusalPart():
                return {"text": part.text} if part.text.strip() else None
            case ReasoningPart():
                return self._reasoning(part)
            case ToolCallPart():
                return self._tool_call(part)
            case ToolResultPart():
                return self._result(part)
            case ImagePart():
                return self._media.image(part)
            case FilePart():
                return self._media.file(part)
            case AudioPart():
                return self._media.audio(part)
            case OpaquePart():
                return None  # `messages_for` leaves none

    def _reasoning(self, part: ReasoningPart) -> Block | None:
        if part.redacted and (blob := encode_redacted(part.redacted, part.format)) is not None:
            return {"reasoningContent": {"redactedContent": blob}}
        if part.signature and part.format in (None, CLAUDE_FORMAT):
            return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}
        self._translation.drop("messages.reasoning")
        return None

    def _tool_call(self, part: ToolCallPart) -> Block:
        self.called[part.name] = None
        arguments: Raw | dict[str, str] | None
        if part.kind == "custom":
            self._translation.refuse("messages.tool_calls.custom", "its tools take a JSON object")
            arguments = {"input": part.arguments}
        else:
            arguments = json_object(part.arguments) if part.arguments.strip() else Raw(b"{}")
        if arguments is None:
            param = self._translation.spell("messages.tool_calls.function.arguments")
            raise RequestError(f"{param}: expected a JSON object in the call '{part.id}' of '{part.name}'", param=param)
        return {"toolUse": {"toolUseId": _tool_id(part.id), "name": part.name, "input": arguments}}

    def _result(self, part: ToolResultPart) -> Block:
        content = [block for inner in part.content if (block := self._in_result(inner)) is not None]
        result: Block = {"toolUseId": _tool_id(part.tool_call_id), "content": content}
        if part.is_error:
            result["status"] = "error"  # not every model takes a status, and success goes without saying
        return {"toolResult": result}

    def _in_result(self, part: Part) -> Block | None:
        if part.cache_control is not None:
            self._translation.drop("cache_control")
        if isinstance(part, TextPart | ImagePart | FilePart):
            return self._block(part)
        self._translation.refuse("messages.content.tool_result", "results hold text, images and documents")
        return None


def _tool_id(call_id: str) -> str:
    """The id with what the service refuses replaced; the same in a call and in its result."""
    fitting = _ID_REFUSED.sub("_", call_id)
    if len(fitting) <= _MAX_ID:
        return fitting
    return hashlib.sha256(call_id.encode()).hexdigest()
