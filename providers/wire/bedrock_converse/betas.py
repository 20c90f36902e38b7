"""The `anthropic-beta` header of a client, for Claude behind Converse. Imports the model.

Converse takes betas in `additionalModelRequestFields.anthropic_beta` and answers one that it does not know with an
error ("invalid beta flag"); Anthropic's own API passes over most of them, and clients send many of no use here. So only
those go on that Bedrock documents and that work by themselves. The others stand for parameters that do not go to
Converse (`context_management`, tools that Anthropic runs), or for parts of Anthropic's service.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

from __future__ import annotations

import re

from providers.model import LLMRequest
from providers.wire.base import Translation

HEADER = "anthropic-beta"

_TAKEN = frozenset({"context-1m", "dev-full-thinking", "interleaved-thinking", "output-128k", "token-efficient-tools"})
"""Without their dates."""

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def betas_of(request: LLMRequest, translation: Translation) -> list[str]:
    """Those that go on, in the client's order. Where others do not, the header is named: values are never logged."""
    given = [name.strip() for name in request.metadata.headers.get(HEADER, "").split(",")]
    taken: list[str] = []
    for name in dict.fromkeys(filter(None, given)):
        if _DATE.sub("", name) in _TAKEN:
            taken.append(name)
        else:
            translation.drop(HEADER)
    return taken
