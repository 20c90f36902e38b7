"""How much to think, for wires that know an effort where the client said a budget. Does no I/O."""

from __future__ import annotations


def effort_of_budget(budget_tokens: int) -> str:
    """`low`, `medium` or `high`: the word that OpenAI's own models have for about so many tokens of reasoning.

    An effort that another wire spelled as a budget is read back as that effort.
    """
    if budget_tokens <= 2048:
        return "low"
    return "medium" if budget_tokens <= 8192 else "high"
