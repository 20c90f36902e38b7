"""What a request of the Responses API holds on the wire: input items, content parts, tools, options.

Source: https://platform.openai.com/docs/api-reference/responses/create and its typed form in the `openai` package. A
field that may be missing may also be null. The types are what a client's mistake is told by: their errors carry the
path of the wrong field. Imports msgspec and the model.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import JSONObject

# --- input -----------------------------------------------------------------------------------------------------------


class WireItem(msgspec.Struct, gc=False):
    """What tells the kind of an item: a message may leave its type out, and so may a reference."""

    type: str | None = None
    role: str | None = None
    id: str | None = None


NOT_GIVEN = Raw(b"")


class Item(msgspec.Struct, kw_only=True, gc=False):
    """What any item has besides: its name at the provider, and how far it is."""

    type: str | None = None
    id: Raw = NOT_GIVEN
    status: Raw = NOT_GIVEN


class MessageItem(Item, kw_only=True, gc=False):
    role: str
    content: str | list[Raw] | None = None
    phase: str | None = None


class SummaryText(msgspec.Struct, gc=False):
    text: str = ""


class ReasoningItem(msgspec.Struct, gc=False):
    type: str | None = None
    id: str | None = None
    status: Raw = NOT_GIVEN
    summary: list[SummaryText] | None = None
    content: list[SummaryText] | None = None
    encrypted_content: str | None = None


class FunctionCallItem(Item, kw_only=True, gc=False):
    call_id: str
    name: str
    arguments: str | JSONObject | None = None


class CustomToolCallItem(Item, kw_only=True, gc=False):
    call_id: str
    name: str
    input: str


class CallOutputItem(Item, kw_only=True, gc=False):
    """`function_call_output` and `custom_tool_call_output`."""

    output: str | list[Raw]
    call_id: str | None = None


class InputAudio(msgspec.Struct, gc=False):
    data: str
    format: str | None = None


class InputContent(msgspec.Struct, gc=False):
    """Any content part, all kinds in one."""

    type: str
    text: str | None = None
    annotations: list[JSONObject] | None = None
    logprobs: Raw = NOT_GIVEN
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: InputAudio | None = None


# --- tools and options -----------------------------------------------------------------------------------------------


class WireTool(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: JSONObject | None = None
    strict: bool | None = None


class AllowedTool(msgspec.Struct, gc=False):
    type: str
    name: str | None = None


class WireToolChoice(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    mode: str | None = None
    tools: list[AllowedTool] | None = None


class TextFormat(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    description: str | None = None
    schema: JSONObject | None = None
    strict: bool | None = None


class TextOptions(msgspec.Struct, gc=False):
    format: TextFormat | None = None
    verbosity: Raw = Raw(b"")


class WireReasoning(msgspec.Struct, gc=False):
    effort: str | None = None
    summary: Raw = Raw(b"")
