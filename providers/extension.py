"""The one life cycle that providers, plugins and client APIs share. Imports only the errors.

An extension lives so:

1. *Declared*: `@extension(...)` puts the metadata on the class. Importing it has no side effect.
2. *Constructed*: without arguments, without side effects.
3. *Checked*: the loader holds the configuration against `configuration_schema` (defaults filled in, every error named
   with its place in the file), then calls `validate_config`.
4. *Configured*: `await configure(config)`, once, in the app's trio run. Clients and pools are made here.
5. *Used*, by many requests at once.
6. *Closed*: `await aclose()`, once, under a deadline, after the last request is over.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

Config = dict[str, Any]
Schema = dict[str, Any]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class ExtensionMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What `@extension` says about a class."""

    name: str
    """The `type` by which `gateway.yaml` refers to it."""
    version: str
    description: str = ""
    configuration_schema: Schema = {}


class Extension:
    """Base of every extension. See the module's docstring for its life."""

    metadata: ExtensionMetadata

    def validate_config(self, config: Config) -> bool | str:
        """Check what a JSON Schema cannot. True: fine; False or a sentence: what is wrong. Must not change anything."""
        return True

    async def configure(self, config: Config) -> None:
        """Take the checked configuration. An exception here refuses the configuration."""

    async def aclose(self) -> None:
        """Give everything back. Runs under a deadline; may be cancelled."""


E = TypeVar("E", bound=type[Extension])


def extension(
    *, name: str, version: str, description: str = "", configuration_schema: Schema | None = None
) -> Callable[[E], E]:
    """Declare a class an extension.

    Raises ValueError for a name that could not stand in a configuration, and for a `configuration_schema` that is not
    valid JSON Schema (draft 2020-12).
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"extension name {name!r}: expected lower-case letters, digits, '.', '_' and '-'")
    schema = configuration_schema or {}
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"extension {name!r}: configuration_schema is not valid: {error.message}") from error
    metadata = ExtensionMetadata(name=name, version=version, description=description, configuration_schema=schema)

    def declare(cls: E) -> E:
        cls.metadata = metadata
        return cls

    return declare


class ConfigProblem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a configuration."""

    path: tuple[str | int, ...]
    """Where, from the configuration's root: `("retryAttempts",)`."""
    message: str
    """What is there and what was expected; never a secret's value."""


_SECRET = re.compile(r"(key|token|secret|password|credential)s?$", re.IGNORECASE)


def is_secret(path: tuple[str | int, ...]) -> bool:
    """Whether the value at this path must not be shown (`apiKey`, `password`, any custom header ...)."""
    names = [part for part in path if isinstance(part, str)]
    return any(_SECRET.search(name) or name.lower().endswith("headers") for name in names)


def check_config(schema: Schema, config: Mapping[str, Any]) -> tuple[Config, list[ConfigProblem]]:
    """Fill in the schema's defaults and list everything that is wrong, in the order of the file's keys.

    Returns a new, independent configuration; `config` is left as it is.
    """
    filled: Config = copy.deepcopy(dict(config))
    _fill_defaults(schema, filled)
    validator = Draft202012Validator(schema)
    problems = [problem for error in validator.iter_errors(filled) for problem in _explain(error)]
    problems.sort(key=lambda problem: [str(part) for part in problem.path])
    return filled, problems


def _fill_defaults(schema: Schema, value: Any) -> None:
    if not isinstance(value, dict):
        if isinstance(value, list) and isinstance(items := schema.get("items"), dict):
            for item in value:
                _fill_defaults(items, item)
        return
    for name, sub in schema.get("properties", {}).items():
        if not isinstance(sub, dict):
            continue
        if name not in value and "default" in sub:
            value[name] = copy.deepcopy(sub["default"])
        if name in value:
            _fill_defaults(sub, value[name])


def _explain(error: ValidationError) -> list[ConfigProblem]:
    path = tuple(error.absolute_path)
    shown = "" if is_secret(path) or isinstance(error.instance, (dict, list)) else f" {error.instance!r}"
    got = f"got {_type_name(error.instance)}{shown}"
    expected: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    match error.validator:
        case "type":
            types = [expected] if isinstance(expected, str) else list(expected)
            return [ConfigProblem(path, f"expected {' or '.join(types)}, {got}")]
        case "enum":
            return [ConfigProblem(path, f"expected one of {', '.join(map(repr, expected))}, {got}")]
        case "const":
            return [ConfigProblem(path, f"expected {expected!r}, {got}")]
        case "required":
            missing = [name for name in expected if name not in instance]
            return [ConfigProblem((*path, name), "required key is missing") for name in missing]
        case "additionalProperties" | "unevaluatedProperties":
            known = sorted(schema.get("properties", {}))
            patterns = [re.compile(pattern) for pattern in schema.get("patternProperties", {})]
            extra = [k for k in instance if k not in known and not any(p.search(k) for p in patterns)]
            return [ConfigProblem((*path, name), f"unknown key; expected one of {', '.join(known)}") for name in extra]
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            words = {
                "minimum": "at least",
                "exclusiveMinimum": "more than",
                "maximum": "at most",
                "exclusiveMaximum": "less than",
            }
            return [ConfigProblem(path, f"expected {words[error.validator]} {expected}, {got}")]
        case "minLength" | "minItems" | "minProperties":
            return [ConfigProblem(path, f"must not be shorter than {expected}, {got}")]
        case "pattern":
            return [ConfigProblem(path, f"expected text matching {expected!r}, {got}")]
        case _:
            reason = schema.get("description", "") if isinstance(schema, dict) else ""
            return [ConfigProblem(path, f"not allowed here ({error.validator}){': ' + reason if reason else ''}")]


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
