"""What an answer of the Responses API holds on the wire, whole or streamed.

Source: https://platform.openai.com/docs/api-reference/responses, its typed form in the `openai` package, and recorded
traffic of the vendors that speak this format. Only what the model in the middle has a place for is named here; msgspec
skips the rest. Every field may be missing or null, because with some vendor it is. Imports msgspec and the model.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import JSONObject

NO_RAW = Raw(b"")


class Typed(msgspec.Struct, gc=False):
    type: str = ""


class ContentPart(msgspec.Struct, gc=False):
    """`output_text`, `refusal`, `summary_text` or `reasoning_text`."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[JSONObject] | None = None
    logprobs: list[JSONObject] | None = None


class OutputItem(msgspec.Struct, gc=False):
    """An item of `output` that the model has a place for: `message`, `reasoning`, `function_call`, `custom_tool_call`.

    Items of all other types are opaque and not read through this.
    """

    type: str = ""
    id: str | None = None
    phase: str | None = None
    content: list[ContentPart] | None = None
    summary: list[ContentPart] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | JSONObject | None = None
    """JSON text. A careless vendor may put the object itself here."""
    input: str | None = None


class StreamEvent(msgspec.Struct, gc=False):
    """Any event of a stream."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | JSONObject | None = None
    logprobs: list[JSONObject] | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | JSONObject | None = None
    input: str | None = None
    part: ContentPart | None = None
    annotation: JSONObject | None = None
    item: Raw = NO_RAW
    response: Raw = NO_RAW
    error: Raw = NO_RAW


class IncompleteDetails(msgspec.Struct, gc=False):
    reason: str | None = None


class WireResponse(msgspec.Struct, gc=False):
    """A whole answer, or what a `response.*` event says of it."""

    object: str | None = None
    id: str | None = None
    created_at: int | float | None = None
    model: str | None = None
    status: str | None = None
    output: list[Raw] | None = None
    usage: Raw = NO_RAW
    error: Raw = NO_RAW
    incomplete_details: IncompleteDetails | None = None
    service_tier: str | None = None


class InputTokensDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputTokensDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: InputTokensDetails | None = None
    output_tokens_details: OutputTokensDetails | None = None


TYPED = msgspec.json.Decoder(Typed)
ITEM = msgspec.json.Decoder(OutputItem)
EVENT = msgspec.json.Decoder(StreamEvent)
RESPONSE = msgspec.json.Decoder(WireResponse)
USAGE = msgspec.json.Decoder(WireUsage)


def is_given(raw: Raw) -> bool:
    """Whether a raw value is there and not null."""
    return bytes(raw) not in (b"", b"null")
