"""What an answer of Bedrock Converse holds on the wire, as Structs. Imports only msgspec.

Source: the API reference (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
.../API_runtime_ConverseStream.html), botocore's model of the service, and recorded traffic. A content block is a union
written as an object with one member; members that are not named here are read as opaque blocks. Blobs are base64.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

API = "bedrock-converse"


class _Camel(Struct, rename="camel"):
    """The wire spells its fields in camel case."""


class ToolUse(_Camel, gc=False):
    """`toolUse` of a whole answer, and the start of one in a stream (without `input`)."""

    tool_use_id: str = ""
    name: str = ""
    type: str | None = None
    """`server_tool_use`: the provider runs it itself."""
    input: Raw = Raw(b"{}")


class ReasoningText(_Camel, gc=False):
    text: str = ""
    signature: str | None = None


class ReasoningContent(_Camel, gc=False):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class CitedText(_Camel, gc=False):
    text: str = ""


class CitationsContent(_Camel):
    content: list[CitedText] = []
    citations: list[dict[str, Any]] = []


class WireMessage(_Camel):
    content: list[dict[str, Raw]] = []


class Output(_Camel):
    message: WireMessage | None = None


class CacheDetail(_Camel, gc=False):
    ttl: str = ""
    input_tokens: int = 0


class WireUsage(_Camel, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[CacheDetail] | None = None


class PromptRouter(_Camel, gc=False):
    invoked_model_id: str | None = None


class Trace(_Camel):
    guardrail: Raw = Raw()
    prompt_router: PromptRouter | None = None


class ServiceTier(_Camel, gc=False):
    type: str | None = None


class ExtraFields(Struct, gc=False):
    """`additionalModelResponseFields`, as far as they are asked for."""

    stop_sequence: str | None = None


class Answer(_Camel):
    """A whole answer. A stream's `messageStop` and `metadata` events hold the same fields."""

    output: Output | None = None
    stop_reason: str | None = None
    usage: Raw = Raw()
    trace: Trace | None = None
    service_tier: ServiceTier | None = None
    additional_model_response_fields: Raw = Raw()
    message: str | None = None
    """Of an error that came with a good status."""


class ToolUseDelta(_Camel, gc=False):
    input: str | dict[str, Any] | None = None
    """JSON text, the next piece of it. Some models give the object itself."""


class ReasoningDelta(_Camel, gc=False):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class BlockDelta(_Camel, gc=False):
    text: str | None = None
    tool_use: ToolUseDelta | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: dict[str, Any] | None = None


class BlockEvent(_Camel):
    """`contentBlockStart`, `contentBlockDelta` and `contentBlockStop`."""

    content_block_index: int
    start: dict[str, Raw] = {}
    delta: BlockDelta | None = None


class ErrorBody(_Camel, gc=False):
    """An error's body, or the payload of an exception in a stream."""

    message: str | None = None
    capital_message: str | None = msgspec.field(default=None, name="Message")
    """How some of the service's front ends write it."""
    type_: str | None = msgspec.field(default=None, name="__type")
    original_status_code: int | None = None
    """Of the model behind the service."""
    original_message: str | None = None


ANSWER = msgspec.json.Decoder(Answer)
BLOCK_EVENT = msgspec.json.Decoder(BlockEvent)
ERROR_BODY = msgspec.json.Decoder(ErrorBody)
EXTRA_FIELDS = msgspec.json.Decoder(ExtraFields)
TOOL_USE = msgspec.json.Decoder(ToolUse)
REASONING_CONTENT = msgspec.json.Decoder(ReasoningContent)
CITATIONS_CONTENT = msgspec.json.Decoder(CitationsContent)
TEXT = msgspec.json.Decoder(str)
WIRE_USAGE = msgspec.json.Decoder(WireUsage)
