"""`guard`: caps on what goes in, and a check of structured output against its JSON Schema. Imports the SDK.

Schemas may come from clients. Their regular expressions are RE2's, so none can hang the gateway; references are never
fetched. A stream's answer can only be checked when it is whole: if it does not follow the schema, the stream ends with
an error instead of its success terminator.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec
import re2
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import SchemaError, best_match
from referencing.exceptions import Unresolvable

from providers.errors import ErrorKind, GatewayError, RequestError
from providers.extension import Config, extension
from providers.model import FilePart, LLMRequest, LLMResponse, Part, ReasoningPart, TextPart, ToolCallPart
from providers.model.content import ToolResultPart
from proxy.plugins.base import Plugin
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult, changed

log = logging.getLogger("triway.plugin")

CHARS_PER_TOKEN = 4
"""For the estimate of input tokens: about right for English with any vendor's tokenizer, too low for other scripts."""

MAX_CHECKED_CHARS = 4 * 1024 * 1024
"""A structured answer longer than this is not parsed: it fails the check."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    max_input_chars: int | None = None
    max_input_tokens: int | None = None
    max_messages: int | None = None
    max_tools: int | None = None
    max_output_tokens: int | None = None
    over_output: Literal["clamp", "refuse"] = "clamp"
    structured_output: Literal["off", "check", "retry"] = "off"
    output_schema: dict[str, Any] | None = msgspec.field(default=None, name="schema")


def _cap(description: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "description": description}


SCHEMA = {
    "type": "object",
    "properties": {
        "maxInputChars": _cap("Characters of all texts of a request together."),
        "maxInputTokens": _cap(f"The same as tokens, estimated as one for {CHARS_PER_TOKEN} characters."),
        "maxMessages": _cap("Messages of a request."),
        "maxTools": _cap("Tools of a request."),
        "maxOutputTokens": _cap("Tokens that a request may ask for."),
        "overOutput": {
            "enum": ["clamp", "refuse"],
            "default": "clamp",
            "description": "What becomes of a request that asks for more: it gets `maxOutputTokens`, or a 400. One "
            "that asks for no number gets it too.",
        },
        "structuredOutput": {
            "enum": ["off", "check", "retry"],
            "default": "off",
            "description": "Hold answers against the request's JSON Schema (or `schema`). `check`: one that does not "
            "follow it is an error (502). `retry`: the model is asked again first, as long as nothing was sent.",
        },
        "schema": {
            "type": "object",
            "description": "The JSON Schema of every answer, instead of the request's own.",
        },
    },
    "additionalProperties": False,
}


@extension(
    name="guard",
    version="1.0.0",
    description="Caps on requests, and a check of structured output",
    configuration_schema=SCHEMA,
)
class Guard(Plugin):
    on_error = "closed"

    def validate_config(self, config: Config) -> bool | str:
        if "schema" in config:
            try:
                _Validator.check_schema(config["schema"])
            except SchemaError as error:
                return f"schema: {error.message}"
            if config["structuredOutput"] == "off":
                return "schema: without structuredOutput 'check' or 'retry' nothing is held against it"
        return True

    async def configure(self, config: Config) -> None:
        self._settings = msgspec.convert(config, Settings)

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        settings, request = self._settings, context.request
        fault = self._fault_in(request)
        if fault is not None:
            return PluginResult(success=False, error=fault)
        limit = settings.max_output_tokens
        if limit is None or (request.max_tokens is not None and request.max_tokens <= limit):
            return None
        return PluginResult(context=ContextUpdate(request=changed(request, max_tokens=limit)))

    def _fault_in(self, request: LLMRequest) -> RequestError | None:
        """What is too much in a request."""
        settings = self._settings
        for limit, count, param in (
            (settings.max_messages, len(request.messages), "messages"),
            (settings.max_tools, len(request.tools), "tools"),
        ):
            if limit is not None and count > limit:
                return RequestError(f"{param}: at most {limit} here, got {count}", param=param)
        asked, cap = request.max_tokens, settings.max_output_tokens
        if asked is not None and cap is not None and asked > cap and settings.over_output == "refuse":
            return RequestError(f"max_tokens: at most {cap} here, got {asked}", param="max_tokens")
        if settings.max_input_chars is None and settings.max_input_tokens is None:
            return None
        chars = sum(_size(part) for message in request.messages for part in message.content)
        if settings.max_input_chars is not None and chars > settings.max_input_chars:
            return _too_large(f"at most {settings.max_input_chars} characters here, got {chars}")
        tokens = -(-chars // CHARS_PER_TOKEN)
        if settings.max_input_tokens is not None and tokens > settings.max_input_tokens:
            return _too_large(f"at most about {settings.max_input_tokens} tokens here, got about {tokens}")
        return None

    async def after_model(self, context: PluginContext) -> PluginResult | None:
        schema = self._schema_for(context.request)
        if schema is None or context.response is None:
            return None
        fault = fault_in_answer(schema, context.response)
        if fault is None:
            return None
        if self._settings.structured_output == "retry" and not context.plugin_data.get("asked_again"):
            context.plugin_data["asked_again"] = True
            return PluginResult(reevaluate_request=True)
        return _refused(fault)

    async def after_chunk(self, context: PluginContext) -> PluginResult | None:
        if not context.final_chunk:
            return None
        schema = self._schema_for(context.request)
        response = context.accumulated_response if schema is not None else None
        if schema is None or response is None:
            return None
        fault = fault_in_answer(schema, response)
        return None if fault is None else _refused(fault)

    def _schema_for(self, request: LLMRequest) -> dict[str, Any] | None:
        if self._settings.structured_output == "off":
            return None
        if self._settings.output_schema is not None:
            return self._settings.output_schema
        wanted = request.response_format
        if wanted is None or wanted.kind == "text":
            return None
        return wanted.schema or {"type": "object"}


def fault_in_answer(schema: dict[str, Any], response: LLMResponse) -> str | None:
    """What is wrong with an answer that should follow `schema`, in a sentence that quotes nothing of it; None: nothing.

    Only texts that were finished are looked at: a call of a tool, a refusal or an answer that ran out of tokens is not
    what the schema is about.
    """
    for choice in response.choices:
        message = choice.message
        if message is None or message.tool_calls or choice.finish_reason not in (None, "stop"):
            continue
        if not any(isinstance(part, TextPart) for part in message.content):
            continue
        text = message.text
        if len(text) > MAX_CHECKED_CHARS:
            return f"it is longer than {MAX_CHECKED_CHARS} characters"
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return "it is not JSON"
        fault = _fault_in_value(schema, value)
        if fault is not None:
            return fault
    return None


def _fault_in_value(schema: dict[str, Any], value: Any) -> str | None:
    try:
        error = best_match(_validator_of(msgspec.json.encode(schema)).iter_errors(value))
    except (Unresolvable, RecursionError, SchemaError) as caught:
        # The schema is the client's, and it is wrong or beyond us: the answer is not to blame.
        log.warning("a JSON schema cannot be applied: %s", type(caught).__name__)
        return None
    if error is None:
        return None
    place = ".".join(str(part) for part in error.absolute_path) or "the answer"
    return f"{place} fails the schema's '{error.validator}'"


@lru_cache(maxsize=256)
def _validator_of(schema: bytes) -> Any:
    """Raises `SchemaError`."""
    decoded = msgspec.json.decode(schema)
    _Validator.check_schema(decoded)
    return _Validator(decoded)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _finds(pattern, value):
        yield ValidationError("does not match")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], value: Any, schema: Any) -> Any:
    if not isinstance(value, dict):
        return
    for pattern, inner in patterns.items():
        for name, member in value.items():
            if _finds(pattern, name):
                yield from validator.descend(member, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, value: Any, schema: Any) -> Any:
    if not isinstance(value, dict):
        return
    patterns = schema.get("patternProperties", {})
    known = schema.get("properties", {})
    for name, member in value.items():
        if name in known or any(_finds(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("is not expected")
        elif isinstance(allowed, dict):
            yield from validator.descend(member, allowed, path=name)


def _nothing(validator: Any, keyword: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    yield from ()


def _finds(pattern: str, text: str) -> bool:
    """Whether a schema's regular expression matches; one that RE2 does not take matches everything."""
    try:
        return _compiled(pattern).search(text) is not None
    except re2.error:
        return True


_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        # The library looks for what patterns have left over with backtracking expressions: not for a client's schema.
        "unevaluatedProperties": _nothing,
    },
)


def _size(part: Part) -> int:
    match part:
        case TextPart() | ReasoningPart():
            return len(part.text)
        case ToolCallPart():
            return len(part.name) + len(part.arguments)
        case ToolResultPart():
            return sum(map(_size, part.content))
        case FilePart():
            return len(part.text or "")
    return 0


def _too_large(message: str) -> RequestError:
    return RequestError(f"messages: {message}", param="messages", status=413)


def _refused(fault: str) -> PluginResult:
    error = GatewayError(
        f"the model's answer does not follow the JSON schema that was asked for: {fault}",
        kind=ErrorKind.BAD_RESPONSE,
        status=502,
        code="schema_violation",
    )
    return PluginResult(success=False, error=error)
