"""What whole and streamed answers have in common: the fields beside the message. Imports the model."""

from __future__ import annotations

from providers.model import OpaquePart
from providers.wire.bedrock_converse.blocks import opaque
from providers.wire.bedrock_converse.structs import EXTRA_FIELDS, Answer
from providers.wire.json_text import UNREADABLE


def model_of(wire: Answer) -> str:
    """The model that a prompt router chose; empty if none did: an answer does not name its model otherwise."""
    router = wire.trace.prompt_router if wire.trace is not None else None
    return (router.invoked_model_id or "") if router is not None else ""


def tier_of(wire: Answer) -> str | None:
    return wire.service_tier.type if wire.service_tier is not None else None


def stop_sequence_of(wire: Answer) -> str | None:
    """The stop sequence that ended the answer, where the model tells it and the request asked for it."""
    if not bytes(wire.additional_model_response_fields):
        return None
    try:
        return EXTRA_FIELDS.decode(wire.additional_model_response_fields).stop_sequence
    except UNREADABLE:
        return None


def trace_part(wire: Answer, index: int) -> OpaquePart | None:
    """What a guardrail found, as an opaque part after the answer's own: no client has a place for it, plugins do."""
    if wire.trace is None or not bytes(wire.trace.guardrail):
        return None
    return opaque("guardrail", wire.trace.guardrail, index)
