"""The plugin: requests on their way in, answers and streams on their way out. Imports the SDK and its neighbours."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import re2

from providers.errors import ErrorKind, GatewayError
from providers.extension import Config, extension
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
from proxy.plugins.base import Plugin
from proxy.plugins.builtin.regex_hider.hiding import Hider, HidingRule, Match, UndecidedError, hide
from proxy.plugins.builtin.regex_hider.rewriting import (
    rewrite_citations,
    rewrite_opaque,
    rewrite_request,
    rewrite_response,
)
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult, changed

Where = Literal["request", "response", "both"]


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    pattern: str
    replacement: str | None = None
    where: Where = msgspec.field(default="both", name="in")


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    rules: tuple[RuleSettings, ...]
    restore: bool = False
    max_match: int = 4096


SCHEMA = {
    "type": "object",
    "properties": {
        "rules": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "name": {
                        "type": "string",
                        "pattern": "^[A-Za-z][A-Za-z0-9_-]*$",
                        "errorMessage": "letters, digits, '-' and '_'",
                        "description": "What is hidden: `email`. Counted under this name.",
                    },
                    "pattern": {
                        "type": "string",
                        "minLength": 1,
                        "description": "A regular expression of RE2's (`(?i)` for any case).",
                    },
                    "replacement": {
                        "type": "string",
                        "description": "What stands in place of a match. `{n}` is the number of the value in the "
                        "request: the same value has the same number. Default: `[NAME]`, with `restore` `[NAME_{n}]`.",
                    },
                    "in": {
                        "enum": ["request", "response", "both"],
                        "default": "both",
                        "description": "Where it is hidden: on the way to the model, on the way back, or both.",
                    },
                },
                "required": ["name", "pattern"],
                "additionalProperties": False,
            },
            "description": "Applied one after the other.",
        },
        "restore": {
            "type": "boolean",
            "default": False,
            "description": "Put what was hidden in the request back where the model repeats what stands for it: the "
            "client sees its own values, the provider never does.",
        },
        "maxMatch": {
            "type": "integer",
            "minimum": 16,
            "maximum": 65536,
            "default": 4096,
            "description": "How many characters of a stream may be held back because they may yet become a match. A "
            "stream in which more than that stays undecided ends with an error.",
        },
    },
    "required": ["rules"],
    "additionalProperties": False,
}


class _Values:
    """The values that one request's rules have hidden, each with what stands for it."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._counts: dict[str, int] = {}
        self.of: dict[str, str] = {}
        """By what stands in the model's text."""

    def stand_in(self, name: str, template: str, value: str, *, remember: bool) -> str:
        number = self._numbers.get((name, value))
        if number is None:
            number = self._counts[name] = self._counts.get(name, 0) + 1
            self._numbers[name, value] = number
        shown = template.replace("{n}", str(number))
        if remember:
            self.of[shown] = value
        return shown


class _Rule:
    def __init__(self, settings: RuleSettings, *, restore: bool, max_match: int) -> None:
        self.name = settings.name
        default = f"[{settings.name.upper()}_{{n}}]" if restore else f"[{settings.name.upper()}]"
        self.template = settings.replacement if settings.replacement is not None else default
        self.where = settings.where
        self.pattern = HidingRule(settings.pattern, lambda match: "", max_match=max_match)


@extension(
    name="regex-hider",
    version="1.0.0",
    description="Hides what matches a pattern, in requests, answers and streams",
    configuration_schema=SCHEMA,
)
class RegexHider(Plugin):
    on_error = "closed"

    def validate_config(self, config: Config) -> bool | str:
        settings = msgspec.convert(config, Settings)
        for place, rule in enumerate(settings.rules):
            try:
                made = _Rule(rule, restore=settings.restore, max_match=settings.max_match)
            except ValueError as error:
                return f"rules[{place}].pattern: {error}"
            if settings.restore and "{n}" not in made.template:
                return (
                    f"rules[{place}].replacement: with 'restore' it must hold '{{n}}', to tell one value from another"
                )
        return True

    async def configure(self, config: Config) -> None:
        settings = msgspec.convert(config, Settings)
        rules = [_Rule(rule, restore=settings.restore, max_match=settings.max_match) for rule in settings.rules]
        self._restores = settings.restore
        self._max_match = settings.max_match
        self._in = [rule for rule in rules if rule.where != "response"]
        self._out = [rule for rule in rules if rule.where != "request"]

    # -- on the way in ------------------------------------------------------------------------------------------------

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        values = context.plugin_data.setdefault("values", _Values())
        rules = self._ready(self._in, values, remember=self._restores)
        request = rewrite_request(context.request, lambda text: hide(rules, text))
        return None if request is None else PluginResult(context=ContextUpdate(request=request))

    # -- on the way out -----------------------------------------------------------------------------------------------

    async def after_model(self, context: PluginContext) -> PluginResult | None:
        rules = self._out_rules(context, quoted=False)
        if context.response is None or not rules:
            return None
        response = rewrite_response(context.response, lambda text: hide(rules, text))
        return None if response is None else PluginResult(context=ContextUpdate(response=response))

    async def after_chunk(self, context: PluginContext) -> PluginResult | None:
        stream: _Stream | None = context.plugin_data.get("stream")
        if stream is None:
            plain, quoted = self._out_rules(context, quoted=False), self._out_rules(context, quoted=True)
            stream = context.plugin_data["stream"] = _Stream(plain, quoted)
        chunk = context.buffered_chunk
        if chunk is None or not stream.rules:
            return None
        try:
            return stream.take(chunk, last=context.final_chunk)
        except UndecidedError:
            message = (
                f"the answer ends here: it cannot be told in time whether something in it must be hidden "
                f"(more than {self._max_match} characters may have to be)"
            )
            return PluginResult(
                success=False, error=GatewayError(message, kind=ErrorKind.BAD_RESPONSE, status=502, code="undecided")
            )

    # -- rules, for one request ---------------------------------------------------------------------------------------

    def _out_rules(self, context: PluginContext, *, quoted: bool) -> list[HidingRule]:
        """What is hidden in the answer; then, so that the first do not find it, what is put back."""
        values = context.plugin_data.setdefault("values", _Values())
        rules = self._ready(self._out, values, remember=False, quoted=quoted)
        if self._restores and values.of:
            rules.append(_restoring(values.of, quoted=quoted, max_match=self._max_match))
        return rules

    def _ready(
        self, rules: Sequence[_Rule], values: _Values, *, remember: bool, quoted: bool = False
    ) -> list[HidingRule]:
        def replacing(rule: _Rule) -> HidingRule:
            def replace(match: Match) -> str:
                shown = values.stand_in(rule.name, rule.template, match.group() or "", remember=remember)
                return _quoted(shown) if quoted else shown

            return rule.pattern.replacing(replace)

        return [replacing(rule) for rule in rules]


def _restoring(values: Mapping[str, str], *, quoted: bool, max_match: int) -> HidingRule:
    # Longer ones first: `[A_1]` may be how `[A_1]]` begins.
    names = sorted(values, key=len, reverse=True)
    pattern = "|".join(re2.escape(name) for name in names)

    def replace(match: Match) -> str:
        value = values[match.group() or ""]
        return _quoted(value) if quoted else value

    return HidingRule(pattern, replace, max_match=max_match)


def _quoted(text: str) -> str:
    """As it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


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

_WITHIN_JSON = re.compile("arguments|input")


class _Stream:
    """One stream's texts. A text is followed through its choice, type and index until another part of its choice
    begins (a call may go on beside another one), or the choice ends. No API is known to go on with a text after that;
    if one does, and the end of what was shown of it was undecided, the stream ends there."""

    def __init__(self, plain: Sequence[HidingRule], quoted: Sequence[HidingRule]) -> None:
        self.rules = plain
        self._quoted = quoted
        self._hiders: dict[_Key, Hider] = {}
        self._seen: set[tuple[int, type[Part], int]] = set()
        self._cut: set[_Key] = set()
        """Texts that were shown to their end although it was undecided."""

    def take(self, chunk: LLMResponse, *, last: bool) -> PluginResult | None:
        """What leaves and what stays of `chunk`. `last`: nothing follows."""
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
            custom = isinstance(part, ToolCallPart) and part.kind == "custom"
            within_json = _WITHIN_JSON.fullmatch(field) is not None and not custom
            hider = self._hiders[key] = Hider(self._quoted if within_json else self.rules)
        text: str = getattr(part, field)
        shown = hider.feed(text)
        made = part if shown == text else msgspec.structs.replace(part, **{field: shown})
        if isinstance(made, TextPart) and made.citations:
            citations = rewrite_citations(made.citations, self._whole)
            made = made if citations is made.citations else msgspec.structs.replace(made, citations=citations)
        elif isinstance(made, OpaquePart):
            made = rewrite_opaque(made, self._whole)
        return None if made == type(part)(index=part.index) else made

    def _whole(self, text: str) -> str:
        return hide(self.rules, text)

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


def _same(out: Sequence[Part], parts: Sequence[Part]) -> bool:
    return len(out) == len(parts) and all(new is old for new, old in zip(out, parts, strict=True))


def _shell(choice: Choice, kept: Delta | None) -> Delta:
    role = choice.delta.role if choice.delta is not None else None
    return Delta(role=role, content=kept.content if kept is not None else [])
