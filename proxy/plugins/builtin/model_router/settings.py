"""What `model-router`'s configuration holds, and its schema. Times are milliseconds, as in the file."""

from __future__ import annotations

from typing import Literal

import msgspec

from providers.errors import ErrorKind
from providers.extension import Schema
from proxy.plugins.conditions import Conditions

Strategy = Literal["order", "weighted", "least-busy", "lowest-latency", "sticky"]


class Target(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    model: str
    weight: float = 1.0


class Choice(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One way to choose: the plugin's own, or a rule's. None: as the plugin has it."""

    model: str | None = None
    targets: tuple[Target, ...] = ()
    strategy: Strategy | None = None
    fallbacks: tuple[str, ...] | None = None
    hedge_after: int | None = None
    deadline: int | None = None
    on_errors: tuple[ErrorKind, ...] | None = None


class Rule(Choice, frozen=True, kw_only=True, rename="camel"):
    when: Conditions = Conditions()


class Budget(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    share: float = 0.2
    per_second: float = 1.0


class Settings(Choice, frozen=True, kw_only=True, rename="camel"):
    rules: tuple[Rule, ...] = ()
    failure_threshold: int = 5
    cooldown: int = 30_000
    retry_budget: Budget = Budget()


def _patterns(description: str) -> Schema:
    return {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "description": description}


_NAME: Schema = {"type": "string", "minLength": 1}

_CHOICE: dict[str, Schema] = {
    "model": {**_NAME, "description": "The model to ask, whatever the client named."},
    "targets": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {
                "model": {**_NAME, "description": "A model of the project."},
                "weight": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "default": 1,
                    "description": "Its share among the targets.",
                },
            },
            "required": ["model"],
            "additionalProperties": False,
        },
        "description": "Models to choose from, instead of `model`.",
    },
    "strategy": {
        "enum": ["order", "weighted", "least-busy", "lowest-latency", "sticky"],
        "description": "`order`: the first that is healthy. `weighted`: by chance, in proportion to the weights. "
        "`least-busy`: the one with the fewest requests under way for its weight. `lowest-latency`: the one whose "
        "first token comes soonest of late; those not yet measured first. `sticky`: always the same one for a user "
        "(user id, key, session or address), as long as it is healthy. Default: `order`, with weights `weighted`.",
    },
    "fallbacks": {
        "type": "array",
        "items": _NAME,
        "description": "Models to ask, in order, when those before have failed. Nobody notices as long as no byte of "
        "the answer was sent.",
    },
    "hedgeAfter": {
        "type": "integer",
        "minimum": 1,
        "description": "Ask the next model too when one has been silent for so long, in ms; the first token wins, the "
        "other call is cancelled at once. It costs input tokens twice.",
    },
    "deadline": {
        "type": "integer",
        "minimum": 1,
        "description": "How long all tries together may take up to the first token (or the whole answer), in ms. "
        "Then nobody else is asked, and the client gets a 504, or the error of the model that failed before: a silent "
        "model is left for the next one by `hedgeAfter`, or by a `firstTokenTimeout` of its own that is shorter than "
        "this. A model that was silent for half of this time or more has failed.",
    },
    "onErrors": {
        "type": "array",
        "minItems": 1,
        "items": {"enum": [kind.value for kind in ErrorKind]},
        "description": "The kinds of errors after which the next model is asked. Default: all that another model may "
        "not have; never a request that is wrong in itself.",
    },
}

_WHEN: Schema = {
    "type": "object",
    "properties": {
        "models": _patterns("The model that the client asks for: a prefix, or a regular expression between slashes."),
        "userIds": _patterns("Who asks. As for `models`."),
        "paths": _patterns("The request's path. As for `models`."),
        "methods": _patterns("The request's method."),
        "headers": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
            "description": "Headers by name, each with a pattern for its value.",
        },
    },
    "minProperties": 1,
    "additionalProperties": False,
    "description": "When the rule applies. All that are given must hold.",
}

SCHEMA: Schema = {
    "type": "object",
    "properties": {
        **_CHOICE,
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"when": _WHEN, **_CHOICE},
                "required": ["when"],
                "additionalProperties": False,
            },
            "default": [],
            "description": "The first rule that applies decides; what it does not say is as beside `rules`.",
        },
        "failureThreshold": {
            "type": "integer",
            "minimum": 1,
            "default": 5,
            "description": "After so many failures in a row a model is left alone: asked last, if at all.",
        },
        "cooldown": {
            "type": "integer",
            "minimum": 1,
            "default": 30_000,
            "description": "How long it is left alone after its last failure, in ms. Then one request at a time tries, "
            "until one has its whole answer. "
            "A provider's Retry-After counts too.",
        },
        "retryBudget": {
            "type": "object",
            "properties": {
                "share": {
                    "type": "number",
                    "minimum": 0,
                    "default": 0.2,
                    "description": "Extra requests (retries, fallbacks, hedges) for each request of a client.",
                },
                "perSecond": {
                    "type": "number",
                    "minimum": 0,
                    "default": 1,
                    "description": "Extra requests each second that are allowed whatever the traffic is. Ten seconds "
                    "of them are saved up.",
                },
            },
            "additionalProperties": False,
            "default": {},
            "description": "Bounds what is asked again, so that a failing service is not asked more and more. In any "
            "span of time: `share` of its requests, `perSecond` of its seconds, and what was saved up.",
        },
    },
    "additionalProperties": False,
}
