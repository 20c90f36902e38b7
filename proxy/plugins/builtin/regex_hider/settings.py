"""The configuration of `regex-hider`."""

from __future__ import annotations

from typing import Literal

import msgspec

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
