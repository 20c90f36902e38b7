"""Requests in a vendor's dialect, in both lanes. Does no I/O.

The lossless lane changes what the vendor would answer with an error, and nothing else: a request that needs no change
goes on byte for byte. From another API the request is encoded as for OpenAI first, then changed by the same code.

Values of a body are JSON as it came (`msgspec.Raw`) or plain objects, whichever lane they are from; `plain` reads both.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.model import LLMRequest, Reasoning
from providers.wire.base import EncodedRequest, Translation
from providers.wire.json_text import is_object
from providers.wire.leftovers import only_allowed
from providers.wire.openai_chat.dialect import Dialect
from providers.wire.openai_chat.dialect_messages import Body, VendorPatch, patch_messages, plain
from providers.wire.openai_chat.message_encoder import MessageEncoder
from providers.wire.openai_chat.parameters import HINTS
from providers.wire.openai_chat.relay import relayed_parameters
from providers.wire.openai_chat.request_encoder import (
    encode_body,
    is_own,
    openrouter_reasoning,
    spell_foreign_reasoning,
)

_ENCODER = msgspec.json.Encoder()

_TOOLS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_FIELDS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, msgspec.Raw])

_ALWAYS = frozenset({"model", "messages", "input", "prompt", "stream", "stream_options"})
"""Not a matter of taking or refusing: every vendor has them, and `stream_options` has a rule of its own."""

_HARMLESS = HINTS | {"user", "seed"}
"""What may be left out where a vendor takes only what it knows."""

_NEUTRAL: dict[str, Any] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "parallel_tool_calls": True,
    "stop": [],
    "modalities": ["text"],
}
"""Values that say nothing: such a parameter is left out without a word."""


def encode_in_dialect(
    request: LLMRequest, model: str, translation: Translation, dialect: Dialect, patch: VendorPatch | None = None
) -> EncodedRequest:
    """The body for `model`, from the model in the middle. Raises `UnsupportedParameterError` through `translation`."""
    own = is_own(request)
    if not own:  # hardly a vendor has OpenAI's `allowed_tools`
        request = only_allowed(request, translation)
    messages = MessageEncoder(
        translation,
        own=own,
        keep_reasoning=dialect.reasoning_returned is not None,
        document_urls=dialect.document_urls,
        cache_control="cache_control" in dialect.beyond,
    )
    body = encode_body(
        request,
        model,
        translation,
        messages,
        beyond=dialect.beyond,
        spell_reasoning=_SPELLINGS[dialect.reasoning_asked],
    )
    _adapt(body, request, translation, dialect, patch, own=own)
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))


def relay_in_dialect(
    request: LLMRequest, model: str, translation: Translation, dialect: Dialect, patch: VendorPatch | None = None
) -> EncodedRequest:
    """The client's own body, for `model`. Needs `raw`. Raises as `encode_in_dialect` does."""
    assert request.raw is not None
    came, body = relayed_parameters(request, model)
    _adapt(body, request, translation, dialect, patch, own=True)
    same = list(body.items()) == list(came.items())
    return EncodedRequest(body=request.raw.body if same else _ENCODER.encode(body), dropped=list(translation.dropped))


def _adapt(
    body: Body,
    request: LLMRequest,
    translation: Translation,
    dialect: Dialect,
    patch: VendorPatch | None,
    *,
    own: bool,
) -> None:
    """Change `body` in place into what the vendor takes."""
    if not dialect.stream_options:
        body.pop("stream_options", None)
    if not own:
        _check_choices(body, request, translation, dialect)
    patch_messages(body, request.messages, translation, dialect, patch)
    if dialect.tool_parameters:
        _fill_parameters(body)
    adapt_parameters(body, translation, dialect, own=own)


def _fill_parameters(body: Body) -> None:
    """Give functions without parameters those of no arguments."""
    tools = body.get("tools")
    changed = False
    wire: list[Body] = _TOOLS.decode(tools) if isinstance(tools, msgspec.Raw) else tools or []
    for tool in wire:
        function = tool.get("function")
        if isinstance(function, msgspec.Raw):
            function = _FIELDS.decode(function) if is_object(function) else None
        fields: Body | None = function if isinstance(function, dict) else None  # a vendor's tool may hold anything
        if fields is not None and plain(fields.get("parameters")) is None:
            tool["function"] = {**fields, "parameters": {"type": "object", "properties": {}}}
            changed = True
    if changed:
        body["tools"] = wire


def adapt_parameters(body: Body, translation: Translation, dialect: Dialect, *, own: bool) -> None:
    """Leave out, refuse and rename what the vendor answers with an error. `own`: the client speaks this API."""
    for name in [name for name in body if name not in _ALWAYS]:
        _check_parameter(name, body, translation, dialect, own=own)
    names = dialect.renames
    if dialect.max_tokens == "max_tokens":
        names = {**names, "max_completion_tokens": "max_tokens"}
    _rename(body, names)


def _rename(body: Body, names: dict[str, str]) -> None:
    """Each parameter keeps its place. Where both names are given, OpenAI's wins."""
    if names.keys().isdisjoint(body):
        return
    taken = {names[name] for name in body if name in names}
    renamed = {names.get(name, name): value for name, value in body.items() if name in names or name not in taken}
    body.clear()
    body.update(renamed)


def _check_choices(body: Body, request: LLMRequest, translation: Translation, dialect: Dialect) -> None:
    choice = request.tool_choice
    if choice is not None and "tool_choice" in body and choice.mode not in dialect.tool_choices:
        translation.refuse("tool_choice", f"only {_listed(dialect.tool_choices)}")
        del body["tool_choice"]
    wanted = request.response_format
    if wanted is not None and "response_format" in body and wanted.kind not in dialect.response_formats:
        translation.refuse("response_format", f"only {_listed(dialect.response_formats)}")
        del body["response_format"]


def _check_parameter(name: str, body: Body, translation: Translation, dialect: Dialect, *, own: bool) -> None:
    unknown = dialect.accepts is not None and name not in dialect.accepts
    if not (unknown or name in dialect.refuses or name in dialect.drops or (name in dialect.ignores and not own)):
        return
    value = plain(body[name])
    if value is not None and not (name in _NEUTRAL and value == _NEUTRAL[name]):
        if name in dialect.drops or (unknown and name in _HARMLESS and name not in dialect.refuses):
            translation.drop(name, spelled=own)
        else:
            translation.refuse(name, spelled=own)
    del body[name]


def _listed(values: frozenset[Any]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


def _spell_thinking(reasoning: Reasoning, translation: Translation) -> Body:
    """Z.AI's, Moonshot's and DeepSeek's: a switch, and the effort beside it."""
    if reasoning.display is not None:
        translation.drop("thinking.display")
    if reasoning.enabled is False:
        return {"thinking": {"type": "disabled"}}
    if reasoning.budget_tokens is not None:
        translation.drop("thinking.budget_tokens")
    body: Body = {}
    if reasoning.enabled or reasoning.effort is not None:
        body["thinking"] = {"type": "enabled"}
    if reasoning.effort is not None:
        body["reasoning_effort"] = reasoning.effort
    return body


def _spell_enable_thinking(reasoning: Reasoning, translation: Translation) -> Body:
    """Alibaba's: a boolean, and a budget."""
    if reasoning.display is not None:
        translation.drop("thinking.display")
    if reasoning.enabled is False:
        return {"enable_thinking": False}
    body: Body = {"enable_thinking": True}
    if reasoning.budget_tokens is not None:
        body["thinking_budget"] = reasoning.budget_tokens
    elif reasoning.effort is not None:
        translation.drop("reasoning_effort")
    return body


def _spell_openrouter(reasoning: Reasoning, _: Translation) -> Body:
    return {"reasoning": openrouter_reasoning(reasoning)}


_SPELLINGS = {
    "reasoning_effort": spell_foreign_reasoning,
    "reasoning": _spell_openrouter,
    "thinking": _spell_thinking,
    "enable_thinking": _spell_enable_thinking,
}
