from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.environment import substitute

ENVIRON = {"A": "alpha", "EMPTY": "", "DOLLAR": "$$ ${A}", "A_1": "one"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "alpha"),
        ("x${A}y${A_1}z", "xalphayonez"),
        ("${EMPTY}", ""),
        ("${NOT:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${A:-default}", "alpha"),
        ("${NOT:-}", ""),
        ("${NOT:-a:-b c}", "a:-b c"),
        ("${NOT:-$$5}", "$5"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$A and $ and 5$", "$A and $ and 5$"),
        ("a}b{c", "a}b{c"),
    ],
)
def test_replaces(text: str, expected: str) -> None:
    done = substitute(text, ENVIRON)
    assert (done.text, done.missing, done.broken) == (expected, (), False)


def test_a_value_is_not_looked_through_again() -> None:
    assert substitute("${DOLLAR}", ENVIRON).text == "$$ ${A}"


def test_names_what_is_missing_once() -> None:
    assert substitute("${X}${Y}${X}${A}", ENVIRON).missing == ("X", "Y")


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A-b}", "${A:-${B}}", "${A B}", "a${A}${"])
def test_refuses_half_a_reference(text: str) -> None:
    assert substitute(text, ENVIRON).broken


@pytest.mark.parametrize(
    ("text", "whole"), [("${A}", True), ("${N:-1}", True), ("${A}${A}", False), (" ${A}", False), ("$$", False)]
)
def test_tells_whether_it_is_one_reference(text: str, whole: bool) -> None:
    assert substitute(text, ENVIRON).whole is whole


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_doubling_every_dollar_gives_the_text_back(text: str) -> None:
    done = substitute(text.replace("$", "$$"), {})
    assert (done.text, done.broken, done.missing, done.variables) == (text, False, (), ())
