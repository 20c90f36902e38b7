"""What a `thoughtSignature` holds: Google's proof, or, for clients of this API, a signed block of another provider.

The field is bytes, in base64, and SDKs may write it back in the other base64 alphabet. So the block that another
provider signed or encrypted goes into it as a sealed string (see `providers.wire.seals`), in base64 of our own; it
comes back whole and goes to that provider and to no other. Google's own signatures pass through as they are.
"""

from __future__ import annotations

import base64
import binascii

from providers.model import GOOGLE_SIGNATURE, ReasoningPart
from providers.wire.seals import seal, unseal

VALIDATOR_SKIPPED = base64.b64encode(b"skip_thought_signature_validator").decode()
"""What Google says to send for a call that it has not signed (https://ai.google.dev/gemini-api/docs/thought-signatures):
in a conversation that began with another model, or whose client does not keep signatures."""

_URL_SAFE = str.maketrans("-_", "+/")
_SIGNED, _REDACTED = b"signed ", b"redacted "


def encode_signature(part: ReasoningPart) -> str:
    """The `thoughtSignature` of a block; empty: it has none."""
    string = seal(part, (GOOGLE_SIGNATURE,))
    if not string or part.format in (None, GOOGLE_SIGNATURE):
        return string
    return base64.b64encode((_REDACTED if part.redacted else _SIGNED) + string.encode()).decode()


def decode_signature(text: str) -> ReasoningPart | None:
    """The signed block of another provider, less its text, in a `thoughtSignature`; None: it is Google's own."""
    try:
        whole = base64.b64decode(text.translate(_URL_SAFE) + "=" * (-len(text) % 4))
        if whole.startswith(_SIGNED):
            part = ReasoningPart(signature=whole[len(_SIGNED) :].decode())
        elif whole.startswith(_REDACTED):
            part = ReasoningPart(redacted=whole[len(_REDACTED) :].decode())
        else:
            return None
    except (binascii.Error, ValueError):
        return None
    part = unseal(part)
    return part if part.format is not None else None
