"""Google's `Schema`, a dialect of OpenAPI 3.0, as JSON Schema for everyone else.

Source: https://ai.google.dev/api/caching#Schema. The other way is not needed: the API takes JSON Schema beside it.
"""

from __future__ import annotations

from providers.model import JSONObject
from providers.wire.gemini_generate.spelling import camel

_NUMBERS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
"""Whole numbers, which protobuf's JSON writes as strings."""

_ONLY_GOOGLES = frozenset({"nullable", "propertyOrdering"})
_RENAMED = {"ref": "$ref", "defs": "$defs"}
_OF_NAMES = frozenset({"properties", "$defs"})
_SCHEMAS = frozenset({"items", "anyOf", "additionalProperties", "prefixItems", "oneOf", "allOf", "not"})


def json_schema(schema: JSONObject) -> JSONObject:
    """The schema in JSON Schema's words. What is JSON Schema already stays as it is."""
    found: JSONObject = {}
    fields = {camel(name): value for name, value in schema.items()}
    for given, value in fields.items():
        name = _RENAMED.get(given, given)
        if name in _ONLY_GOOGLES:
            continue
        if name == "type" and isinstance(value, str):
            if value != "TYPE_UNSPECIFIED":
                found["type"] = value.lower()
        elif name in _NUMBERS and isinstance(value, str) and value.isdecimal():
            found[name] = int(value)
        elif name == "example":
            found["examples"] = [value]
        elif name in _OF_NAMES and isinstance(value, dict):
            found[name] = {key: _inner(inner) for key, inner in value.items()}
        else:
            found[name] = _inner(value) if name in _SCHEMAS else value
    if fields.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


def _inner(value: object) -> object:
    """A schema inside a schema, or a list of them."""
    if isinstance(value, dict):
        return json_schema(value)
    if isinstance(value, list):
        return [json_schema(item) if isinstance(item, dict) else item for item in value]
    return value
