"""Hides in the chunks of a stream: each text is followed by itself, wherever chunks end. Imports the SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from providers.model import (
    AudioPart,
    Choice,
    Delta,
    LLMResponse,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from proxy.plugins.builtin.regex_hider.hiding import Hider, HidingRule, UndecidedError
from proxy.plugins.builtin.regex_hider.json_hiding import JSONHider
from proxy.plugins.builtin.regex_hider.rewriting import rewrite_citations, rewrite_opaque
from proxy.plugins.builtin.regex_hider.whole_texts import Hiding
from proxy.plugins.result import ContextUpdate, PluginResult, changed

_Texted = TextPart | ReasoningPart | RefusalPart | ToolCallPart | AudioPart | OpaquePart
_Key = tuple[int, type[_Texted], int]
"""A text of a stream: its choice, the type of its part, and that part's index."""

_TEXTS: Mapping[type[_Texted], str] = {
    TextPart: "text",
    ReasoningPart: "text",
    RefusalPart: "text",
    ToolCallPart: "arguments",
    AudioPart: "transcript",
    OpaquePart: "input",
}
"""The field that a delta adds to, by the part's type."""


class StreamHider:
    """One stream's texts. A text is followed through its choice, type and index until another part of its choice
    begins (a call may go on beside another one), or the choice ends. No API is known to go on with a text after that;
    if one does, and the end of what was shown of it was undecided, the stream ends there."""

    def __init__(self, hiding: Hiding) -> None:
        self._hiding = hiding
        self._hiders: dict[_Key, Hider | JSONHider] = {}
        self._seen: set[tuple[int, type[Part], int]] = set()
        self._cut: set[_Key] = set()
        """Texts that were shown to their end although it was undecided."""

    @property
    def rules(self) -> Sequence[HidingRule]:
        return self._hiding.rules

    def take(self, chunk: LLMResponse, *, last: bool) -> PluginResult | None:
        """What leaves and what stays of `chunk`. `last`: nothing follows. Raises `UndecidedError`."""
        leaving: list[Choice] = []
        staying: list[Choice] = []
        same = True
        for choice in chunk.choices:
            parts = choice.delta.content if choice.delta is not None else []
            ends = last or choice.finish_reason is not None
            out, kept = self._parts(choice.index, parts, ends=ends)
            same = same and choice.logprobs is None and not kept and _same(out, parts)
            role = choice.delta.role if choice.delta is not None else None
            delta = Delta(role=role, content=out)
            leaving.append(msgspec.structs.replace(choice, delta=delta, logprobs=None))
            if kept:
                staying.append(Choice(index=choice.index, delta=Delta(content=kept)))
        if same:
            return None
        leaves = changed(chunk, choices=leaving)
        if not staying:
            return PluginResult(context=ContextUpdate(chunk=leaves))
        if not any(choice.finish_reason or (choice.delta and choice.delta.content) for choice in leaving):
            # Nothing to say yet: all of it stays, its texts (which the hiders have) taken out.
            shells = {choice.index: choice.delta for choice in staying}
            rest = [msgspec.structs.replace(c, delta=_shell(c, shells.get(c.index))) for c in leaving]
            return PluginResult(emit_chunk=False, context=ContextUpdate(chunk=changed(chunk, choices=rest)))
        return PluginResult(context=ContextUpdate(chunk=leaves), keep=LLMResponse(choices=staying))

    def _parts(self, choice: int, parts: Sequence[Part], *, ends: bool) -> tuple[list[Part], list[Part]]:
        """The parts that leave, and shells of those of whose text something stays."""
        out: list[Part] = []
        for part in parts:
            key = (choice, type(part), part.index)
            if key not in self._seen:
                self._seen.add(key)
                out += self._ended_in(choice)
            made = self._part(choice, part)
            if made is not None:
                out.append(made)
        if ends:
            out += self._finished([key for key in self._hiders if key[0] == choice])
        waiting = [key for key, hider in self._hiders.items() if key[0] == choice and hider.waits]
        return out, [kind(index=index) for _, kind, index in waiting]

    def _ended_in(self, choice: int) -> list[Part]:
        """What is left of a choice's texts when another part of it begins."""
        ended = [key for key in self._hiders if key[0] == choice and key[1] is not ToolCallPart]
        self._cut.update(key for key in ended if self._hiders[key].waits)
        return self._finished(ended)

    def _part(self, choice: int, part: Part) -> Part | None:
        """The part with as much of its text as may leave; None: all of it stays."""
        if not isinstance(part, _Texted):
            return part
        field = _TEXTS[type(part)]
        key = (choice, type(part), part.index)
        hider = self._hiders.get(key)
        if hider is None:
            if key in self._cut:
                raise UndecidedError
            rules = self._hiding.rules
            hider = self._hiders[key] = JSONHider(rules) if _is_json(part) else Hider(rules)
        text: str = getattr(part, field)
        shown = hider.feed(text)
        made = part if shown == text else msgspec.structs.replace(part, **{field: shown})
        if isinstance(made, TextPart) and made.citations:
            citations = rewrite_citations(made.citations, self._hiding.text)
            made = made if citations is made.citations else msgspec.structs.replace(made, citations=citations)
        elif isinstance(made, OpaquePart):
            made = rewrite_opaque(made, self._hiding)
        return None if made == type(part)(index=part.index) else made

    def _finished(self, keys: Sequence[_Key]) -> list[Part]:
        """What is left of these texts, each as a delta of its part."""
        made: list[Part] = []
        for key in keys:
            _, kind, index = key
            text = self._hiders.pop(key).finish()
            if text:
                part = kind(index=index)
                setattr(part, _TEXTS[kind], text)
                made.append(part)
        return made


def _is_json(part: Part) -> bool:
    return isinstance(part, OpaquePart) or (isinstance(part, ToolCallPart) and part.kind == "function")


def _same(out: Sequence[Part], parts: Sequence[Part]) -> bool:
    return len(out) == len(parts) and all(new is old for new, old in zip(out, parts, strict=True))


def _shell(choice: Choice, kept: Delta | None) -> Delta:
    role = choice.delta.role if choice.delta is not None else None
    return Delta(role=role, content=kept.content if kept is not None else [])
