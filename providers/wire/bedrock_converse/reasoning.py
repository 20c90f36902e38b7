"""Claude's reasoning through Bedrock: signed as by Anthropic's own API, so that a conversation can go on there.

Redacted reasoning is a blob on this wire: base64 of what Anthropic's API writes as text. The model in the middle holds
the latter. Imports nothing but the standard library.
"""

from __future__ import annotations

import base64
import binascii

CLAUDE_FORMAT = "anthropic-claude-v1"
"""`ReasoningPart.format` of signatures. Other models on Bedrock do not sign what they think."""

OPAQUE_FORMAT = "bedrock-converse-v1"
"""Of redacted reasoning that is no text inside its base64, and so not Anthropic's. It is held as base64."""


def decode_redacted(blob: str) -> tuple[str, str]:
    """Redacted content as the model in the middle holds it, and its format."""
    try:
        text = base64.b64decode(blob, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return blob, OPAQUE_FORMAT
    return (text, CLAUDE_FORMAT) if text.isprintable() else (blob, OPAQUE_FORMAT)


def encode_redacted(redacted: str, signed_by: str | None) -> str | None:
    """The blob for redacted reasoning; None: it is another service's."""
    if signed_by == OPAQUE_FORMAT:
        return redacted
    if signed_by in (None, CLAUDE_FORMAT):
        return base64.b64encode(redacted.encode()).decode()
    return None
