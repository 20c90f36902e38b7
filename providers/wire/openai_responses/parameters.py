"""What the parameters and input items that the model in the middle has no field for mean to another API. Tables only.

| kept in | what becomes of it elsewhere | which |
|---|---|---|
| `hints` | left out, and named | `HINTS`; `reasoning.summary`; `text.verbosity`; other values of `include` |
| `kept` | left out: asks nothing of others | `KEPT`; `DEFAULTS` with that value; `FREE_INCLUDES` |
| `bound` (and `extra`) | refused, even under `dropUnsupported` | `BOUND`; items that are not in `DROPPABLE_ITEMS` |
| `extra` | refused | everything else, also what nobody has heard of |

Imports nothing.
"""

from __future__ import annotations

HINTS = frozenset(
    {
        "access_programs",
        "context_management",  # a compaction that the provider makes of its own accord: none is made
        "image",
        "max_tool_calls",  # of hosted tools, which are refused
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "truncation",
    }
)

KEPT = frozenset({"background_options", "stream_options"})

DEFAULTS: dict[str, bytes] = {"background": b"false", "store": b"false", "truncation": b'"disabled"'}
"""Parameters whose spelled-out default, here as JSON, is what every other API does anyway."""

BOUND = {
    "background": "the answer is worked out after the request and fetched later",
    "conversation": "the conversation is stored with the provider",
    "previous_response_id": "the earlier turns are stored with the provider; send them in 'input' instead",
    "prompt": "the prompt template is stored with the provider",
}
"""Each with the reason."""

DROPPABLE_ITEMS = frozenset(
    {
        "code_interpreter_call",
        "computer_call",
        "file_search_call",
        "image_generation_call",
        "local_shell_call",
        "mcp_approval_request",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "shell_call",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    }
)
"""What the provider did in earlier turns. The texts that came of it stay, so a conversation makes sense without."""

WHY_ITEM_IS_BOUND = {
    "item_reference": "the item is stored with the provider; send the item itself",
    "compaction": "only the provider that made it can read what it stands for",
}
WHY_OTHER_ITEM_IS_BOUND = "no other API has such items"

FREE_INCLUDES = frozenset({"reasoning.encrypted_content", "message.output_text.logprobs"})
"""Values of `include` that the gateway gives without being asked, or has a field for."""
