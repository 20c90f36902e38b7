"""What a request of OpenAI Chat Completions holds on the wire: messages, content parts, tools, options.

Source: https://platform.openai.com/docs/api-reference/chat/create. Vendors' additions that clients do send are named
too (`cache_control`, `reasoning_details`, `video_url` ...); what is not named is skipped, because in the lossless lane
the body goes on as it came. A field that may be missing may also be null: clients that serialise objects send it so.

The types are what a client's mistake is told by: their errors carry the path of the wrong field. Imports msgspec.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import JSONObject
from providers.wire.openai_chat.response_structs import ExtraContent, ReasoningDetail

# --- content parts ---------------------------------------------------------------------------------------------------


class TextContent(msgspec.Struct, tag_field="type", tag="text", gc=False):
    text: str
    cache_control: JSONObject | None = None


class ImageURL(msgspec.Struct, gc=False):
    url: str
    detail: str | None = None


class ImageContent(msgspec.Struct, tag_field="type", tag="image_url", gc=False):
    image_url: ImageURL | str
    """A bare string is Mistral's form."""
    cache_control: JSONObject | None = None


class InputAudio(msgspec.Struct, gc=False):
    data: str
    format: str | None = None


class AudioContent(msgspec.Struct, tag_field="type", tag="input_audio", gc=False):
    input_audio: InputAudio
    cache_control: JSONObject | None = None


class File(msgspec.Struct, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FileContent(msgspec.Struct, tag_field="type", tag="file", gc=False):
    file: File
    cache_control: JSONObject | None = None


class RefusalContent(msgspec.Struct, tag_field="type", tag="refusal", gc=False):
    refusal: str


class ThinkingContent(msgspec.Struct, tag_field="type", tag="thinking", gc=False):
    """Mistral's reasoning, sent back to it."""

    thinking: list[JSONObject] | str


class VideoContent(msgspec.Struct, tag_field="type", tag="video_url", gc=False):
    """Of vendors whose models see videos."""

    video_url: msgspec.Raw


class DocumentContent(msgspec.Struct, tag_field="type", tag="document_url", gc=False):
    """Mistral's documents."""

    document_url: msgspec.Raw


class AudioURLContent(msgspec.Struct, tag_field="type", tag="audio_url", gc=False):
    """vLLM's audio."""

    audio_url: msgspec.Raw


class ReferenceContent(msgspec.Struct, tag_field="type", tag="reference", gc=False):
    """Mistral's citation, sent back to it."""

    reference_ids: msgspec.Raw


ContentPart = (
    TextContent
    | ImageContent
    | AudioContent
    | FileContent
    | RefusalContent
    | ThinkingContent
    | VideoContent
    | DocumentContent
    | AudioURLContent
    | ReferenceContent
)

CONTENT_TYPES = ("text", "image_url", "input_audio", "file", "refusal")
"""The types of content parts that are told to a client that sent another one."""

# --- messages --------------------------------------------------------------------------------------------------------


class SystemMessage(msgspec.Struct, tag_field="role", tag="system", gc=False):
    content: str | list[ContentPart]
    name: str | None = None


class DeveloperMessage(msgspec.Struct, tag_field="role", tag="developer", gc=False):
    content: str | list[ContentPart]
    name: str | None = None


class UserMessage(msgspec.Struct, tag_field="role", tag="user", gc=False):
    content: str | list[ContentPart]
    name: str | None = None


class CalledFunction(msgspec.Struct, gc=False):
    name: str
    arguments: str | dict[str, Any] | None = None


class CalledCustomTool(msgspec.Struct, gc=False):
    name: str
    input: str = ""


class AssistantToolCall(msgspec.Struct, gc=False):
    id: str
    type: str | None = None
    function: CalledFunction | None = None
    custom: CalledCustomTool | None = None
    extra_content: ExtraContent | None = None


class AudioReference(msgspec.Struct, gc=False):
    id: str


class AssistantMessage(msgspec.Struct, tag_field="role", tag="assistant", gc=False):
    content: str | list[ContentPart] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[AssistantToolCall] | None = None
    function_call: CalledFunction | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    audio: AudioReference | None = None


class ToolMessage(msgspec.Struct, tag_field="role", tag="tool", gc=False):
    tool_call_id: str
    content: str | list[ContentPart] | None = None
    name: str | None = None


class FunctionMessage(msgspec.Struct, tag_field="role", tag="function", gc=False):
    """What tool messages were before 2023-11: they name the function, not the call."""

    name: str
    content: str | None = None


WireMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

# --- tools and options -----------------------------------------------------------------------------------------------


class FunctionDefinition(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    parameters: JSONObject | None = None
    strict: bool | None = None


class CustomToolDefinition(msgspec.Struct, gc=False):
    name: str
    description: str | None = None


class WireTool(msgspec.Struct, gc=False):
    type: str = "function"
    function: FunctionDefinition | None = None
    custom: CustomToolDefinition | None = None
    cache_control: JSONObject | None = None


class NamedTool(msgspec.Struct, gc=False):
    name: str


class AllowedTool(msgspec.Struct, gc=False):
    type: str
    function: NamedTool | None = None
    custom: NamedTool | None = None

    @property
    def name(self) -> str | None:
        """None for a tool that the provider runs itself."""
        named = self.custom if self.type == "custom" else self.function if self.type == "function" else None
        return named.name if named is not None else None


class AllowedTools(msgspec.Struct, gc=False):
    mode: str
    tools: list[AllowedTool] | None = None


class WireToolChoice(msgspec.Struct, gc=False):
    type: str
    function: NamedTool | None = None
    custom: NamedTool | None = None
    allowed_tools: AllowedTools | None = None


class JSONSchemaFormat(msgspec.Struct, gc=False):
    name: str | None = None
    description: str | None = None
    schema: JSONObject | None = None
    strict: bool | None = None


class WireResponseFormat(msgspec.Struct, gc=False):
    type: str
    json_schema: JSONSchemaFormat | None = None


class WireReasoning(msgspec.Struct, gc=False):
    """OpenRouter's `reasoning` (https://openrouter.ai/docs/use-cases/reasoning-tokens)."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None


class StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None
