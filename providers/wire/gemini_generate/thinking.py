"""How much to think: the model's `Reasoning` as `thinkingConfig`. Imports only the model.

The spelling depends on the model: Gemini 3 and later take a level, earlier ones a budget. Which levels is a matter of
the model again; any other is answered with 400. A Gemini client's words go back as they are. Source:
https://ai.google.dev/gemini-api/docs/generate-content/thinking#thinking-levels
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

_LEVELS = ("minimal", "low", "medium", "high")

_LEVELS_OF_MODELS = (
    ("gemini-3-pro", ("low", "high")),
    ("gemini-3-flash", _LEVELS),
    ("gemini-3.1-flash-image", ("minimal", "high")),
    ("gemini-3.1-flash-lite-image", ("minimal", "high")),
    ("gemini-3.1-flash-lite", _LEVELS),
    ("gemini-3.5-flash", _LEVELS),
    ("gemini-3.6-flash", _LEVELS),
)
"""What a model's name contains, and the levels that it takes. The first match counts."""

_LEVELS_OF_OTHERS = ("low", "medium", "high")
"""Of Gemini 3.1 Pro, 3.7 and 3.8 Flash, and of models that nobody has heard of: the newer ones lack `minimal`."""


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
        if effort in BUDGET_BY_EFFORT:
            config["thinkingLevel"] = _nearest_level(effort, model).upper()
    elif budget is None and effort in BUDGET_BY_EFFORT:
        config["thinkingBudget"] = BUDGET_BY_EFFORT[effort]
    elif budget is not None:
        config["thinkingBudget"] = min(budget, BUDGET_BY_EFFORT["max"])
    return config


def _levels_of(model: str) -> tuple[str, ...]:
    name = model.lower()
    return next((levels for mark, levels in _LEVELS_OF_MODELS if mark in name), _LEVELS_OF_OTHERS)


def _nearest_level(effort: str, model: str) -> str:
    """The level of the model that is nearest to an effort; of two, the higher."""
    wanted = _LEVELS.index(effort) if effort in _LEVELS else len(_LEVELS)
    return min(_levels_of(model)[::-1], key=lambda level: abs(_LEVELS.index(level) - wanted))


def _off(model: str) -> dict[str, object]:
    """As little as the model can."""
    if thinks_in_levels(model):
        return {"thinkingLevel": _levels_of(model)[0].upper()}
    return {"thinkingBudget": _MIN_BUDGET_OF_PRO if "pro" in model.lower() else 0}
