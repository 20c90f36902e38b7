"""Content blocks of an answer as parts of the model. Imports the model and the wire's Structs.

A block of a kind that is not text, reasoning or a tool call for the client is opaque: a tool that the provider runs,
its result, an image.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from providers.model import Citation, JSONObject, OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart
from providers.wire.bedrock_converse.reasoning import CLAUDE_FORMAT, decode_redacted
from providers.wire.bedrock_converse.structs import (
    API,
    CITATIONS_CONTENT,
    REASONING_CONTENT,
    TEXT,
    TOOL_USE,
)
from providers.wire.json_text import text_of

SERVER_RUN = "server_tool_use"


def decode_block(block: dict[str, Raw], index: int) -> Part:
    """One block of a whole answer. Raises what msgspec raises for a known kind of another shape."""
    kind, raw = next(iter(block.items()), ("", Raw(b"{}")))
    match kind:
        case "text":
            return TextPart(index=index, text=TEXT.decode(raw))
        case "toolUse":
            call = TOOL_USE.decode(raw)
            if call.type == SERVER_RUN:
                return opaque("toolUse", raw, index)
            return ToolCallPart(index=index, id=call.tool_use_id, name=call.name, arguments=text_of(call.input))
        case "reasoningContent":
            return _reasoning(raw, index)
        case "citationsContent":
            cited = CITATIONS_CONTENT.decode(raw)
            text = "".join(piece.text for piece in cited.content)
            return TextPart(index=index, text=text, citations=[decode_citation(one) for one in cited.citations])
        case _:
            return opaque(kind, raw, index)


def opaque(kind: str, raw: Raw, index: int) -> OpaquePart:
    """A block that only this API knows, whole: `{kind: raw}`."""
    return OpaquePart(index=index, kind=kind, api=API, raw=Raw(msgspec.json.encode({kind: raw})))


def _reasoning(raw: Raw, index: int) -> Part:
    wire = REASONING_CONTENT.decode(raw)
    if wire.redacted_content is not None:
        redacted, signed_by = decode_redacted(wire.redacted_content)
        return ReasoningPart(index=index, redacted=redacted, format=signed_by)
    if wire.reasoning_text is None:
        return opaque("reasoningContent", raw, index)
    signature = wire.reasoning_text.signature or ""
    return ReasoningPart(
        index=index,
        text=wire.reasoning_text.text,
        signature=signature,
        format=CLAUDE_FORMAT if signature else None,
    )


def decode_citation(citation: JSONObject) -> Citation:
    """A citation. Its location counts in the source, not in the answer: it stays in `raw`."""
    location = citation.get("location")
    places = location if isinstance(location, dict) else {}
    kind = next(iter(places), "")
    web = places.get("web")
    url = web.get("url") if isinstance(web, dict) else None
    if url is None and _is_url(citation.get("source")):
        url = citation["source"]
    title = citation.get("title")
    pieces = citation.get("sourceContent")
    texts = [piece.get("text") for piece in pieces if isinstance(piece, dict)] if isinstance(pieces, list) else []
    return Citation(
        kind=kind or "citation",
        url=url if isinstance(url, str) else None,
        title=title if isinstance(title, str) else None,
        cited_text="".join(text for text in texts if isinstance(text, str)) or None,
        api=API,
        raw=citation,
    )


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))
