"""`Dialect`: how one vendor's requests differ from OpenAI's. Data only; `dialect_request` acts on it. Imports msgspec.

Answers need no such table: the decoders read every vendor's places for reasoning and usage at once.
"""

from __future__ import annotations

from typing import Literal

import msgspec

LimitName = Literal["max_completion_tokens", "max_tokens"]
ReasoningAsked = Literal["reasoning_effort", "reasoning", "thinking", "enable_thinking"]
ReasoningReturned = Literal["reasoning_content", "reasoning", "reasoning_details", "thinking"]
ToolMode = Literal["auto", "none", "required", "tool"]
Format = Literal["text", "json_object", "json_schema"]


class Dialect(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The defaults are OpenAI's own ways. Parameters are named as OpenAI names them.

    What a vendor answers with an error (`accepts`, `refuses`, `drops` and the names) holds for every client. What it
    passes over in silence (`ignores`), and the lists of choices, hold for clients of other APIs: in the lossless lane
    that is between the client and the vendor.
    """

    max_tokens: LimitName = "max_completion_tokens"
    """The name of the limit. `max_tokens`: the vendor does not know the newer name."""
    developer_role: Literal["developer", "system"] = "developer"
    """The role that messages of developers go under."""
    message_names: bool = True
    """Whether a message may have a `name`."""
    assistant_after_tool: bool = False
    """Whether the assistant must speak between a tool and a user. Where it did not, it is made to say a word."""
    assistant_prefix: bool = False
    """Whether the assistant's message at the end, which the answer is to go on from, must say so (`prefix`)."""
    document_urls: bool = False
    """Whether a document may be given by its URL (`document_url`)."""
    tool_parameters: bool = False
    """Whether a function must have `parameters`: without them it gets those of no arguments."""
    stream_options: bool = True
    """Whether `stream_options` is taken. If not, the vendor reports usage without being asked."""
    renames: dict[str, str] = {}
    """Parameters that have another name here."""
    accepts: frozenset[str] | None = None
    """Everything that is taken, where the vendor answers any other parameter with an error; None: it does not."""
    refuses: frozenset[str] = frozenset()
    """Answered with an error: refused, or under `dropUnsupported` left out. One that changes nothing is left out."""
    drops: frozenset[str] = frozenset()
    """Answered with an error too, but harmless when left out: left out, and named to the client."""
    ignores: frozenset[str] = frozenset()
    """Taken, and without effect: refused to clients of other APIs."""
    beyond: frozenset[str] = frozenset()
    """Taken although OpenAI does not: `top_k`, and `cache_control` (Anthropic's, on parts and tools)."""
    tool_choices: frozenset[ToolMode] = frozenset({"auto", "none", "required", "tool"})
    """What `tool_choice` may be; `tool` is one tool by name."""
    response_formats: frozenset[Format] = frozenset({"text", "json_object", "json_schema"})
    reasoning_asked: ReasoningAsked = "reasoning_effort"
    """How a client of another API asks for reasoning here: `reasoning` is OpenRouter's object, `thinking` is
    `{"type": "enabled"}`, `enable_thinking` a boolean beside `thinking_budget`."""
    reasoning_returned: ReasoningReturned | None = None
    """Where the reasoning of earlier turns goes. `thinking`: a part of the content. None: another API's is left out."""


OPENAI = Dialect()
