"""The plugin: caps on requests, and answers held against their schema. Imports the SDK and its neighbours.

A stream's answer can only be checked when it is whole: if it does not follow the schema, the stream ends with an error
instead of its success terminator.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

import msgspec

from providers.errors import ErrorKind, GatewayError, RequestError
from providers.extension import Config, extension
from providers.model import LLMRequest, LLMResponse, TextPart
from proxy.plugins.base import Phase, Plugin
from proxy.plugins.builtin.guard.schemas import (
    CLIENT_BUDGET,
    OPERATOR_BUDGET,
    BudgetSpentError,
    CheckedSchema,
    InapplicableError,
    excess_of,
    fault_in_schema,
)
from proxy.plugins.builtin.guard.sizes import CHARS_PER_TOKEN, size_of
from proxy.plugins.context import PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult, changed

log = logging.getLogger("triway.plugin")

MAX_CHECKED_CHARS = 1024 * 1024
"""A structured answer longer than this is not parsed: it fails the check."""

LEAST_THINKING = 1024
"""Tokens below which providers refuse a budget for thinking."""


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
        "maxInputChars": _cap(
            "Characters of all that a model reads of a request: texts, calls and their results, tools, the answer's "
            "schema."
        ),
        "maxInputTokens": _cap(f"The same as tokens, estimated as one for {CHARS_PER_TOKEN} characters."),
        "maxMessages": _cap("Messages of a request."),
        "maxTools": _cap("Tools of a request."),
        "maxOutputTokens": _cap("Tokens that a request may ask for, in all of its answers (`n`) together."),
        "overOutput": {
            "enum": ["clamp", "refuse"],
            "default": "clamp",
            "description": "What becomes of a request that asks for more: it gets `maxOutputTokens`, or a 400. One "
            "that asks for no number gets it too. A budget for thinking is lowered below it, or refused if it were "
            "then too small.",
        },
        "structuredOutput": {
            "enum": ["off", "check", "retry"],
            "default": "off",
            "description": "Hold answers against the request's JSON Schema (or `schema`). `check`: one that does not "
            "follow it is an error (502). `retry`: the model is asked again once first, as long as nothing was sent "
            "and `pipeline.maxRetries` lets it.",
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
            fault = fault_in_schema(config["schema"])
            if fault is not None:
                return f"schema: {fault}"
            if config["structuredOutput"] == "off":
                return "schema: without structuredOutput 'check' or 'retry' nothing is held against it"
        return True

    async def configure(self, config: Config) -> None:
        self._settings = msgspec.convert(config, Settings)
        schema = self._settings.output_schema
        self._schema = CheckedSchema(schema) if schema is not None else None

    def phases(self) -> frozenset[Phase]:
        looks_at_answers = self._settings.structured_output != "off"
        return super().phases() if looks_at_answers else super().phases() - {"after_model", "after_chunk"}

    # -- requests -----------------------------------------------------------------------------------------------------

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        request = context.request
        fault = self._fault_in(request, "input" if context.operation == "embed" else "messages")
        if fault is None and context.operation == "complete":
            fault = self._fault_in_schema(request)
            if fault is None:
                return self._with_output_capped(request)
        return None if fault is None else PluginResult(success=False, error=fault)

    def _fault_in(self, request: LLMRequest, param: str) -> RequestError | None:
        """What is too much in a request."""
        settings = self._settings
        for limit, count, name in (
            (settings.max_messages, len(request.messages), "messages"),
            (settings.max_tools, len(request.tools), "tools"),
        ):
            if limit is not None and count > limit:
                return RequestError(f"{name}: at most {limit} here, got {count}", param=name)
        if settings.max_input_chars is None and settings.max_input_tokens is None:
            return None
        chars = size_of(request)
        if settings.max_input_chars is not None and chars > settings.max_input_chars:
            return _too_large(param, f"at most {settings.max_input_chars} characters here, got {chars}")
        tokens = -(-chars // CHARS_PER_TOKEN)
        if settings.max_input_tokens is not None and tokens > settings.max_input_tokens:
            return _too_large(param, f"at most about {settings.max_input_tokens} tokens here, got about {tokens}")
        return None

    def _fault_in_schema(self, request: LLMRequest) -> RequestError | None:
        wanted = request.response_format
        if self._settings.structured_output == "off" or self._schema is not None or wanted is None:
            return None
        excess = excess_of(wanted.schema) if wanted.schema is not None else None
        return None if excess is None else RequestError(f"response_format: {excess}", param="response_format")

    def _with_output_capped(self, request: LLMRequest) -> PluginResult | None:
        cap = self._settings.max_output_tokens
        if cap is None:
            return None
        answers = max(request.n or 1, 1)
        each, asked = cap // answers, request.max_tokens
        if asked is not None and asked <= each:
            return None
        if each < 1:
            return _refusal(f"n: at most {cap} tokens here, which are too few for {answers} answers", "n")
        if asked is not None and self._settings.over_output == "refuse":
            of_each = f" for each of {answers} answers" if answers > 1 else ""
            return _refusal(f"max_tokens: at most {each}{of_each} here, got {asked}", "max_tokens")
        capped = changed(request, max_tokens=each)
        reasoning = request.reasoning
        if reasoning is not None and reasoning.budget_tokens is not None and reasoning.budget_tokens >= each:
            # Providers refuse a request that may think for longer than it may answer.
            if each <= LEAST_THINKING:
                message = (
                    f"thinking: the budget is {reasoning.budget_tokens} tokens, and an answer has at most {each} here"
                )
                return _refusal(message, "thinking")
            capped.reasoning = msgspec.structs.replace(reasoning, budget_tokens=each - 1)
        return PluginResult(context=ContextUpdate(request=capped))

    # -- answers ------------------------------------------------------------------------------------------------------

    async def after_model(self, context: PluginContext) -> PluginResult | None:
        refusal = self._judge(context.request, context.response)
        if refusal is None:
            return None
        asks_again = self._settings.structured_output == "retry" and not isinstance(refusal, RequestError)
        if asks_again and context.retries_left > 0 and not context.plugin_data.get("asked_again"):
            context.plugin_data["asked_again"] = True
            return PluginResult(reevaluate_request=True)
        return PluginResult(success=False, error=refusal)

    async def after_chunk(self, context: PluginContext) -> PluginResult | None:
        if not context.final_chunk or not self._is_held_against_a_schema(context.request):
            return None
        refusal = self._judge(context.request, context.accumulated_response)
        return None if refusal is None else PluginResult(success=False, error=refusal)

    def _is_held_against_a_schema(self, request: LLMRequest) -> bool:
        wanted = request.response_format
        return self._schema is not None or (wanted is not None and wanted.kind != "text")

    def _judge(self, request: LLMRequest, response: LLMResponse | None) -> GatewayError | None:
        """Why an answer is withheld; None: it is not."""
        if response is None or not self._is_held_against_a_schema(request):
            return None
        schema, budget = self._schema, OPERATOR_BUDGET
        try:
            if schema is None:
                assert request.response_format is not None
                schema, budget = CheckedSchema(request.response_format.schema or {"type": "object"}), CLIENT_BUDGET
            fault = fault_in_answer(schema, response, budget)
        except InapplicableError as caught:
            # The schema is the client's, and it is wrong or beyond us: the answer is not to blame.
            log.warning("a JSON schema cannot be applied: %s", caught)
            return None
        except BudgetSpentError:
            if self._schema is None:
                message = "response_format: it takes too long to hold the answer against this JSON schema"
                return RequestError(message, param="response_format")
            fault = "it takes too long to tell"
        return None if fault is None else _violation(fault)


def fault_in_answer(schema: CheckedSchema, response: LLMResponse, budget: int) -> str | None:
    """What is wrong with an answer that should follow `schema`, in a sentence that quotes nothing of it; None: nothing.

    Only texts that were finished are looked at: a call of a tool, a refusal or an answer that ran out of tokens is not
    what the schema is about. Raises `BudgetSpentError`, `InapplicableError`.
    """
    texts = [
        choice.message.text
        for choice in response.choices
        if choice.message is not None
        and not choice.message.tool_calls
        and choice.finish_reason in (None, "stop")
        and any(isinstance(part, TextPart) for part in choice.message.content)
    ]
    for text in texts:
        if len(text) > MAX_CHECKED_CHARS:
            return f"it is longer than {MAX_CHECKED_CHARS} characters"
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return "it is not JSON"
        fault = schema.fault_in(value, budget // len(texts))
        if fault is not None:
            return fault
    return None


def _too_large(param: str, message: str) -> RequestError:
    return RequestError(f"{param}: {message}", param=param, status=413)


def _refusal(message: str, param: str) -> PluginResult:
    return PluginResult(success=False, error=RequestError(message, param=param))


def _violation(fault: str) -> GatewayError:
    return GatewayError(
        f"the model's answer does not follow the JSON schema that was asked for: {fault}",
        kind=ErrorKind.BAD_RESPONSE,
        status=502,
        code="schema_violation",
    )
