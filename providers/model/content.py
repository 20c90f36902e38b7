"""The parts a message is made of. Imports nothing but msgspec.

A message's content is an ordered list of parts, because real APIs interleave text, reasoning and tool calls. A
streamed delta carries the same types, partial: `index` then says which part of the message it extends. Text-like
fields of a delta (`text`, `signature`, `arguments`, ...) are appended to what came before; every other field replaces.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

JSONObject = dict[str, Any]

GOOGLE_SIGNATURE = "google-gemini-v1"
"""`ReasoningPart.format` of what Google signed. Google signs parts of any kind; other APIs sign only reasoning. On
their wires the signature of a text or a tool call becomes a block of reasoning that is empty but for the signature,
right before the part (`signature_block`)."""


class Citation(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A source that the model names for a piece of text."""

    kind: str
    """The origin API's own name of the kind: `url_citation`, `char_location`, `web_search_result_location` ..."""
    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start: int | None = None
    """Where the cited text starts in the answer, in characters (only where the API says so)."""
    end: int | None = None
    api: str = ""
    raw: JSONObject | None = None
    """The citation whole, as `api` spells it: it goes back unchanged to the same API."""


class _Part(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="type", gc=False):
    index: int = 0
    """The part's place in its message. A delta extends the part that has this index."""
    cache_control: JSONObject | None = None
    """A prompt-cache breakpoint after this part, in Anthropic's form (`{"type": "ephemeral", ...}`). Requests only."""
    extra: dict[str, msgspec.Raw] | None = None
    """Fields of the client's API that the model has no field for, as they came: they go back to that API, and are named
    to clients of it where another one is asked. A dot stands before a field of an object in the part. Requests only."""


class TextPart(_Part, tag="text"):
    text: str = ""
    citations: list[Citation] = []
    signature: str = ""
    """Google's proof of the thoughts behind this part (`thoughtSignature`); see `GOOGLE_SIGNATURE`. It must come back
    with the part, which may be empty but for it."""
    phase: str | None = None
    """What the text is to its turn, where the provider says so (OpenAI Responses: `commentary`, `final_answer`)."""


class ReasoningPart(_Part, tag="reasoning"):
    """What the model thought. The signature is the provider's proof and must come back to it unchanged."""

    text: str = ""
    signature: str = ""
    redacted: str = ""
    """Encrypted reasoning (Anthropic's `redacted_thinking.data`); such a part has no text."""
    id: str | None = None
    """The provider's name for the block. Neighbouring parts of one id are one block (OpenAI's several summaries)."""
    format: str | None = None
    """Who signed it, as in `reasoning_details[].format` (`anthropic-claude-v1`, ...). Wires that have no field for this
    carry it inside the signature: see `providers.wire.seals`."""


class ToolCallPart(_Part, tag="tool_call"):
    """A call for the client to run. Tools that the provider runs itself are `OpaquePart`s, never this."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    """The arguments as the JSON text the model wrote; in a delta, the next piece of it."""
    kind: Literal["function", "custom"] = "function"
    """`custom`: OpenAI's free-form tools; `arguments` is then the plain input text."""
    signature: str = ""
    """As `TextPart.signature`. Gemini 3 refuses the next turn of a conversation in which a call has lost it."""


class ToolResultPart(_Part, tag="tool_result"):
    """What the client's tool returned. Stands in messages of role `tool`."""

    tool_call_id: str
    content: list[Part] = []
    is_error: bool = False
    kind: Literal["function", "custom"] = "function"
    """The kind of the call that it answers, where the client's API says so."""


class ImagePart(_Part, tag="image"):
    """An image, by `url` or as base64 `data` with its `media_type`, or by the provider's `file_id`."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    detail: str | None = None
    signature: str = ""
    """As `TextPart.signature`."""


class AudioPart(_Part, tag="audio"):
    data: str = ""
    format: str | None = None
    id: str | None = None
    transcript: str = ""
    expires_at: int | None = None


class FilePart(_Part, tag="file"):
    """A document: base64 `data`, plain `text`, `url` or the provider's `file_id`."""

    data: str | None = None
    text: str | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    filename: str | None = None
    context: str | None = None
    citations: bool | None = None
    """Whether the model is asked to cite this document."""


class RefusalPart(_Part, tag="refusal"):
    text: str = ""


class OpaquePart(_Part, tag="opaque"):
    """A block that only one API knows: a tool run by the provider, a search result, a compaction ..."""

    kind: str = ""
    """The block's own type in its API (`server_tool_use`, `web_search_tool_result` ...)."""
    api: str = ""
    place: str = ""
    """Where it stood in the client's request, as that API's errors name a place (`messages[2].content[0]`)."""
    raw: msgspec.Raw = msgspec.Raw(b"")
    """The block's JSON as it came (in a stream: as it started)."""
    input: str = ""
    """JSON text streamed after the start for the block's `input`; in a delta, the next piece of it."""


Part = (
    TextPart
    | ReasoningPart
    | ToolCallPart
    | ToolResultPart
    | ImagePart
    | AudioPart
    | FilePart
    | RefusalPart
    | OpaquePart
)


def part_kind(part: Part) -> str:
    """What a part is called where it has to be named: its type, of an opaque one the type in its own API."""
    if isinstance(part, OpaquePart) and part.kind:
        return part.kind
    return str(type(part).__struct_config__.tag)


def signature_block(part: Part) -> ReasoningPart | None:
    """The part's signature as a block of reasoning without text, for an API that has no other place for it."""
    if isinstance(part, TextPart | ToolCallPart | ImagePart) and part.signature:
        return ReasoningPart(index=part.index, signature=part.signature, format=GOOGLE_SIGNATURE)
    return None


def with_signature_blocks(parts: Iterable[Part]) -> list[Part]:
    """The parts, each that has a signature of Google's with its `signature_block` before it."""
    spread: list[Part] = []
    for part in parts:
        block = signature_block(part)
        if block is not None:
            spread.append(block)
        spread.append(part)
    return spread
