"""Which parameters of a Messages request matter, in one table. Imports nothing.

Parameters that the model in the middle has fields for are read by name in `request_decoder`. Every other one is either
a *hint*, which another API may leave out without changing the answer, or an *extra*, which it must honour or refuse.
What is not named here is an extra: a parameter that is not known must not be dropped in silence.
"""

from __future__ import annotations

HINTS = frozenset(
    {
        "anthropic_version",  # the API version, in the body on Bedrock and Vertex
        "billing_policy",
        "cache_control",  # top level: a cache breakpoint after the last block
        "diagnostics",  # asks why a cache was missed
        "fallback_credit_token",
        "service_tier",
        "speed",
        "user_profile_id",
        "workspace_id",
    }
)
"""Cost, speed, caching and labels. Not among them, though neutral to the text: `inference_geo`, a promise of where data
goes; and these, which change what the model sees or may do: `container`, `context_management`, `compaction`,
`mcp_servers`, `fallbacks`, `thread`, `anthropic_beta`."""

NOT_COUNTED = frozenset(
    {
        "container",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "inference_geo",
        "max_tokens",
        "metadata",
        "service_tier",
        "stop_sequences",
        "stream",
        "temperature",
        "thread",
        "top_k",
        "top_p",
    }
)
"""Parameters of `/v1/messages` that `/v1/messages/count_tokens` refuses."""
