"""The parameters of a request that the model in the middle has no field for: which of them change the answer?

One table. `HINTS` may be left out without changing what the model answers; they are dropped and named when a request
goes to another API. Every parameter that is in none of these sets, also one that nobody has heard of, is taken to
change the answer, kept in `LLMRequest.extra`, and refused by another API (unless `dropUnsupported` is set).

| parameter | kept in | why |
|---|---|---|
| store, metadata | hints | where the answer is kept, and its labels |
| service_tier | hints | speed and price |
| prompt_cache_key, prompt_cache_retention, prompt_cache_options | hints | price |
| safety_identifier | hints | whom to blame |
| verbosity | hints | a wish about style, not about content |
| stream_options (what is in it besides include_usage) | hints | padding of the events |
| modalities, if it is just ["text"] | hints | it is what everyone does anyway |
| usage (OpenRouter), include_reasoning (OpenRouter) | hints | what is reported about the answer |
| user | metadata.user_id | every API has a place for it |
| modalities, audio, prediction, web_search_options, moderation | extra | |
| tool_choice among tools that the provider runs | extra | the nearest meaning is in the field |
| response_format of another type | extra | |
| min_p, repetition_penalty, plugins, provider, thinking, ... | extra | vendors' own |
"""

from __future__ import annotations

HINTS = frozenset(
    {
        "store",
        "metadata",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "safety_identifier",
        "verbosity",
        "usage",
        "include_reasoning",
    }
)
