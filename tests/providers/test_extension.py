"""`check_config`: defaults, and the words for each way to break a schema."""

from __future__ import annotations

from typing import Any

import pytest

from providers.extension import ConfigProblem, check_config, did_you_mean, extension, is_secret


def told(schema: dict[str, Any], config: dict[str, Any]) -> list[str]:
    _, problems = check_config(schema, config)
    return [f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems]


def props(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "type": (props(a={"type": "integer"}), {"a": "x"}, ["a: expected integer, got string 'x'"]),
    "null": (props(a={"type": "integer"}), {"a": None}, ["a: expected integer, got null"]),
    "boolean is no integer": (props(a={"type": "integer"}), {"a": True}, ["a: expected integer, got boolean True"]),
    "1.0 is no integer": (props(a={"type": "integer"}), {"a": 1.0}, ["a: expected integer, got number 1.0"]),
    "one of types": (
        props(a={"type": ["string", "null"]}),
        {"a": 1},
        ["a: expected string or null, got integer 1"],
    ),
    "enum": (props(a={"enum": ["x", "y"]}), {"a": "z"}, ["a: expected one of 'x', 'y', got string 'z'"]),
    "const": (props(a={"const": 1}), {"a": 2}, ["a: expected 1, got integer 2"]),
    "required": (
        {"required": ["a", "b", "c"]},
        {"b": 1},
        ["a: required key is missing", "c: required key is missing"],
    ),
    "dependent": (
        {"dependentRequired": {"a": ["b"], "x": ["y"]}},
        {"a": 1},
        ["b: required key is missing ('a' needs it)"],
    ),
    "unknown, near": (props(timeout={}), {"timeOut": 1}, ["timeOut: unknown key; did you mean 'timeout'?"]),
    "unknown, far": (props(b={}, a={}), {"xyz": 1}, ["xyz: unknown key; expected one of a, b"]),
    "unknown, none known": (props(), {"x": 1}, ["x: unknown key"]),
    "minimum": (props(a={"minimum": 1}), {"a": 0}, ["a: expected at least 1, got integer 0"]),
    "exclusiveMinimum": (props(a={"exclusiveMinimum": 0}), {"a": 0}, ["a: expected more than 0, got integer 0"]),
    "maximum": (props(a={"maximum": 1}), {"a": 2.5}, ["a: expected at most 1, got number 2.5"]),
    "exclusiveMaximum": (props(a={"exclusiveMaximum": 1}), {"a": 1}, ["a: expected less than 1, got integer 1"]),
    "multipleOf": (props(a={"multipleOf": 5}), {"a": 7}, ["a: expected a multiple of 5, got integer 7"]),
    "empty": (
        props(a={"minLength": 1}, b={"minItems": 1}),
        {"a": "", "b": []},
        ["a: must not be empty"] * 1 + ["b: must not be empty"],
    ),
    "short": (props(a={"minLength": 3}), {"a": "xy"}, ["a: must not be shorter than 3, got string 'xy'"]),
    "long": (props(a={"maxItems": 1}), {"a": [1, 2]}, ["a: must not be longer than 1, got array"]),
    "twice": (props(a={"uniqueItems": True}), {"a": [1, 1]}, ["a: holds the same item twice"]),
    "pattern": (props(a={"pattern": "^x"}), {"a": "y"}, ["a: expected text matching '^x', got string 'y'"]),
    "pattern in words": (
        props(a={"pattern": "^x", "errorMessage": "an x"}),
        {"a": "y"},
        ["a: expected an x, got string 'y'"],
    ),
    "any of types": (
        props(a={"anyOf": [{"type": "string"}, {"type": "array"}]}),
        {"a": 1},
        ["a: expected string or array, got integer 1"],
    ),
    "the alternative that was meant": (
        props(a={"oneOf": [{"type": "string"}, {"type": "object", "properties": {"b": {"type": "integer"}}}]}),
        {"a": {"b": "x"}},
        ["a.b: expected integer, got string 'x'"],
    ),
    "one of some keys": (
        {"anyOf": [{"required": ["key"]}, {"required": ["user", "password"]}]},
        {},
        [": one of these keys is required: 'key', 'user' and 'password'"],
    ),
    "more than one alternative": (
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "description": "a or b"},
        {"a": 1, "b": 1},
        [": matches more than one of the allowed forms: a or b"],
    ),
    "no alternative": (
        props(a={"anyOf": [{"minimum": 5}, {"multipleOf": 2}]}),
        {"a": 1},
        ["a: matches none of the allowed forms"],
    ),
    "anything else": (
        props(a={"not": {"const": 1}, "description": "anything but 1"}),
        {"a": 1},
        ["a: not allowed here (not): anything but 1"],
    ),
    "order of the file": (
        props(z={"type": "integer"}, a={"items": {"type": "integer"}}, m={"type": "integer"}),
        {"z": "x", "q": 1, "a": [1, 2, "x", 3, 4, 5, 6, 7, 8, 9, "x"], "m": "x"},
        [
            "z: expected integer, got string 'x'",
            "q: unknown key; expected one of a, m, z",
            "a.2: expected integer, got string 'x'",
            "a.10: expected integer, got string 'x'",
            "m: expected integer, got string 'x'",
        ],
    ),
    "a reference to nothing": (
        props(a={"$ref": "#/$defs/nothing"}),
        {"a": 1},
        [": cannot be checked: the schema has no '/$defs/nothing' that it refers to"],
    ),
    "a reference into the network": (
        props(a={"$ref": "http://127.0.0.1:9/schema.json"}),
        {"a": 1},
        [": cannot be checked: the schema has no 'http://127.0.0.1:9/schema.json' that it refers to"],
    ),
    "a long value": (
        props(a={"type": "integer"}),
        {"a": "x" * 500},
        [f"a: expected integer, got string '{'x' * 76}..."],
    ),
    "a password in a URL": (
        props(a={"pattern": "^https:"}),
        {"a": "http://user:hunter2@host/x"},
        ["a: expected text matching '^https:', got string 'http://***@host/x'"],
    ),
    "a secret": (
        props(apiKey={"type": "integer"}, password={"enum": ["hunter1"]}, token={"minLength": 9}),
        {"apiKey": "hunter2", "password": "hunter2", "token": "hunter2"},
        [
            "apiKey: expected integer, got string",
            "password: expected one of 'hunter1', got string",
            "token: must not be shorter than 9, got string",
        ],
    ),
}


@pytest.mark.parametrize(("schema", "config", "expected"), ROWS.values(), ids=ROWS.keys())
def test_says_what_is_wrong(schema: dict[str, Any], config: dict[str, Any], expected: list[str]) -> None:
    assert told(schema, config) == expected


def test_fills_in_defaults_at_every_depth_and_leaves_the_input_alone() -> None:
    schema = props(
        a={"default": [1]},
        b={"type": "object", "default": {}, "properties": {"c": {"default": 2}}},
        d={"type": "array", "items": {"properties": {"e": {"default": 3}}}},
        f={"properties": {"g": {"default": 4}}},
    )
    config: dict[str, Any] = {"d": [{}, {"e": 5}]}
    filled, problems = check_config(schema, config)
    assert problems == []
    assert filled == {"d": [{"e": 3}, {"e": 5}], "a": [1], "b": {"c": 2}}
    filled["a"].append(2)
    assert config == {"d": [{}, {"e": 5}]}
    assert check_config(schema, {})[0]["a"] == [1]


def test_values_can_be_hidden() -> None:
    _, problems = check_config(props(a={"type": "integer"}), {"a": "hunter2"}, hidden=lambda path: path == ("a",))
    assert problems == [ConfigProblem(("a",), "expected integer, got string")]


def test_says_whether_the_key_or_the_value_is_wrong() -> None:
    _, problems = check_config(props(a={"type": "integer"}), {"a": "", "b": 1})
    assert [problem.at_key for problem in problems] == [False, True]


@pytest.mark.parametrize("name", ["apiKey", "api_key", "keys", "secretAccessKey", "PASSWORD", "authToken", "cookie"])
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert is_secret((name,))
    assert is_secret(("config", name, 0))


@pytest.mark.parametrize("name", ["timeout", "keyFile", "firstTokenTimeout", "baseUrl", "model"])
def test_other_names_are_no_secrets(name: str) -> None:
    assert not is_secret((name,))


def test_custom_headers_are_secret_whatever_their_names() -> None:
    assert is_secret(("customHeaders", "x-trace"))


def test_did_you_mean() -> None:
    assert did_you_mean("retry_attempts", ["retryAttempts", "retryDelay"]) == "; did you mean 'retryAttempts'?"
    assert did_you_mean("zzz", ["retryAttempts"]) == ""


def test_a_declaration_is_checked() -> None:
    with pytest.raises(ValueError, match="extension name 'No Name'"):
        extension(name="No Name", version="1")
    with pytest.raises(ValueError, match="configuration_schema is not valid"):
        extension(name="a", version="1", configuration_schema={"type": "strnig"})
