"""The plugin: requests on their way in, answers and streams on their way out. Imports the SDK and its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import re2

from providers.errors import ErrorKind, GatewayError, RequestError
from providers.extension import Config, extension
from providers.model import LLMRequest, LLMResponse, OpaquePart, RawBody
from proxy.plugins.base import Phase, Plugin
from proxy.plugins.builtin.regex_hider.hiding import HidingRule, Match, UndecidedError
from proxy.plugins.builtin.regex_hider.rewriting import rewrite_request, rewrite_response
from proxy.plugins.builtin.regex_hider.settings import SCHEMA, RuleSettings, Settings
from proxy.plugins.builtin.regex_hider.streams import StreamHider
from proxy.plugins.builtin.regex_hider.whole_texts import Hiding
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult, changed


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

    def restored(self, match: Match) -> str:
        """The value that a match stands for; what stands for none stays."""
        shown = match.group() or ""
        return self.of.get(shown, shown)


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
    hides = True

    def validate_config(self, config: Config) -> bool | str:
        settings = msgspec.convert(config, Settings)
        made: list[_Rule] = []
        for place, rule in enumerate(settings.rules):
            try:
                made.append(_Rule(rule, restore=settings.restore, max_match=settings.max_match))
            except ValueError as error:
                return f"rules[{place}].pattern: {error}"
            if settings.restore and "{n}" not in made[-1].template:
                return (
                    f"rules[{place}].replacement: with 'restore' it must hold '{{n}}', to tell one value from another"
                )
        try:
            _restoring(made, settings.max_match)
        except ValueError as error:
            return f"rules: what stands for values {error}"
        return True

    async def configure(self, config: Config) -> None:
        settings = msgspec.convert(config, Settings)
        rules = [_Rule(rule, restore=settings.restore, max_match=settings.max_match) for rule in settings.rules]
        self._max_match = settings.max_match
        self._in = [rule for rule in rules if rule.where != "response"]
        self._out = [rule for rule in rules if rule.where != "request"]
        self._restoring = _restoring(self._in, settings.max_match) if settings.restore and self._in else None
        self._recorded = rules if settings.restore else self._out
        """What is hidden in the records of answers, whatever the client was shown."""

    def phases(self) -> frozenset[Phase]:
        phases = super().phases()
        looks_at_answers = self._out or self._restoring is not None
        return phases if looks_at_answers else phases - {"after_model", "after_chunk"}

    # -- on the way in ------------------------------------------------------------------------------------------------

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        values = context.plugin_data.setdefault("values", _Values())
        context.hide_in_records(self._recording(values))
        request = context.request
        if self._in and context.operation == "embed" and _has_tokens(request):
            message = "input: tokens cannot be searched for what must be hidden here; send texts"
            return PluginResult(success=False, error=RequestError(message, param="input"))
        made = rewrite_request(request, self._ready(self._in, values, remember=self._restoring is not None))
        if made is None and _is_found_in(request.raw, self._in):
            made = changed(request)  # in something that no field holds: it goes without that
        return None if made is None else PluginResult(context=ContextUpdate(request=made))

    # -- on the way out -----------------------------------------------------------------------------------------------

    async def after_model(self, context: PluginContext) -> PluginResult | None:
        hiding = self._on_way_out(context)
        if context.response is None or not hiding.rules:
            return None
        response = rewrite_response(context.response, hiding)
        if response is None and _is_found_in(context.response.raw, self._out):
            response = changed(context.response)
        return None if response is None else PluginResult(context=ContextUpdate(response=response))

    async def after_chunk(self, context: PluginContext) -> PluginResult | None:
        stream = self._stream_of(context)
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

    def _stream_of(self, context: PluginContext) -> StreamHider:
        stream: StreamHider | None = context.stream_data.get("stream")
        if stream is None:
            stream = context.stream_data["stream"] = StreamHider(self._on_way_out(context))
        return stream

    # -- rules, for one request ---------------------------------------------------------------------------------------

    def _on_way_out(self, context: PluginContext) -> Hiding:
        """What is hidden in the answer; then, so that the first do not find it, what is put back."""
        values: _Values = context.plugin_data.setdefault("values", _Values())
        hiding = self._ready(self._out, values, remember=False)
        if self._restoring is None or not values.of:
            return hiding
        return Hiding([*hiding.rules, self._restoring.replacing(values.restored)])

    def _ready(self, rules: Sequence[_Rule], values: _Values, *, remember: bool) -> Hiding:
        def replacing(rule: _Rule) -> HidingRule:
            return rule.pattern.replacing(
                lambda match: values.stand_in(rule.name, rule.template, match.group() or "", remember=remember)
            )

        return Hiding([replacing(rule) for rule in rules])

    def _recording(self, values: _Values) -> Callable[[LLMResponse], LLMResponse]:
        hiding = self._ready(self._recorded, values, remember=False)
        return lambda response: rewrite_response(response, hiding) or response


def _restoring(rules: Sequence[_Rule], max_match: int) -> HidingRule:
    """Finds what stands for a value of any of these rules."""
    # Longer ones first: `[A_1]` may be how `[A_1]]` begins.
    templates = sorted({rule.template for rule in rules}, key=len, reverse=True)
    pattern = "|".join("[0-9]{1,9}".join(map(re2.escape, template.split("{n}"))) for template in templates)
    return HidingRule(pattern, lambda match: "", max_match=max_match)


def _is_found_in(raw: RawBody | None, rules: Sequence[_Rule]) -> bool:
    """Whether a body as it came holds a match."""
    if raw is None or not rules:
        return False
    text = raw.body.decode("utf-8", "replace")
    return Hiding([rule.pattern for rule in rules]).json(text) != text


def _has_tokens(request: LLMRequest) -> bool:
    return any(isinstance(part, OpaquePart) for message in request.messages for part in message.content)
