"""What `rate-limit`'s configuration holds, and its schema."""

from __future__ import annotations

from typing import Literal

import msgspec

from providers.extension import Schema
from proxy.plugins.builtin.redis_client import TIMEOUT_SCHEMA, URL_SCHEMA

By = Literal["all", "key", "user", "model", "ip", "project"]
OnStoreError = Literal["local", "open", "closed"]

WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}


class Limit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    by: tuple[By, ...] = ("all",)
    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None
    per: str = "minute"
    models: tuple[str, ...] = ()


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    url: str
    prefix: str = "{triway:rate-limit}"
    timeout: int = 1000


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    limits: tuple[Limit, ...]
    redis: RedisSettings | None = None
    on_store_error: OnStoreError = "local"
    lease_timeout: int = 60_000


def _cap(description: str) -> Schema:
    return {"type": "integer", "minimum": 1, "description": description}


SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "limits": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "name": {
                        "type": "string",
                        "pattern": "^[A-Za-z0-9_-]+$",
                        "errorMessage": "letters, digits, '-' and '_'",
                        "description": "In error messages, metrics and the store.",
                    },
                    "by": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"enum": ["all", "key", "user", "model", "ip", "project"]},
                        "default": ["all"],
                        "description": "Who shares it: everybody (`all`), or each key, user, model, address or project "
                        "has it for itself; several together: each combination. Keys are known from an authentication "
                        "plugin of a lower priority. A model is the entry of `models` that is asked, however the "
                        "client spelt it. Projects count apart in any case.",
                    },
                    "requests": _cap("Requests in each window. So many may come at once; then they come back evenly."),
                    "tokens": _cap(
                        "Input and output tokens in each window, as the provider counts them. A request's input is "
                        "estimated and taken at once; when it is over, it pays what it really cost, which may leave "
                        "less than nothing: then the next one waits. What the provider did not tell, because the "
                        "client left or the stream was cut, is estimated from what was sent."
                    ),
                    "concurrency": _cap("Requests at the same time."),
                    "per": {
                        "enum": [*WINDOWS],
                        "default": "minute",
                        "description": "The window of `requests` and `tokens`.",
                    },
                    "models": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "minLength": 1},
                        "description": "Only requests for these models count: prefixes, or regular expressions between "
                        "slashes, of the name that is asked for or of the entry that serves it. Default: all.",
                    },
                },
                "required": ["name"],
                "additionalProperties": False,
            },
            "description": "All of them must let a request in; if one does not, none is charged.",
        },
        "redis": {
            "type": "object",
            "properties": {
                "url": URL_SCHEMA,
                "prefix": {
                    "type": "string",
                    "minLength": 1,
                    "default": "{triway:rate-limit}",
                    "description": "Before every key. The braces keep all keys on one node of a cluster.",
                },
                "timeout": TIMEOUT_SCHEMA,
            },
            "required": ["url"],
            "additionalProperties": False,
            "description": "Count here, together with other workers and machines, instead of in each worker alone.",
        },
        "onStoreError": {
            "enum": ["local", "open", "closed"],
            "default": "local",
            "description": "While Redis cannot be reached: each worker counts by itself (`local`), nobody counts "
            "(`open`), or requests get a 503 (`closed`). It is tried again once a second.",
        },
        "leaseTimeout": {
            "type": "integer",
            "minimum": 1000,
            "default": 60_000,
            "description": "With Redis: a slot of `concurrency` whose worker died is free after so long, in ms. Slots "
            "of requests that run are renewed three times in it, so it says nothing of how long requests may take. At "
            "least three times `redis.timeout`.",
        },
    },
    "required": ["limits"],
    "additionalProperties": False,
}
