"""The APIs that the suite can judge, read by its own rules. `base` says how to add one."""

from importlib import import_module

from conformance.wires.base import ErrorShape, WireFormat
from conformance.wires.events import Event

_MODULES = (
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "bedrock_converse",
    "gemini_generate",
    "cohere_chat",
    "ollama_chat",
)
"""A line for each API; each module here has a `WIRE`."""

WIRES: dict[str, WireFormat] = {
    wire.api: wire for wire in (import_module(f"{__name__}.{module}").WIRE for module in _MODULES)
}
"""By API. A provider whose `api` is not here cannot be judged, and a run that meets one fails."""

__all__ = ["WIRES", "ErrorShape", "Event", "WireFormat"]
