"""What a request asks for and a target API has no word for: refused or dropped by name, the same way on every wire.

Imports the model.
"""

from __future__ import annotations

from providers.model import LLMRequest
from providers.wire.base import Translation


def refuse_parameters(request: LLMRequest, translation: Translation, *names: str) -> None:
    """Refuse the named sampling parameters where they ask for something: 0, false and {} do not, nor does `n=1`."""
    for name in names:
        value = getattr(request, name)
        if value and not (name == "n" and value == 1):
            translation.refuse(name, "it gives one answer" if name == "n" else "")


def refuse_unknown(request: LLMRequest, translation: Translation) -> None:
    """The parameters that the model in the middle has no field for: refused, or dropped if they are hints."""
    for name in request.extra:
        translation.refuse(name)
    for name in request.hints:
        translation.drop(name)
