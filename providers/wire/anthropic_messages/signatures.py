"""Whose signature is it? Anthropic's wire has one place for it, `thinking.signature`, which every client gives back.

What another provider signed is marked with the name of its format (`google-gemini-v1:...`), so that it goes back to
that provider and to no other. A colon cannot stand in a signature of Anthropic's, which is base64. Imports the model.
"""

from __future__ import annotations

import re

from providers.wire.anthropic_messages.structs import SIGNATURE_FORMAT

_MARKED = re.compile(r"(?P<format>[a-z0-9-]+-v\d+):(?P<signature>.*)", re.DOTALL)


def mark_signature(signature: str, signed_by: str | None) -> str:
    """The signature for an Anthropic client."""
    if not signature or signed_by in (None, SIGNATURE_FORMAT):
        return signature
    return f"{signed_by}:{signature}"


def read_signature(marked: str) -> tuple[str, str | None]:
    """The signature that a client gave back, and its format; None: not marked, so Anthropic's as far as we know."""
    found = _MARKED.fullmatch(marked)
    return (marked, None) if found is None else (found["signature"], found["format"])
