"""The one life cycle that providers, plugins and client APIs share. Imports only the errors.

An extension lives so:

1. *Declared*: `@extension(...)` puts the metadata on the class. Importing it has no side effect.
2. *Constructed*: without arguments, without side effects.
3. *Checked*: the loader holds the configuration against `configuration_schema` (defaults filled in, every error named
   with its place in the file), then calls `validate_config`.
4. *Configured*: `await configure(config)`, once, in the app's trio run. Clients and pools are made here.
5. *Used*, by many requests at once, also across reloads that leave its entry as it is (`outlives_reload`).
6. *Closed*: `await aclose()`, once, under a deadline, after the last request is over.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

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
    preset_of: str = ""
    """The extension that this one is, with other defaults: the same code. Empty: it is one of its own."""


class Extension:
    """Base of every extension. See the module's docstring for its life."""

    metadata: ExtensionMetadata

    def validate_config(self, config: Config) -> bool | str:
        """Check what a JSON Schema cannot. True: fine; False or a sentence: what is wrong. Must not change anything."""
        return True

    async def configure(self, config: Config) -> None:
        """Take the checked configuration. An exception here refuses the configuration."""

    def outlives_reload(self, config: Config) -> bool:
        """Whether it goes on, with all that it has gathered, when the gateway reads its file again and finds this
        configuration unchanged. False: it is made anew, and closed when its last request is over; say so where
        `configure` reads what may change beside the configuration, like a file. Must not wait."""
        return True

    async def aclose(self) -> None:
        """Give everything back. Runs under a deadline; may be cancelled."""


E = TypeVar("E", bound=type[Extension])


def extension(
    *,
    name: str,
    version: str,
    description: str = "",
    configuration_schema: Schema | None = None,
    preset_of: str = "",
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
    metadata = ExtensionMetadata(
        name=name, version=version, description=description, configuration_schema=schema, preset_of=preset_of
    )

    def declare(cls: E) -> E:
        cls.metadata = metadata
        return cls

    return declare


KeyPath = tuple[str | int, ...]


class ConfigProblem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a configuration."""

    path: KeyPath
    """Where, from the configuration's root: `("retryAttempts",)`."""
    message: str
    """What is there and what was expected; never a secret's value."""
    at_key: bool = False
    """The key itself is wrong, not its value."""


_SECRET = re.compile(r"(key|token|secret|password|passphrase|credential|authorization|cookie)s?$", re.IGNORECASE)


def is_secret(path: KeyPath) -> bool:
    """Whether the value at this path must not be shown (`apiKey`, `password`, any custom header ...)."""
    names = [part for part in path if isinstance(part, str)]
    return any(_SECRET.search(name) or name.lower().endswith("headers") for name in names)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'timeout'?` if one of `known` is close to `word`, else the empty string."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


# JSON Schema lets 8080.0 be an integer; the code behind a configuration wants an int.
_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def check_config(
    schema: Schema,
    config: Mapping[str, Any],
    *,
    hidden: Callable[[KeyPath], bool] = is_secret,
    environ: Mapping[str, str] = {},
) -> tuple[Config, list[ConfigProblem]]:
    """Fill in the schema's defaults and list everything that is wrong, in the order of the file's keys.

    Returns a new, independent configuration; `config` is left as it is. Values at paths for which `hidden` is true are
    not shown. Beside JSON Schema's own keywords, `errorMessage` may say in words what a `pattern` expects, and
    `environment` names the variable of `environ` whose value stands in for a string that is not given.
    """
    filled: Config = copy.deepcopy(dict(config))
    _fill_defaults(schema, filled, environ)
    explain = _Explainer(hidden).explain
    # An empty registry: a `$ref` to elsewhere is never fetched.
    validator = _Validator(schema, registry=Registry())
    try:
        told = [problem for error in validator.iter_errors(filled) for problem in explain(error)]
    except Unresolvable as error:
        return filled, [ConfigProblem((), f"cannot be checked: the schema has no {error.ref!r} that it refers to")]
    # Each missing key is an error of its own that names all of them: hence the dict.
    problems = list(dict.fromkeys(told))
    problems.sort(key=lambda problem: _place(config, problem.path))
    return filled, problems


def _fill_defaults(schema: Schema, value: Any, environ: Mapping[str, str]) -> None:
    if not isinstance(value, dict):
        if isinstance(value, list) and isinstance(items := schema.get("items"), dict):
            for item in value:
                _fill_defaults(items, item, environ)
        return
    for name, sub in schema.get("properties", {}).items():
        if not isinstance(sub, dict):
            continue
        if name not in value and environ.get(sub.get("environment", "")):
            value[name] = environ[sub["environment"]]
        if name not in value and "default" in sub:
            value[name] = copy.deepcopy(sub["default"])
        if name in value:
            _fill_defaults(sub, value[name], environ)


def _place(config: Any, path: KeyPath) -> list[int]:
    """The path as positions among the keys of `config`; what is not in it comes last."""
    place = []
    for part in path:
        if isinstance(config, dict):
            keys = list(config)
            place.append(keys.index(part) if part in config else len(keys))
            config = config.get(part)
        elif isinstance(config, list) and isinstance(part, int) and part < len(config):
            place.append(part)
            config = config[part]
    return place


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}


class _Explainer:
    """Says a schema's violation in words. Knows what must not be shown."""

    def __init__(self, hidden: Callable[[KeyPath], bool]) -> None:
        self._hidden = hidden

    def explain(self, error: ValidationError) -> list[ConfigProblem]:
        path = tuple(error.absolute_path)
        got = self._got(path, error.instance)
        expected: Any = error.validator_value
        schema: Any = error.schema
        instance: Any = error.instance
        match error.validator:
            case "type":
                types = [expected] if isinstance(expected, str) else list(expected)
                return [ConfigProblem(path, f"expected {' or '.join(types)}, {got}")]
            case "enum":
                near = did_you_mean(instance, map(str, expected)) if isinstance(instance, str) else ""
                near = "" if self._hidden(path) else near
                return [ConfigProblem(path, f"expected one of {', '.join(map(repr, expected))}, {got}{near}")]
            case "const":
                return [ConfigProblem(path, f"expected {expected!r}, {got}")]
            case "required":
                missing = [name for name in expected if name not in instance]
                return [ConfigProblem((*path, name), _missing(schema, name)) for name in missing]
            case "dependentRequired":
                needs = [(key, name) for key, names in expected.items() if key in instance for name in names]
                return [
                    ConfigProblem((*path, name), f"required key is missing ({key!r} needs it)")
                    for key, name in needs
                    if name not in instance
                ]
            case "additionalProperties" | "unevaluatedProperties":
                return self._unknown_keys(path, schema, instance)
            case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" | "multipleOf":
                return [ConfigProblem(path, f"expected {_BOUNDS[error.validator]} {expected}, {got}")]
            case "minLength" | "minItems" | "minProperties":
                if expected == 1:
                    return [ConfigProblem(path, "must not be empty")]
                return [ConfigProblem(path, f"must not be shorter than {expected}, {got}")]
            case "maxLength" | "maxItems" | "maxProperties":
                return [ConfigProblem(path, f"must not be longer than {expected}, {got}")]
            case "uniqueItems":
                return [ConfigProblem(path, "holds the same item twice")]
            case "pattern":
                wanted = schema.get("errorMessage") or f"text matching {expected!r}"
                return [ConfigProblem(path, f"expected {wanted}, {got}")]
            case "anyOf" | "oneOf":
                return self._alternatives(path, error, got)
            case _:
                return [ConfigProblem(path, f"not allowed here ({error.validator}){_reason(schema)}")]

    def _got(self, path: KeyPath, value: Any) -> str:
        if self._hidden(path) or value is None or isinstance(value, (dict, list)):
            return f"got {type_name(value)}"
        # A URL may carry a password under any key.
        shown = re.sub(r"://[^/@\s]*@", "://***@", repr(value))
        return f"got {type_name(value)} {shown if len(shown) <= 80 else shown[:77] + '...'}"

    def _unknown_keys(self, path: KeyPath, schema: Schema, instance: dict[str, Any]) -> list[ConfigProblem]:
        known = sorted(schema.get("properties", {}))
        patterns = [re.compile(pattern) for pattern in schema.get("patternProperties", {})]
        extra = [name for name in instance if name not in known and not any(p.search(name) for p in patterns)]
        others = f"; expected one of {', '.join(known)}" if known else ""
        return [
            ConfigProblem((*path, name), f"unknown key{did_you_mean(name, known) or others}", at_key=True)
            for name in extra
        ]

    def _alternatives(self, path: KeyPath, error: ValidationError, got: str) -> list[ConfigProblem]:
        """The alternative that the value was meant to be, if that can be told, is the one to complain about."""
        branches: dict[Any, list[ValidationError]] = {}
        for sub in error.context or ():
            branches.setdefault(sub.relative_schema_path[0], []).append(sub)
        if not branches:
            return [ConfigProblem(path, f"matches more than one of the allowed forms{_reason(error.schema)}")]
        firsts = [subs[0] for subs in branches.values()]
        if all(sub.validator == "required" and sub.absolute_path == error.absolute_path for sub in firsts):
            keys = [" and ".join(map(repr, sub.validator_value)) for sub in firsts]  # type: ignore[arg-type]
            return [ConfigProblem(path, f"one of these keys is required: {', '.join(keys)}")]
        misfits = [s for s in firsts if s.validator == "type" and s.absolute_path == error.absolute_path]
        if len(misfits) == len(firsts):
            types = " or ".join(str(sub.validator_value) for sub in misfits)
            return [ConfigProblem(path, f"expected {types}, {got}")]
        meant = [subs for subs in branches.values() if subs[0] not in misfits]
        if len(meant) == 1:
            return [problem for sub in meant[0] for problem in self.explain(sub)]
        return [ConfigProblem(path, f"matches none of the allowed forms{_reason(error.schema)}")]


def _missing(schema: Any, name: str) -> str:
    """What to do about a required key that is not there."""
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    variable = properties.get(name, {}).get("environment")
    return "required key is missing" + (f", and the environment variable {variable} is not set" if variable else "")


def _reason(schema: Any) -> str:
    reason = schema.get("description", "") if isinstance(schema, dict) else ""
    return f": {reason}" if reason else ""


def type_name(value: Any) -> str:
    """The JSON type of a value, as messages call it."""
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
