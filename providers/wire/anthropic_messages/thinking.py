"""How much to think: the model's `Reasoning` as `thinking` and `output_config.effort`. Imports the model and `models`.

An Anthropic client's words go back as they are. For a client of another API, which says an effort or a budget, the
spelling depends on the model: some think adaptively, to an effort; earlier ones, and models of other names behind this
API, take a budget. What the API refuses beside thinking gives way, and is named as dropped:

| thinking and | what is left out |
|---|---|
| temperature other than 1, top_k, top_p below 0.95 | these |
| a forced tool (a model that thinks adaptively would skip the thinking anyway) | the thinking |
| a loop of tools that did not begin with thinking (its client did not keep it, or another model answered) | a budget |
| a model that does not think | the thinking |
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from providers.model import LLMRequest, ToolChoice
from providers.wire.anthropic_messages.models import Claude, claude_of
from providers.wire.anthropic_messages.structs import API
from providers.wire.base import Translation

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

_EFFORTS = ("low", "medium", "high", "xhigh", "max")

_LEAST_TOP_P = 0.95
"""Below it a model that thinks refuses `top_p`."""

Thinking = dict[str, object] | None


def encode_thinking(
    request: LLMRequest, model: str, translation: Translation, *, is_resumed_without: bool
) -> tuple[Thinking, str | None]:
    """`thinking` and `output_config.effort`; None: not sent.

    `is_resumed_without`: the request goes on with a turn that did not begin with thinking; see `resumes_without`.
    """
    reasoning = request.reasoning
    if reasoning is None:
        return None, None
    if request.metadata.api == API:
        thinking, level = _as_said(request)
        # The client thought that the turn began with thinking; but it was another provider's.
        if is_resumed_without and "messages.reasoning" in translation.dropped and _has_budget(thinking):
            return _without(level, translation)
        return thinking, level
    claude = claude_of(model)
    effort = reasoning.effort
    if reasoning.enabled is False or effort == "none":
        return _off(claude, translation)
    if not claude.thinks:
        translation.drop("reasoning")
        return None, None
    shown: dict[str, object] = {} if reasoning.display is None else {"display": reasoning.display}
    level = None
    if claude.is_adaptive:
        thinking = {"type": "adaptive", **shown}
        level = _level(effort, claude) or _effort_of_budget(reasoning.budget_tokens)
    elif reasoning.adaptive and not claude.efforts:
        thinking = {"type": "adaptive", **shown}
        level = effort if effort in _EFFORTS else None
    else:
        budget = reasoning.budget_tokens
        if budget is None:
            budget = BUDGET_BY_EFFORT.get(effort or "medium", BUDGET_BY_EFFORT["medium"])
        thinking = {"type": "enabled", "budget_tokens": max(MIN_BUDGET_TOKENS, budget), **shown}
    is_refused = _forces_a_tool(request) and not claude.is_forced_thinking
    if is_refused or (_has_budget(thinking) and is_resumed_without):
        return _without(level, translation)
    return thinking, level


def _without(level: str | None, translation: Translation) -> tuple[None, str | None]:
    """No thinking; the effort holds without it."""
    translation.drop("reasoning" if level is None else "thinking")
    return None, level


def _has_budget(thinking: Thinking) -> bool:
    return thinking is not None and thinking["type"] == "enabled"


def _as_said(request: LLMRequest) -> tuple[Thinking, str | None]:
    reasoning = request.reasoning
    assert reasoning is not None
    if reasoning.enabled is None:
        return None, reasoning.effort
    thinking: dict[str, object]
    if not reasoning.enabled:
        thinking = {"type": "disabled"}
    elif reasoning.adaptive or reasoning.budget_tokens is None:
        thinking = {"type": "adaptive"}
    else:
        thinking = {"type": "enabled", "budget_tokens": reasoning.budget_tokens}
    if reasoning.display is not None:
        thinking["display"] = reasoning.display
    return thinking, reasoning.effort


def _off(claude: Claude, translation: Translation) -> tuple[Thinking, str | None]:
    """As little as the model can."""
    if not claude.thinks:
        return None, None
    if claude.off is None:
        translation.drop("reasoning")
        return {"type": "adaptive"}, "low"
    return {"type": claude.off}, None


def _level(effort: str | None, claude: Claude) -> str | None:
    """The effort that the model has for this one: the same, or the next below, which costs no more."""
    if effort == "minimal":
        return "low"
    if effort not in _EFFORTS:
        return None
    return next(level for level in _EFFORTS[_EFFORTS.index(effort) :: -1] if level in claude.efforts)


def _forces_a_tool(request: LLMRequest) -> bool:
    choice = request.tool_choice
    return bool(request.tools) and choice is not None and choice.mode in ("required", "tool")


def choice_that_fits(
    choice: ToolChoice | None, request: LLMRequest, model: str, translation: Translation
) -> ToolChoice | None:
    """The choice, unless it forces a tool on a model that refuses that. An Anthropic client's stays."""
    if choice is None or choice.mode not in ("required", "tool") or request.metadata.api == API:
        return choice
    if claude_of(model).can_be_forced:
        return choice
    translation.refuse("tool_choice", "this model cannot be made to call a tool")
    return None


def resumes_without(turns: Iterable[tuple[str, bool, bool]]) -> bool:
    """Whether the last turn of a conversation goes on from a turn of the model that did not begin with thinking.

    Each turn as its role, whether it begins with thinking (`assistant`) or results of tools (`user`), and whether there
    is more in it than these. A turn of the model goes on through the results of its tools, up to other words of the
    user. Asked to think to a budget, the API answers 400 if it did not begin so.
    """
    lacks = is_under_way = False
    for role, begins, has_more in turns:
        if role == "assistant":
            lacks = lacks or not (is_under_way or begins)
            is_under_way = True
        elif role == "user":
            lacks = lacks and begins
            is_under_way = begins and not has_more
    return lacks


def with_sampling_that_fits(
    request: LLMRequest, model: str, thinking: Thinking, translation: Translation
) -> LLMRequest:
    """The request without those of temperature, top_p and top_k that the model refuses. An Anthropic client's stay."""
    if request.metadata.api == API:
        return request
    claude = claude_of(model)
    is_thinking = thinking is not None and thinking["type"] in ("enabled", "adaptive")
    refused: list[str] = []
    if request.temperature is not None and (not claude.samples or (is_thinking and request.temperature != 1)):
        refused.append("temperature")
    if request.top_k is not None and (not claude.samples or is_thinking):
        refused.append("top_k")
    if request.top_p is not None and (not claude.samples or (is_thinking and request.top_p < _LEAST_TOP_P)):
        refused.append("top_p")
    both = request.temperature is not None and request.top_p is not None and not refused
    if both and claude.takes_one_sampler:
        refused.append("temperature" if request.temperature == 1 else "top_p")
    for name in refused:
        translation.drop(name)
    return msgspec.structs.replace(request, **dict.fromkeys(refused)) if refused else request


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
