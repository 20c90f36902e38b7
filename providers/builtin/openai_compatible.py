"""Any service that speaks OpenAI Chat Completions, and the vendors of `providers.presets`: the same class, with a row.

A row's class is made when its type is first asked for: `type: groq` is `openai-compatible` with Groq's base URL, key
variable and dialect. The configuration may change each of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from providers.builtin.openai_services import OpenAIServices
from providers.extension import Config, Schema, extension
from providers.http import OutgoingRequest, http_schema
from providers.model import LLMRequest, LLMResponse, Usage
from providers.presets import PRESETS, Preset
from providers.provider import Capability
from providers.wire import openai_chat, openai_responses
from providers.wire.base import EncodedRequest, Translation
from providers.wire.openai_chat.dialect import Dialect
from providers.wire.openai_chat.dialect_request import encode_in_dialect, relay_in_dialect
from providers.wire.openai_chat.embeddings import EMBEDDINGS

VERSION = "1.0.0"

_NAMES: Schema = {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}
_SWITCH: Schema = {"type": "boolean"}

QUIRKS: Schema = {
    "maxTokens": {
        "enum": ["max_completion_tokens", "max_tokens"],
        "description": "What the service calls the limit of an answer.",
    },
    "developerRole": {"enum": ["developer", "system"], "description": "The role for messages of developers."},
    "messageNames": {**_SWITCH, "description": "Whether a message may have a name."},
    "assistantAfterTool": {**_SWITCH, "description": "Whether the assistant must speak between a tool and a user."},
    "assistantPrefix": {
        **_SWITCH,
        "description": "Whether a message of the assistant at the end is marked (prefix).",
    },
    "documentUrls": {**_SWITCH, "description": "Whether a document may be given by its URL (document_url)."},
    "toolParameters": {**_SWITCH, "description": "Whether a function must have parameters."},
    "streamOptions": {**_SWITCH, "description": "Whether stream_options is taken."},
    "renames": {
        "type": "object",
        "additionalProperties": {"type": "string", "minLength": 1},
        "description": "Parameters that have another name here, by OpenAI's name.",
    },
    "accepts": {**_NAMES, "description": "Every parameter that is taken, where all others are answered with an error."},
    "refuses": {**_NAMES, "description": "Parameters answered with an error: refused before they are sent."},
    "drops": {**_NAMES, "description": "The same, harmless: left out and named in x-triway-dropped."},
    "ignores": {**_NAMES, "description": "Parameters without effect: refused to clients of other APIs."},
    "beyond": {**_NAMES, "description": "Parameters taken although OpenAI does not: top_k, cache_control."},
    "toolChoices": {
        "type": "array",
        "items": {"enum": ["auto", "none", "required", "tool"]},
        "description": "What tool_choice may be, for clients of other APIs.",
    },
    "responseFormats": {
        "type": "array",
        "items": {"enum": ["text", "json_object", "json_schema"]},
        "description": "What response_format may be, for clients of other APIs.",
    },
    "reasoningAsked": {
        "enum": ["reasoning_effort", "reasoning", "thinking", "enable_thinking"],
        "description": "How a client of another API asks for reasoning here.",
    },
    "reasoningReturned": {
        "enum": ["reasoning_content", "reasoning", "reasoning_details", "thinking", None],
        "description": "Where the reasoning of earlier turns goes; null: nowhere.",
    },
}
"""The fields of `Dialect`, as the configuration's `quirks` may set them."""


def compatible_schema(preset: Preset | None = None, *, required: tuple[str, ...] = ()) -> Schema:
    """The configuration of the compatible provider, with the defaults of a row."""
    shared: dict[str, Schema] = {}
    needed = list(required)
    if preset is not None:
        if preset.base_url is not None:
            shared["baseUrl"] = {"default": preset.base_url}
        else:
            shared["baseUrl"] = {"description": f"Where the account's API is: {preset.base_url_form}"}
            needed.append("baseUrl")
        if preset.key_variable is not None:
            shared["apiKey"] = {"environment": preset.key_variable}
        if preset.key_required:
            needed.append("apiKey")
    if preset is None or "responses" in preset.endpoints:
        shared["api"] = {
            "enum": ["chat", "responses"],
            "default": "chat",
            "description": "Which of OpenAI's APIs the model is asked through: Chat Completions or Responses.",
        }
    return http_schema(
        required=tuple(needed),
        **shared,
        quirks={
            "type": "object",
            "additionalProperties": False,
            "properties": QUIRKS,
            "description": "How the service's requests differ from OpenAI's, over what is known of it.",
        },
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters that the service cannot honour, instead of a 400.",
        },
    )


@extension(
    name="openai-compatible",
    version=VERSION,
    description="Any service that speaks OpenAI Chat Completions",
    configuration_schema=compatible_schema(required=("baseUrl",)),
)
class CompatibleProvider(OpenAIServices):
    wire = openai_chat.WIRE
    path = "/chat/completions"
    wires = {"chat": (wire, path), "responses": (openai_responses.WIRE, "/responses")}
    preset: ClassVar[Preset | None] = None
    dialect: Dialect = Dialect()

    async def configure(self, config: Config) -> None:
        quirks = config.get("quirks")
        if quirks:
            known: dict[str, Any] = msgspec.to_builtins(type(self).dialect)
            self.dialect = msgspec.convert({**known, **quirks}, Dialect)
        await super().configure(config)

    @classmethod
    def capabilities(cls) -> frozenset[Capability]:
        found = super().capabilities()
        if "tools" in cls.dialect.ignores:
            found -= {"tools"}
        return found if cls.preset is not None and cls.preset.token_count is not None else found - {"count_tokens"}

    async def count_tokens(self, request: LLMRequest) -> LLMResponse:
        count = self.preset.token_count if self.preset is not None else None
        if count is None:
            return await super().count_tokens(request)
        encoded = encode_in_dialect(request, self.model_for(request), self.count_translation(request), self.dialect)
        asked = msgspec.json.decode(encoded.body, type=dict[str, msgspec.Raw])
        body = msgspec.json.encode({name: asked[name] for name in ("model", "messages")})
        outgoing = OutgoingRequest(target=count.path, body=body, headers=encoded.headers, dropped=encoded.dropped)
        return await self.call(outgoing, request, lambda answer: _read_count(answer, count.answer))

    def translation(self, request: LLMRequest) -> Translation:
        translation = super().translation(request)
        translation.target = self.metadata.name  # the vendor is what a client knows
        return translation

    def encode(self, request: LLMRequest, model: str) -> EncodedRequest:
        if self.api != openai_chat.WIRE.api:
            return super().encode(request, model)
        return encode_in_dialect(request, model, self.translation(request), self.dialect)

    def relayed(self, request: LLMRequest, model: str) -> EncodedRequest:
        if self.api != openai_chat.WIRE.api:
            return super().relayed(request, model)
        return relay_in_dialect(request, model, self.translation(request), self.dialect)


ONE_API: dict[str, Any] = {"wires": {}, "variants": {}}
"""What takes the choice of an API away again."""


def _read_count(answer: bytes, keys: tuple[str, ...]) -> LLMResponse:
    found: Any = msgspec.json.decode(answer)
    for key in keys:
        found = found[key]
    return LLMResponse(object="token_count", usage=Usage(prompt_tokens=int(found)))


def _provider_of(preset: Preset) -> type[CompatibleProvider]:
    """The compatible provider with a row of the table."""
    embeddings = EMBEDDINGS if "embeddings" in preset.endpoints else None
    members = {
        "preset": preset,
        "dialect": preset.dialect,
        "embeddings": embeddings,
        "has_completions": "completions" in preset.endpoints,
        **({} if "responses" in preset.endpoints else ONE_API),
        "__module__": __name__,
        "__doc__": preset.title,
    }
    cls: type[CompatibleProvider] = type(preset.name, (CompatibleProvider,), members)
    declare = extension(
        name=preset.name,
        version=VERSION,
        description=preset.title,
        preset_of=CompatibleProvider.metadata.name,
        configuration_schema=compatible_schema(preset),
    )
    return declare(cls)


_BY_NAME = {preset.name: preset for preset in PRESETS}


def __getattr__(name: str) -> type[CompatibleProvider]:
    """The class of a preset, by its type name. Kept: every registry of the process has the same one, so that a reload
    knows a provider that has not changed."""
    preset = _BY_NAME.get(name)
    if preset is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _provider_of(preset)
    return made
