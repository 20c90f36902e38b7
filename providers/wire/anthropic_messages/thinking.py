"""How much to think: the model's `Reasoning` as `thinking` and `output_config.effort`. Imports only the model.

An Anthropic client's words go back as they are. For a client of another API, which says an effort or a budget, the
spelling depends on the model: Claude 4.6 and later think adaptively, to an effort (from 4.7 on they refuse budgets);
earlier ones, and models of other names behind this API, take a budget.
"""

from __future__ import annotations

import re

from providers.model import LLMRequest
from providers.wire.anthropic_messages.structs import API

DEFAULT_MAX_TOKENS = 4096
"""`max_tokens`, which the API demands, for a client that did not say it: every Claude model can write that much."""

MIN_BUDGET_TOKENS = 1024
"""The smallest thinking budget that the API takes."""

BUDGET_BY_EFFORT = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 24576,
}
"""The largest one leaves room for an answer within 32,000 tokens, the smallest output limit of a model that thinks."""

_EFFORT_BY_EFFORT = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}

_CLAUDE = re.compile(r"claude-(?:[a-z]+-)(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")


def thinks_adaptively(model: str) -> bool:
    """Whether a model takes `thinking: {"type": "adaptive"}`: Claude 4.6 and later, by its name."""
    found = _CLAUDE.search(model.lower())
    return found is not None and (int(found["major"]), int(found["minor"] or 0)) >= (4, 6)


def encode_thinking(request: LLMRequest, model: str) -> tuple[dict[str, object] | None, str | None]:
    """`thinking` and `output_config.effort`; None: not sent."""
    reasoning = request.reasoning
    if reasoning is None:
        return None, None
    thinking: dict[str, object]
    effort = reasoning.effort
    if request.metadata.api == API:
        if reasoning.enabled is None:
            return None, effort
        if not reasoning.enabled:
            thinking = {"type": "disabled"}
        elif reasoning.adaptive or reasoning.budget_tokens is None:
            thinking = {"type": "adaptive"}
        else:
            thinking = {"type": "enabled", "budget_tokens": reasoning.budget_tokens}
        if reasoning.display is not None:
            thinking["display"] = reasoning.display
        return thinking, effort
    if reasoning.enabled is False or effort == "none":
        return {"type": "disabled"}, None
    shown: dict[str, object] = {} if reasoning.display is None else {"display": reasoning.display}
    if thinks_adaptively(model):
        level = _EFFORT_BY_EFFORT.get(effort or "") or _effort_of_budget(reasoning.budget_tokens)
        return {"type": "adaptive", **shown}, level
    if reasoning.adaptive:
        return {"type": "adaptive", **shown}, _EFFORT_BY_EFFORT.get(effort or "")
    budget = reasoning.budget_tokens
    if budget is None:
        budget = BUDGET_BY_EFFORT.get(effort or "medium", BUDGET_BY_EFFORT["medium"])
    return {"type": "enabled", "budget_tokens": max(MIN_BUDGET_TOKENS, budget), **shown}, None


def _effort_of_budget(budget: int | None) -> str | None:
    """The least effort whose budget covers the one that was asked for."""
    if budget is None:
        return None
    for effort in ("low", "medium", "high"):
        if budget <= BUDGET_BY_EFFORT[effort]:
            return effort
    return "max"


def max_tokens_for(request: LLMRequest, thinking: dict[str, object] | None, effort: str | None) -> int:
    """`max_tokens`, which counts the thinking too and must exceed its budget.

    A client that gave no limit gets the default on top of the thinking. One whose limit leaves no room for an answer
    gets it raised by the budget, so that its number holds for the answer. An Anthropic client's numbers stay.
    """
    limit = request.max_tokens
    if request.metadata.api == API:
        return DEFAULT_MAX_TOKENS if limit is None else limit
    budget = _budget(thinking, effort)
    if limit is None:
        return DEFAULT_MAX_TOKENS + budget
    if thinking is not None and "budget_tokens" in thinking and limit <= budget:
        return limit + budget
    return limit


def _budget(thinking: dict[str, object] | None, effort: str | None) -> int:
    """How many tokens the thinking may take: as said, or about as many as the effort takes."""
    if thinking is None or thinking["type"] == "disabled":
        return 0
    budget = thinking.get("budget_tokens")
    return budget if isinstance(budget, int) else BUDGET_BY_EFFORT[effort or "medium"]
