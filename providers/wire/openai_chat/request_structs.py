"""What a request of OpenAI Chat Completions holds on the wire: messages, content parts, tools, options.

Source: https://platform.openai.com/docs/api-reference/chat/create. Vendors' additions that many clients send are named
too (`cache_control`, `reasoning_details` ...). Messages, parts and tools are closed, so that one with a field that is
not named is told from the others at no cost; `open_messages` and `tool_decoder` read it. A field that may be missing
may also be null: clients that serialise objects send it so.

The types are what a client's mistake is told by: their errors carry the path of the wrong field. Imports msgspec.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import JSONObject
from providers.wire.openai_chat.response_structs import ExtraContent, ReasoningDetail

# --- content parts ---------------------------------------------------------------------------------------------------


class TextContent(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True, gc=False):
    text: str
    cache_control: JSONObject | None = None


class ImageURL(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    url: str
    detail: str | None = None


class ImageContent(msgspec.Struct, tag_field="type", tag="image_url", forbid_unknown_fields=True, gc=False):
    image_url: ImageURL | str
    """A bare string is Mistral's form."""
    cache_control: JSONObject | None = None


class InputAudio(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    data: str
    format: str | None = None


class AudioContent(msgspec.Struct, tag_field="type", tag="input_audio", forbid_unknown_fields=True, gc=False):
    input_audio: InputAudio
    cache_control: JSONObject | None = None


class File(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FileContent(msgspec.Struct, tag_field="type", tag="file", forbid_unknown_fields=True, gc=False):
    file: File
    cache_control: JSONObject | None = None


class RefusalContent(msgspec.Struct, tag_field="type", tag="refusal", forbid_unknown_fields=True, gc=False):
    refusal: str


class ThinkingContent(msgspec.Struct, tag_field="type", tag="thinking", forbid_unknown_fields=True, gc=False):
    """Mistral's reasoning, sent back to it."""

    thinking: list[JSONObject] | str


ContentPart = TextContent | ImageContent | AudioContent | FileContent | RefusalContent | ThinkingContent
"""What is known. Any other part (`video_url`, Mistral's `document_url`, vLLM's `image_embeds` ...) stays as it came."""

# --- messages --------------------------------------------------------------------------------------------------------


class SystemMessage(msgspec.Struct, tag_field="role", tag="system", forbid_unknown_fields=True, gc=False):
    content: str | list[ContentPart]
    name: str | None = None


class DeveloperMessage(msgspec.Struct, tag_field="role", tag="developer", forbid_unknown_fields=True, gc=False):
    content: str | list[ContentPart]
    name: str | None = None


class UserMessage(msgspec.Struct, tag_field="role", tag="user", forbid_unknown_fields=True, gc=False):
    content: str | list[ContentPart]
    name: str | None = None


class CalledFunction(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: str | dict[str, Any] | None = None


class CalledCustomTool(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    input: str = ""


class AssistantToolCall(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    type: str | None = None
    function: CalledFunction | None = None
    custom: CalledCustomTool | None = None
    extra_content: ExtraContent | None = None
    index: msgspec.Raw = msgspec.Raw(b"")
    """Of a call that was read from a stream."""


class AudioReference(msgspec.Struct, gc=False):
    id: str


class AssistantMessage(msgspec.Struct, tag_field="role", tag="assistant", forbid_unknown_fields=True, gc=False):
    content: str | list[ContentPart] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[AssistantToolCall] | None = None
    function_call: CalledFunction | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    audio: AudioReference | None = None
    annotations: msgspec.Raw = msgspec.Raw(b"")
    """Of an answer that is sent back whole. SDKs send them empty."""


class ToolMessage(msgspec.Struct, tag_field="role", tag="tool", forbid_unknown_fields=True, gc=False):
    tool_call_id: str
    content: str | list[ContentPart] | None = None
    name: str | None = None


class FunctionMessage(msgspec.Struct, tag_field="role", tag="function", forbid_unknown_fields=True, gc=False):
    """What tool messages were before 2023-11: they name the function, not the call."""

    name: str
    content: str | None = None


WireMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage

ROLES_TOLD = "one of 'system', 'developer', 'user', 'assistant', 'tool', 'function'"
"""What an error says of another one."""

# --- tools and options -----------------------------------------------------------------------------------------------


class FunctionDefinition(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    description: str | None = None
    parameters: JSONObject | None = None
    strict: bool | None = None


class CustomToolDefinition(msgspec.Struct, gc=False):
    name: str
    description: str | None = None


class WireTool(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str = "function"
    function: FunctionDefinition | None = None
    cache_control: JSONObject | None = None


class CustomTool(msgspec.Struct, gc=False):
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
