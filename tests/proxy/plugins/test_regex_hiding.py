"""Hiding in a text that comes in pieces: any cut gives what the whole gives, and nothing of a match leaves."""

from __future__ import annotations

import re
from typing import Any

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.plugins.builtin.regex_hider.hiding import Hider, HidingRule, UndecidedError, hide
from proxy.plugins.builtin.regex_hider.prefixes import NoPrefixesError, prefix_pattern

PATTERNS = [
    "ab",
    "ab|abcd|abce",
    "(?:ab)+c",
    r"\bab\b",
    "^a+b$",
    "(?m)^ab$",
    "a{2,4}",
    "a{2,}b",
    "a.c",
    "(?s)a.c",
    "a[^b]c",
    "a+?b",
    "(a|b(c|d))e",
    "[a-c]{3}",
    r"\d{3}-\d{2}",
    r"(?i)AB\w?",
    r"a(?:b(?:c)?)?d",
    r"[ab]*c",
    r"(?P<x>a\sb)",
    "é+c",
    "[^ ]c d",
]
TEXT = st.one_of(*(st.text(alphabet=letters, max_size=40) for letters in ("ab", "abc", "ab \n", "abcde1-_ \né")))


def cut(text: str, places: list[int]) -> list[str]:
    borders = sorted({place % (len(text) + 1) for place in places})
    return [text[start:end] for start, end in zip([0, *borders], [*borders, len(text)], strict=True)]


@given(
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3),
    TEXT,
    st.lists(st.integers(0, 100), max_size=40),
)
@example(["ab|abcd|abce"], "abcdabce", list(range(9)))
@example(["a{2,4}"], "aaaa", list(range(5)))
@example([r"\bab\b"], "xab ab", list(range(7)))
def test_any_cut_gives_what_the_whole_gives(patterns: list[str], text: str, places: list[int]) -> None:
    rules = [HidingRule(pattern, lambda match: "[#]") for pattern in patterns]
    whole = hide(rules, text)
    hider = Hider(rules)
    shown = ""
    for piece in cut(text, places):
        shown += hider.feed(piece)
        assert whole.startswith(shown), "something left that should have been hidden"
    assert shown + hider.finish() == whole


@given(st.sampled_from(PATTERNS), TEXT)
def test_the_whole_is_what_replacing_gives(pattern: str, text: str) -> None:
    expected = re2.compile(pattern).sub("[#]", text)
    assert hide([HidingRule(pattern, lambda match: "[#]")], text) == expected


@given(st.sampled_from(PATTERNS), TEXT)
@example("a{2,4}", "aaaa")
def test_the_prefix_pattern_matches_every_beginning_of_every_match(pattern: str, text: str) -> None:
    beginnings = re2.compile(f"\\A(?:{prefix_pattern(pattern)})\\z")
    for start in range(len(text)):
        found = re2.compile(pattern).search(text, start)
        if found is not None:
            match = found.group()
            assert all(beginnings.search(match[:end]) for end in range(len(match) + 1))


@given(TEXT)
def test_a_text_waits_no_longer_than_the_longest_match(text: str) -> None:
    hider = Hider([HidingRule("ab{1,3}c|e[ab]{2}", lambda match: "#")])
    shown = 0
    for count, character in enumerate(text, start=1):
        out = hider.feed(character)
        shown += len(out) + out.count("#") * 10  # a match is longer than what stands for it
        assert count - shown <= 5


def test_text_that_can_begin_no_match_is_not_held_at_all() -> None:
    hider = Hider([HidingRule("sk-[a-z0-9]{8,}", lambda match: "#")])
    assert hider.feed("Hello, world") == "Hello, world"
    assert hider.feed("! as") == "! a"
    assert hider.feed("ked") == "sked"


def test_what_stays_undecided_for_too_long_is_never_shown() -> None:
    hider = Hider([HidingRule("<key>[^<]*</key>", lambda match: "#", max_match=50)])
    shown = hider.feed("see <key>")
    with pytest.raises(UndecidedError):
        for _ in range(100):
            shown += hider.feed("x")
    assert shown == "see "


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "no regular expression of RE2's"),
        (r"(a)\1", "no regular expression of RE2's"),
        ("(?=a)b", "no regular expression of RE2's"),
        ("a*", "matches the empty text"),
        (r"\pL+", "cannot be followed through a stream"),
    ],
)
def test_patterns_that_cannot_be_used_are_refused_in_words(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        HidingRule(pattern, lambda match: "")


def test_a_pattern_that_grows_too_large_is_refused() -> None:
    with pytest.raises(NoPrefixesError, match="too long"):
        prefix_pattern("abc" * 3000)
    with pytest.raises(ValueError, match="no regular expression of RE2's"):
        HidingRule("((a{1,100}){1,100}){1,100}", lambda match: "")


def test_a_pattern_that_would_hang_a_backtracking_engine_does_not() -> None:
    rule = HidingRule("(a+)+b|(a|a)*c", lambda match: "#", max_match=100_000)
    hider = Hider([rule])
    for _ in range(100):
        hider.feed("a" * 100)
    assert hider.finish() == "a" * 10_000


class CountingEngine:
    """An expression that counts how often it is given a text, and how much of it."""

    def __init__(self, pattern: Any, work: dict[str, int]) -> None:
        self._pattern = pattern
        self._work = work

    def __getattr__(self, name: str) -> Any:
        def counted(text: str, *more: Any) -> Any:
            self._work["calls"] += 1
            self._work["characters"] += len(text)
            return getattr(self._pattern, name)(text, *more)

        return counted


@pytest.mark.parametrize("last", [True, False])
def test_the_engine_is_given_a_text_once_however_many_matches_it_has(last: bool) -> None:
    def work(addresses: int) -> dict[str, int]:
        rule = HidingRule(r"[\w.+-]+@[\w-]+\.[\w.]+", lambda match: "#")
        done = {"calls": 0, "characters": 0}
        rule._pattern, rule._open = CountingEngine(rule._pattern, done), CountingEngine(rule._open, done)
        shown, waits, _ = rule.step("ann@example.com, " * addresses, last=last)
        assert shown.count("#") == addresses
        assert waits == ""
        return done

    few, many = work(10), work(1000)
    assert many["calls"] == few["calls"]
    assert many["characters"] == 100 * few["characters"]


def test_what_is_undecided_is_looked_at_again_for_its_own_length_only() -> None:
    rule = HidingRule("ab|b[a-z]*c", lambda match: "#", max_match=64)
    done = {"calls": 0, "characters": 0}
    rule._pattern, rule._open = CountingEngine(rule._pattern, done), CountingEngine(rule._open, done)
    text = "-" * 10_000 + "ab" * 30
    assert rule.step(text)[0] == "-" * 10_000 + "#" * 29
    assert done["characters"] < 2 * len(text) + 30 * 64


@pytest.mark.parametrize("pattern", [r"\b", "(?:sk-x)?", r"^|a", r"\b(?:a|b*)\b"])
def test_a_pattern_that_may_match_nothing_is_refused_wherever_it_would(pattern: str) -> None:
    with pytest.raises(ValueError, match="matches the empty text"):
        HidingRule(pattern, lambda match: "")
