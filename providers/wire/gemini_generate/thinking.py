"""How much to think: the model's `Reasoning` as `thinkingConfig`. Imports only the model.

The spelling depends on the model: Gemini 3 and later take a level, earlier ones a budget. A Gemini client's words go
back as they are. Source: https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

import re

from providers.model import LLMRequest
from providers.wire.effort import effort_of_budget
from providers.wire.gemini_generate.structs import API

_GENERATION = re.compile(r"gemini-(?P<major>\d+)")

BUDGET_BY_EFFORT = {
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
"""The largest is what Gemini 2.5 Flash takes at most."""

_MIN_BUDGET_OF_PRO = 128
"""Gemini 2.5 Pro cannot be kept from thinking."""

_LEVEL_BY_EFFORT = {
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def thinks_in_levels(model: str) -> bool:
    """Whether a model is Gemini 3 or later, by its name. Such models check signatures too."""
    found = _GENERATION.search(model.lower())
    return found is not None and int(found["major"]) >= 3


def encode_thinking(request: LLMRequest, model: str) -> dict[str, object] | None:
    """`thinkingConfig`; None: not sent. Clients of other APIs see thoughts if they asked for reasoning at all."""
    reasoning = request.reasoning
    if reasoning is None:
        return None
    config: dict[str, object] = {}
    if request.metadata.api == API:
        if reasoning.effort is not None:
            config["thinkingLevel"] = reasoning.effort.upper()
        if reasoning.adaptive:
            config["thinkingBudget"] = -1
        elif reasoning.budget_tokens is not None or reasoning.enabled is False:
            config["thinkingBudget"] = reasoning.budget_tokens or 0
        if reasoning.display is not None:
            config["includeThoughts"] = reasoning.display != "omitted"
        return config
    if reasoning.enabled is False or reasoning.effort == "none":
        return _off(model)
    config["includeThoughts"] = reasoning.display != "omitted"
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if thinks_in_levels(model):
        if effort is None and budget is not None:
            effort = effort_of_budget(budget)
        if effort in _LEVEL_BY_EFFORT:
            config["thinkingLevel"] = _LEVEL_BY_EFFORT[effort].upper()
    elif budget is None and effort in BUDGET_BY_EFFORT:
        config["thinkingBudget"] = BUDGET_BY_EFFORT[effort]
    elif budget is not None:
        config["thinkingBudget"] = min(budget, BUDGET_BY_EFFORT["max"])
    return config


def _off(model: str) -> dict[str, object]:
    """As little as the model can."""
    name = model.lower()
    if thinks_in_levels(name):
        return {"thinkingLevel": "LOW" if "pro" in name else "MINIMAL"}
    return {"thinkingBudget": _MIN_BUDGET_OF_PRO if "pro" in name else 0}
