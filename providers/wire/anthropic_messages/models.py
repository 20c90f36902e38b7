"""What a Claude takes and what it answers with 400, by its name. Imports nothing of the request.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking (thinking, sampling and forced tools),
https://platform.claude.com/docs/en/build-with-claude/effort, and what is new in each model, beside these.

| from | what is new |
|---|---|
| 3.7 | thinks, to a budget; temperature and top_k must not be given then, nor a tool be forced |
| 4.1 | takes temperature or top_p, not both |
| 4.6 | thinks adaptively, to an effort; a turn may begin without its thinking; effort `max` |
| 4.7 | no budgets; no temperature, top_p or top_k, thinking or not; effort `xhigh` |
| 4.8 | a tool may be forced, which is then called without thinking |
| 5.1 | on Fable and Mythos no tool can be forced; they could never be kept from thinking |
| 5.5 | both of Opus; on Sonnet no tool can be forced, and it is kept from thinking by `between_tools` |
"""

from __future__ import annotations

import re

import msgspec

_NEWER = re.compile(r"claude-(?P<line>[a-z]+)-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
_OLDER = re.compile(r"claude-v?(?P<major>\d)(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
"""Up to Claude 3.7 the line came last (`claude-3-7-sonnet`); OpenRouter kept that for a while (`claude-4.7-opus`)."""

_ALWAYS_THINKING = ("fable", "mythos")
_UNFORCED_FROM = {"fable": (5, 1), "mythos": (5, 1), "opus": (5, 5), "sonnet": (5, 5)}


class Claude(msgspec.Struct, frozen=True, kw_only=True):
    """One model. The defaults are for a model of another name behind the API: nothing but budgets is known of it."""

    thinks: bool = True
    is_adaptive: bool = False
    efforts: tuple[str, ...] = ()
    """The levels of `output_config.effort` that an adaptive one has; none: nothing is known of the model."""
    off: str | None = "disabled"
    """The type of `thinking` that switches it off; None: it always thinks."""
    is_forced_thinking: bool = False
    """Whether a tool may be forced although thinking is asked for."""
    can_be_forced: bool = True
    """Whether a tool may be forced at all."""
    samples: bool = True
    """Whether it takes temperature, top_p and top_k at all."""
    takes_one_sampler: bool = False
    """Whether it refuses temperature and top_p together."""


def claude_of(model: str) -> Claude:
    """The model of a name, as Anthropic, AWS, Google or OpenRouter spell it."""
    name = model.lower()
    if "claude-mythos-preview" in name:
        return Claude(is_adaptive=True, efforts=("low", "medium", "high", "max"), off=None, samples=False)
    found = _NEWER.search(name) or _OLDER.search(name)
    if found is None:
        return Claude()
    line = found.groupdict().get("line") or ""
    version = int(found["major"]), int(found["minor"] or 0)
    efforts = ["low", "medium", "high"]
    if version >= (4, 7):
        efforts.append("xhigh")
    if version >= (4, 6):
        efforts.append("max")
    off: str | None = "disabled"
    if line in _ALWAYS_THINKING or (line == "opus" and version >= (5, 5)):
        off = None
    elif line == "sonnet" and version >= (5, 5):
        off = "between_tools"
    return Claude(
        thinks=version >= (3, 7),
        is_adaptive=version >= (4, 6),
        efforts=tuple(efforts),
        off=off,
        is_forced_thinking=version >= (4, 8),
        can_be_forced=version < _UNFORCED_FROM.get(line, (99, 0)),
        samples=version < (4, 7),
        takes_one_sampler=version >= (4, 1),
    )
