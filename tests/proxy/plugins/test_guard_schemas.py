"""Values held against JSON Schemas: the same verdicts as the library's, in a bounded number of steps."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.plugins.builtin.guard.schemas import (
    CLIENT_BUDGET,
    BudgetSpentError,
    CheckedSchema,
    InapplicableError,
    excess_of,
)


def steps_for(schema: dict[str, Any], value: Any) -> int:
    """The least budget that is enough."""
    low, high = 0, 10 * CLIENT_BUDGET
    while low < high:
        budget = (low + high) // 2
        try:
            CheckedSchema(schema).fault_in(value, budget)
            high = budget
        except BudgetSpentError:
            low = budget + 1
    return low


OBJECT = {
    "type": "object",
    "properties": {f"p{i}": {"type": "string"} for i in range(10)},
    "required": [f"p{i}" for i in range(10)],
    "additionalProperties": False,
}
OBJECTS = [{f"p{i}": "x" for i in range(10)} for _ in range(100)]


def test_steps_grow_with_the_answer_and_a_large_one_has_enough() -> None:
    schema = {"type": "array", "items": OBJECT}
    few, many = steps_for(schema, OBJECTS[:10]), steps_for(schema, OBJECTS)
    assert 9 <= many / few <= 11
    assert many < 10_000
    assert CheckedSchema(schema).fault_in(OBJECTS * 10, CLIENT_BUDGET) is None


BIG = {f"k{i}": list(range(20)) for i in range(5000)}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"anyOf": [{"type": "string"}] * 5000}, BIG),
        ({"allOf": [{"not": {"type": "object"}}] * 3000}, BIG),
        ({"allOf": [{"items": {}}] * 5000}, list(range(10_000))),
        ({"items": {"enum": [[list(range(20)), i] for i in range(300)]}}, [[list(range(20)), -1]] * 2000),
        ({"allOf": [{"uniqueItems": True}] * 3000}, [{"a": [i]} for i in range(1000)]),
        (
            {"patternProperties": {f"^(a+)+{i}$": {} for i in range(3000)}, "additionalProperties": False},
            {f"{'a' * 500}{i}": 1 for i in range(1000)},
        ),
        ({"allOf": [{"pattern": "(a|b)*c"}] * 3000}, "ab" * 100_000),
        ({"$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}] * 3000}, 1),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 2}}, "items": {"$ref": "#/$defs/a"}}, [1]),
    ],
)
def test_what_would_take_long_ends_early(schema: dict[str, Any], value: Any) -> None:
    assert excess_of(schema) is None
    with pytest.raises((BudgetSpentError, InapplicableError)):
        CheckedSchema(schema).fault_in(value, CLIENT_BUDGET)


@pytest.mark.parametrize("reference", ["http://127.0.0.1:1/x", "file:///etc/hostname", "https://json-schema.org/x"])
def test_references_are_not_fetched(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda request, *more, **options: asked.append(request))
    with pytest.raises(InapplicableError):
        CheckedSchema({"$ref": reference}).fault_in(1, CLIENT_BUDGET)
    assert asked == []


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"$defs": {"n": {"$anchor": "here", "type": "integer"}}, "items": {"$ref": "#here"}}, [1], ["x"]),
        ({"$id": "urn:a", "$defs": {"n": {"$id": "urn:b", "type": "null"}}, "$ref": "urn:b"}, None, 1),
        ({"properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}}, {"next": {"n": 1}}, {"next": {"n": "x"}}),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "integer"}, 1, "x"),
        ({"uniqueItems": True}, [1, True, "1", [1], {"a": 1}], [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}]),
        ({"uniqueItems": True}, [1e308, 1e307], [1e308, 1e308]),
    ],
)
def test_what_schemas_can_say(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert CheckedSchema(schema).fault_in(good, CLIENT_BUDGET) is None
    assert CheckedSchema(schema).fault_in(bad, CLIENT_BUDGET) is not None


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, 0, 1, 1.0, 2.5, "", "a", "abc"]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [
            True,
            {},
            {"type": "object"},
            {"type": ["string", "null"]},
            {"enum": [1, "a", None]},
            {"const": 1},
            {"minimum": 1},
            {"maxLength": 1},
            {"pattern": "^a"},
            {"required": ["a"]},
            {"uniqueItems": True},
            {"minItems": 1},
            {"maxProperties": 1},
            {"additionalProperties": False, "properties": {"a": {}}},
            {"$ref": "#/$defs/x"},
        ]
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"items": inner, "prefixItems": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"contains": inner}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2)}),
        st.fixed_dictionaries({"patternProperties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2)}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        st.fixed_dictionaries({"dependentSchemas": st.dictionaries(st.sampled_from("ab"), inner, max_size=1)}),
    ),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_the_verdict_is_the_library_s(schema: Any, value: Any) -> None:
    whole = {"allOf": [schema], "$defs": {"x": {"type": ["array", "string"]}}}
    expected = Draft202012Validator(whole).is_valid(value)
    assert (CheckedSchema(whole).fault_in(value, CLIENT_BUDGET) is None) == expected


def test_a_schema_inside_that_names_a_dialect_is_read_by_the_same_rules() -> None:
    """An expression that RE2 does not take counts as matched; the library's own rules would have Python try it."""
    inner = {"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": "(?=z)"}
    assert CheckedSchema({"properties": {"x": inner}}).fault_in({"x": "a"}, CLIENT_BUDGET) is None
    assert not Draft202012Validator({"properties": {"x": inner}}).is_valid({"x": "a"})
