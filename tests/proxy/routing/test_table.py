"""Which entry serves which name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.extension import extension
from providers.model import LLMRequest, LLMResponse
from providers.provider import ChunkEmitter, Provider
from proxy.config import ModelEntry
from proxy.routing import ModelTable


@extension(name="silent", version="1")
class Silent(Provider):
    async def execute(self, request: LLMRequest) -> LLMResponse:
        return LLMResponse()

    async def execute_streaming(self, request: LLMRequest, emitter: ChunkEmitter) -> None:
        return None


def entries(names: Sequence[str], default: str | None = None) -> list[ModelEntry]:
    return [
        ModelEntry(name=name, type="silent", provider_class=Silent, config={}, is_default=name == default)
        for name in names
    ]


def resolved(table: ModelTable, name: str) -> tuple[str, str | None] | None:
    found = table.resolve(name)
    return None if found is None else (found[0].name, found[1])


CLAUDE = ["*", "claude-*", "claude-opus-*", "claude-opus-4", "*-mini", "gpt-*-mini"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-opus-4", ("claude-opus-4", None)),
        ("claude-opus-4-1", ("claude-opus-*", "4-1")),
        ("claude-opus-", ("claude-*", "opus-")),
        ("claude-", ("*", "claude-")),
        ("claude-*", ("claude-*", "*")),
        ("gpt-4.1-mini", ("gpt-*-mini", "4.1")),
        ("gpt-mini", ("*-mini", "gpt")),
        ("gpt--mini", ("*-mini", "gpt-")),
        ("x", ("*", "x")),
        ("", None),
    ],
)
def test_exact_names_win_then_the_longest_pattern(name: str, expected: tuple[str, str | None] | None) -> None:
    assert resolved(ModelTable(entries(CLAUDE)), name) == expected


def test_of_patterns_as_long_the_first_in_the_file_wins() -> None:
    assert resolved(ModelTable(entries(["ab*", "a*b"])), "abxb") == ("ab*", "xb")
    assert resolved(ModelTable(entries(["a*b", "ab*"])), "abxb") == ("a*b", "bx")


def test_the_default_takes_what_nothing_else_matches() -> None:
    table = ModelTable(entries(["a", "b", "c-*"], default="b"))
    assert resolved(table, "zzz") == ("b", None)
    assert resolved(table, "") == ("b", None)
    assert resolved(table, "a") == ("a", None)
    assert resolved(table, "c-1") == ("c-*", "1")


def test_a_pattern_may_be_the_default() -> None:
    assert resolved(ModelTable(entries(["c-*"], default="c-*")), "zzz") == ("c-*", None)


def test_without_a_default_an_unknown_name_is_nothing() -> None:
    assert ModelTable(entries(["a", "b*"])).resolve("c") is None
    assert ModelTable([]).resolve("c") is None


def naive(names: Sequence[str], default: str | None, name: str) -> tuple[str, str | None] | None:
    """The rules, read aloud: try every split of the name around what a star may stand for."""
    if "*" not in name and name in names:
        return name, None
    best: tuple[int, int] | None = None
    answer: tuple[str, str | None] | None = None
    for place, pattern in enumerate(names):
        for start in range(len(name)):
            for end in range(start + 1, len(name) + 1):
                if pattern == f"{name[:start]}*{name[end:]}":
                    rank = (-(len(pattern) - 1), place)
                    if best is None or rank < best:
                        best, answer = rank, (pattern, name[start:end])
    return answer if answer is not None else None if default is None else (default, None)


LETTERS = st.text("ab-", max_size=4)
NAMES = st.lists(
    st.one_of(st.text("ab-", min_size=1, max_size=5), st.tuples(LETTERS, LETTERS).map("*".join)),
    unique=True,
    max_size=8,
)


@settings(deadline=None, max_examples=500)
@given(data=st.data(), names=NAMES)
def test_agrees_with_the_naive_reading_of_the_rules(data: st.DataObject, names: list[str]) -> None:
    default = data.draw(st.sampled_from([None, *names]))
    table = ModelTable(entries(names, default))
    for name in [*names, *data.draw(st.lists(st.text("ab-*", max_size=8), max_size=5))]:
        assert resolved(table, name) == naive(names, default, name)
