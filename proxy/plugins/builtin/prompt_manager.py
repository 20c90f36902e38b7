"""`prompt-manager`: prompts that the gateway puts into requests, and experiments with several of them. Imports the SDK.

Where more than one entry of this type takes part in a request, each changes what the one before left, by priority, and
their metadata are merged, objects within objects too. So are those of one entry. Every experiment that a request is in
stands in its metadata (`experiments`); the context's own two fields hold the last one's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from random import Random
from string import Template
from typing import Any, Literal

import msgspec

from providers.extension import Config, Schema, extension
from providers.model import LLMRequest, Message, TextPart
from proxy.plugins.base import Plugin
from proxy.plugins.context import PluginContext
from proxy.plugins.merging import merged_deeply
from proxy.plugins.result import ContextUpdate, PluginResult, changed

Mode = Literal["override", "before", "after", "wrapper"]
Target = Literal["system", "user"]

CONTROL = "control"
"""The variant of who is in an experiment and in none of its variants."""


EXPERIMENTS = "experiments"
"""In the request's metadata: a list of `id` and `variant`, in the order of the plugins."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    mode: Mode
    content: str = ""
    before: str = ""
    after: str = ""
    target: Target = "system"
    metadata: dict[str, Any] = {}


class Variant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    percentage: float
    prompt: Prompt | None = None


class Experiment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    variants: tuple[Variant, ...]


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    prompt: Prompt | None = None
    experiment: Experiment | None = None
    metadata: dict[str, Any] = {}


_METADATA: Schema = {
    "type": "object",
    "description": "Laid into the request's metadata, for logs and other plugins; objects in it are merged key by key.",
}
_PROMPT: Schema = {
    "type": "object",
    "properties": {
        "mode": {
            "enum": ["override", "before", "after", "wrapper"],
            "description": "`override`: `content` takes the text's place. `before`, `after`: `content` stands before "
            "or after it. `wrapper`: the text stands between `before` and `after`.",
        },
        "content": {
            "type": "string",
            "minLength": 1,
            "description": "The text. `$model`, `$user_id`, `$project`, `$key_id` and the names of metadata stand for "
            "their values, `$$` for a dollar sign.",
        },
        "before": {"type": "string", "description": "For `wrapper`; as `content`."},
        "after": {"type": "string", "description": "For `wrapper`; as `content`."},
        "target": {
            "enum": ["system", "user"],
            "default": "system",
            "description": "The system prompt (made, if there is none), or the text of the last message of the user.",
        },
        "metadata": _METADATA,
    },
    "required": ["mode"],
    "additionalProperties": False,
}

SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "prompt": {
            **_PROMPT,
            "description": "The prompt of every request, and under every variant.",
        },
        "experiment": {
            "type": "object",
            "properties": {
                "id": {
                    "type": "string",
                    "minLength": 1,
                    "description": "In metadata (`experiments`), logs and the plugin context.",
                },
                "variants": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": {"type": "string", "minLength": 1},
                            "percentage": {
                                "type": "number",
                                "minimum": 0,
                                "maximum": 100,
                                "description": "Of the users (without a user: of the requests).",
                            },
                            "prompt": _PROMPT,
                        },
                        "required": ["name", "percentage"],
                        "additionalProperties": False,
                    },
                    "description": "Who is in none of them is `control`. A user stays in one variant.",
                },
            },
            "required": ["id", "variants"],
            "additionalProperties": False,
            "description": "Several prompts, each for a share of the users.",
        },
        "metadata": _METADATA,
    },
    "additionalProperties": False,
}


@extension(
    name="prompt-manager",
    version="1.0.0",
    description="Puts prompts into requests, and runs experiments with them",
    configuration_schema=SCHEMA,
)
class PromptManager(Plugin):
    def __init__(self) -> None:
        self._random = Random()  # noqa: S311 - spreads an experiment, guards nothing

    def validate_config(self, config: Config) -> bool | str:
        settings = msgspec.convert(config, Settings)
        if settings.prompt is None and settings.experiment is None and not settings.metadata:
            return "give 'prompt', 'experiment' or 'metadata'"
        variants = settings.experiment.variants if settings.experiment is not None else ()
        if sum(variant.percentage for variant in variants) > 100 + 1e-9:
            return "experiment.variants: the percentages come to more than 100"
        names = [variant.name for variant in variants]
        if len({*names, CONTROL}) <= len(names):
            return f"experiment.variants: each name once, and none is {CONTROL!r}"
        prompts = [("prompt", settings.prompt)]
        prompts += [(f"experiment.variants[{place}].prompt", variant.prompt) for place, variant in enumerate(variants)]
        for place, prompt in prompts:
            fault = _fault_in(prompt) if prompt is not None else None
            if fault is not None:
                return f"{place}: {fault}"
        return True

    async def configure(self, config: Config) -> None:
        self._settings = msgspec.convert(config, Settings)

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        settings = self._settings
        metadata: Mapping[str, Any] = settings.metadata
        update = ContextUpdate()
        prompts = [settings.prompt]
        if settings.experiment is not None:
            variant = self._variant_of(settings.experiment, context)
            update.experiment_id = settings.experiment.id
            update.experiment_variant = variant.name if variant is not None else CONTROL
            prompts.append(variant.prompt if variant is not None else None)
            update.metadata = {EXPERIMENTS: _with_experiment(context, update)}
        request = context.request
        values = _values(context)
        if context.operation == "embed":  # texts to be measured as they are
            prompts = []
        for prompt in prompts:
            if prompt is not None:
                request = _with_prompt(request, prompt, values)
                metadata = merged_deeply(metadata, prompt.metadata)
        update.metadata = {**metadata, **update.metadata}
        if request is not context.request:
            update.request = request
        return PluginResult(context=update)

    def _variant_of(self, experiment: Experiment, context: PluginContext) -> Variant | None:
        """The variant whose share of the users this one falls into; None: control."""
        who = context.user_id or context.key_id or context.request.metadata.session_id
        if who is None:
            place = self._random.random() * 100
        else:
            digest = hashlib.blake2b(f"{experiment.id}\0{who}".encode(), digest_size=8).digest()
            place = int.from_bytes(digest) / 2**64 * 100
        for variant in experiment.variants:
            if place < variant.percentage:
                return variant
            place -= variant.percentage
        return None


def _with_experiment(context: PluginContext, update: ContextUpdate) -> list[Any]:
    """The experiments that the request is in, and this one."""
    before = context.metadata.get(EXPERIMENTS)
    this = {"id": update.experiment_id, "variant": update.experiment_variant}
    return [*(before if isinstance(before, list) else ()), this]


def _fault_in(prompt: Prompt) -> str | None:
    wraps = prompt.mode == "wrapper"
    if wraps and not (prompt.before or prompt.after):
        return "mode 'wrapper' needs 'before' or 'after'"
    if not wraps and not prompt.content:
        return f"mode {prompt.mode!r} needs 'content'"
    if wraps and prompt.content:
        return "mode 'wrapper' has no 'content'"
    for text in (prompt.content, prompt.before, prompt.after):
        if not Template(text).is_valid():
            return "a '$' that begins no name; '$$' stands for a dollar sign"
    return None


def _values(context: PluginContext) -> dict[str, str]:
    """What names in a prompt stand for."""
    return {
        **{name: str(value) for name, value in context.metadata.items()},
        "model": context.target_model or context.request.model,
        "user_id": context.user_id or "",
        "key_id": context.key_id or "",
        "project": context.project,
    }


def _with_prompt(request: LLMRequest, prompt: Prompt, values: dict[str, str]) -> LLMRequest:
    def filled(text: str) -> str:
        return Template(text).safe_substitute(values)

    before = filled(prompt.before if prompt.mode == "wrapper" else prompt.content if prompt.mode == "before" else "")
    after = filled(prompt.after if prompt.mode == "wrapper" else prompt.content if prompt.mode == "after" else "")
    instead = filled(prompt.content) if prompt.mode == "override" else None
    change = _in_system if prompt.target == "system" else _in_last_user_message
    return changed(request, messages=change(request.messages, before, after, instead))


def _in_system(messages: list[Message], before: str, after: str, instead: str | None) -> list[Message]:
    system = [message for message in messages if message.role in ("system", "developer")]
    if instead is not None:
        rest = [message for message in messages if message.role not in ("system", "developer")]
        return [_text_message(instead), *rest]
    if not system:
        return [_text_message("\n\n".join(text for text in (before, after) if text)), *messages]
    first, last = system[0], system[-1]
    made: list[Message] = []
    for message in messages:
        content = list(message.content)
        if before and message is first:
            content.insert(0, TextPart(text=f"{before}\n\n"))
        if after and message is last:
            content.append(TextPart(text=f"\n\n{after}"))
        made.append(message if content == message.content else msgspec.structs.replace(message, content=content))
    return made


def _in_last_user_message(messages: list[Message], before: str, after: str, instead: str | None) -> list[Message]:
    place = next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "user"), None)
    if place is None:
        return messages
    message = messages[place]
    if instead is not None:
        others = [part for part in message.content if not isinstance(part, TextPart)]
        content = [*others, TextPart(text=instead)]
    else:
        content = list(message.content)
        if before:
            content.insert(0, TextPart(text=f"{before}\n\n"))
        if after:
            content.append(TextPart(text=f"\n\n{after}"))
    return [*messages[:place], msgspec.structs.replace(message, content=content), *messages[place + 1 :]]


def _text_message(text: str) -> Message:
    return Message(role="system", content=[TextPart(text=text)])
