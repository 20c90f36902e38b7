"""Blocks of a stream in the making, for Anthropic clients. Imports the model."""

from __future__ import annotations

from providers.model import ReasoningPart
from providers.wire.anthropic_messages.structs import SIGNATURE_FORMAT
from providers.wire.seals import seal


class Block:
    """A block that was begun on the client's wire."""

    __slots__ = ("arguments", "ended", "index", "is_text", "key", "lingers", "signature", "signed", "signer")

    def __init__(self, index: int, key: tuple[type, int]) -> None:
        self.index = index
        """Its number on the client's wire."""
        self.key = key
        """Type and index of the parts that extend it."""
        self.arguments: list[str] = []
        """A tool call's arguments so far; kept until they were looked at once."""
        self.is_text = False
        """A tool call's arguments are free text (a custom tool's)."""
        self.signature: list[str] = []
        """A thinking block's signature so far. SDKs take the last `signature_delta` for the whole: it goes out once."""
        self.signer = ReasoningPart()
        """A thinking block's format and id, as far as they are known."""
        self.signed = ""
        """What of it has gone out."""
        self.lingers = False
        self.ended = False

    def whole_signature(self) -> str:
        """The thinking block's signature, sealed if another provider gave it."""
        self.signer.signature = "".join(self.signature)
        return seal(self.signer, (SIGNATURE_FORMAT,))


class PendingCall:
    """A tool call whose name has not come yet, so that its block cannot begin."""

    __slots__ = ("arguments", "id")

    def __init__(self) -> None:
        self.id = ""
        self.arguments: list[str] = []
