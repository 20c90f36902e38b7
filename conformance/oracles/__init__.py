"""What is right: the official SDKs where there is one, else the suite's own reading of the recorded bytes."""

from importlib import import_module
from typing import cast

from conformance.oracles.base import MissingSDKError, Oracle, Reading, ask_sdk

ORACLES = {
    "openai-chat": "openai_chat",
    "openai-responses": "openai_responses",
    "anthropic-messages": "anthropic_messages",
    "bedrock-converse": "bedrock_converse",
    "gemini-generate": "gemini_generate",
    "cohere-chat": "cohere_chat",
    "ollama-chat": "ollama_chat",
}
"""A line for each API: its module here, which is imported when it is first asked. `base` says how to write one."""


def oracle_of(api: str) -> Oracle | None:
    """The SDK that reads this API; None: there is none. It raises `MissingSDKError` when it is called."""
    name = ORACLES.get(api)
    return cast(Oracle, import_module(f"{__name__}.{name}").read) if name else None


__all__ = ["ORACLES", "MissingSDKError", "Oracle", "Reading", "ask_sdk", "oracle_of"]
