"""What YAML's values become, and where they are found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.document import Document, read_document


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read(text: str, environ: dict[str, str] | None = None) -> Document:
        file = tmp_path / "gateway.yaml"
        file.write_text(text, encoding="utf-8")
        return read_document(file, environ or {})

    return read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("-12", -12),
        ("0o17", 15),
        ("0x1f", 31),
        ("010", 10),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2024-06-01", "2024-06-01"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ('!!int "12"', 12),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
        ("=", "="),
    ],
)
def test_types_are_those_of_yaml_1_2(read: Any, text: str, expected: object) -> None:
    document = read(f"key: {text}\n")
    assert document.problems == ()
    assert document.root == {"key": expected}
    assert type(document.root["key"]) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${PORT}", 8080),
        ('"${PORT}"', "8080"),
        ("'${PORT}'", "8080"),
        ("${NOT:-9090}", 9090),
        ("${NOT:-true}", True),
        ("${NOT:-}", None),
        ("${WORD}", "true story: #1"),
        ("1${PORT}", "18080"),
        ("${PORT}${PORT}", "80808080"),
        ("${MERGE}", "<<"),
        ("$$5", "$5"),
        ("|\n  key ${PORT}\n", "key 8080\n"),
        ("!!int ${PORT}", 8080),
        ("${LIST}", "[1, 2]"),
        ("${TAGGED}", "!!int 5"),
    ],
)
def test_a_plain_reference_takes_the_type_of_its_text(read: Any, text: str, expected: object) -> None:
    environ = {"PORT": "8080", "WORD": "true story: #1", "MERGE": "<<", "LIST": "[1, 2]", "TAGGED": "!!int 5"}
    document = read(f"key: {text}\n", environ)
    assert document.problems == ()
    assert document.root == {"key": expected}


def test_keys_are_left_alone(read: Any) -> None:
    assert read("${A}: ${A}\n", {"A": "x"}).root == {"${A}": "x"}


def test_a_byte_order_mark_is_skipped(read: Any) -> None:
    assert read("\ufeffa: 1\n").root == {"a": 1}


MERGES = """\
base: &base
  a: 1
  b: 2
other: &other
  b: 3
  c: 4
one:
  b: 5
  <<: *base
two:
  <<: [*base, *other]
  d: 6
deep: &deep
  <<: *other
  e: {f: 7}
deeper:
  <<: *deep
  c: 8
"""


def test_own_keys_win_over_merged_ones_and_the_first_of_those_over_later_ones(read: Any) -> None:
    document = read(MERGES)
    assert document.problems == ()
    assert document.root["one"] == {"b": 5, "a": 1}
    assert document.root["two"] == {"d": 6, "a": 1, "b": 2, "c": 4}
    assert document.root["deeper"] == {"c": 8, "e": {"f": 7}, "b": 3}


def test_a_merged_value_is_found_where_it_is_written(read: Any) -> None:
    document = read(MERGES)
    assert document.find(("one", "b"))[0] == 8
    assert document.find(("one", "a"))[0] == 2
    assert document.find(("two", "c"))[0] == 6
    assert document.find(("deeper", "c"))[0] == 18
    assert document.find(("deeper", "e", "f"))[0] == 15


def test_an_aliased_value_is_found_where_it_is_written_and_its_key_where_it_is_used(read: Any) -> None:
    document = read("a:\n  &x 12\nb:\n  c: *x\n")
    assert document.find(("b", "c")) == (2, 3)
    assert document.find(("b", "c"), at_key=True) == (4, 3)


def test_flow_style_is_found_to_the_column(read: Any) -> None:
    document = read("a: {b: [1, {c: 2},\n  3]}\n")
    assert document.find(("a", "b", 1, "c")) == (1, 16)
    assert document.find(("a", "b", 2)) == (2, 3)


def test_what_is_not_there_is_found_at_the_key_around_it(read: Any) -> None:
    document = read("a:\n  b:\n    c: 1\n")
    assert document.find(("a", "b", "missing")) == (2, 3)
    assert document.find(("missing",)) == (1, 1)


def test_merges_of_merges_are_not_followed_exponentially(read: Any) -> None:
    lines = ["m0: &m0 {a: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 20)}]}}" for n in range(1, 30)]
    assert read("\n".join(lines)).root["m29"] == {"a": 1}


# A '$' in a key is no reference, so it is not doubled below.
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="$"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(value=JSON, flow=st.booleans())
def test_any_data_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, value: Any, flow: bool
) -> None:
    written = yaml.safe_dump({"key": value}, default_style='"', default_flow_style=flow)
    file = tmp_path_factory.mktemp("yaml") / "a.yaml"
    file.write_text(written.replace("$", "$$"), encoding="utf-8")
    document = read_document(file, {})
    assert document.problems == ()
    assert document.root == {"key": value}
