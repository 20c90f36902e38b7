"""Hiding in JSON that comes in pieces: any cut gives what the whole gives, it stays JSON, and no secret leaves."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.plugins.builtin.regex_hider.hiding import HidingRule, UndecidedError, hide
from proxy.plugins.builtin.regex_hider.json_hiding import MAX_WAITING, JSONHider
from proxy.plugins.builtin.regex_hider.whole_texts import LONG, hide_json

MAIL = HidingRule(r"[a-z]+@[a-z]+\.com", lambda match: "[MAIL]")
CARD = HidingRule(r"\d{16}", lambda match: "[CARD]")
KEY = HidingRule(r"sk-[a-z0-9]{3,8}", lambda match: 'a "k\\\n😀')
ACCENT = HidingRule("[é😀]b?", lambda match: "[E]")
RULES = [MAIL, CARD, KEY, ACCENT]

SECRETS = ["ann@b.com", "sk-abc123", "4111111111111111", "éb", "😀"]
TEXTS = st.lists(
    st.sampled_from([*SECRETS, *'ab"\\/\n\té😀@1', "sk-", "\u2028", "\x7f", "com", "\\n", "\\u0041"]), max_size=6
).map("".join)
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.just(4111111111111111))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)
ESCAPES = ["\\u", "\\ud83d", "\\ude00", "\\u00e9", "\\n", "d83d"]
WORDS = ["true", "nul", "-1.5e3", "4111", "4111111111111111", "ann@b.com", '{"a":', '"sk\\u002dabc1"']
ODD = st.lists(st.sampled_from([*'{}[]:," \n\\u1aé', *ESCAPES, *WORDS]), max_size=20).map("".join)
CUTS = st.lists(st.integers(0, 400), max_size=30)


def cut(text: str, places: list[int]) -> list[str]:
    borders = sorted({place % (len(text) + 1) for place in places})
    return [text[start:end] for start, end in zip([0, *borders], [*borders, len(text)], strict=True)]


def in_pieces(text: str, places: list[int], rules: list[HidingRule] = RULES) -> str:
    hider = JSONHider(rules)
    whole = hide_json(rules, text)
    assert whole == JSONHider(rules).run(text, last=True), "something was thought to hold nothing"
    shown = ""
    for piece in cut(text, places):
        shown += hider.feed(piece)
        assert whole.startswith(shown), "something left that should have been hidden"
    shown += hider.finish()
    assert not hider.waits
    return shown


def escaped(value: Any, how: int) -> str:
    """A JSON text of a value, in one of the ways to write it."""
    text = json.dumps(value, ensure_ascii=bool(how & 1), indent=2 if how & 2 else None)
    if how & 4:
        text = text.replace("/", "\\/")
    if how & 8:  # letters as escapes, where they are not part of one
        text = re.sub(
            r'"(?:[^"\\]|\\.)*"',
            lambda found: re.sub(
                r"\\(?:u....|.)|(a)",
                lambda one: f"\\u{ord('a'):04x}" if one.group(1) else one.group(),
                found.group(),
            ),
            text,
        )
    return text


def leaves_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in [name, *leaves_of(inner)]]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves_of(inner)]
    return [value if isinstance(value, str) else json.dumps(value)]


def expected(pairs: Any) -> Any:
    """What hiding makes of a value, member by member."""
    if isinstance(pairs, tuple):
        return tuple((hide(RULES, name), expected(inner)) for name, inner in pairs)
    if isinstance(pairs, list):
        return [expected(inner) for inner in pairs]
    if isinstance(pairs, str):
        return hide(RULES, pairs)
    if isinstance(pairs, (int, float)) and not isinstance(pairs, bool):
        hidden = hide(RULES, repr(pairs))
        return pairs if hidden == repr(pairs) else hidden
    return pairs


@given(VALUES, st.integers(0, 15), CUTS)
@example({"body": "Hi,\nann@b.com"}, 0, list(range(60)))
@example({"a": "\u00e9b", "\U0001f600": [4111111111111111, -1.5]}, 1, list(range(80)))
def test_json_stays_json_and_is_hidden_as_it_is_read(value: Any, how: int, places: list[int]) -> None:
    text = escaped(value, how)
    shown = in_pieces(text, places)
    assert json.loads(shown, object_pairs_hook=tuple) == expected(json.loads(text, object_pairs_hook=tuple))
    for leaf in leaves_of(json.loads(shown)):
        assert not any(secret in leaf for secret in SECRETS if "😀" not in secret and "é" not in secret)


@given(ODD, CUTS)
@example('{"a":"\\ud83d\\ude00"}', list(range(24)))
@example('"\\ud83d\\ud83d\\ude00', list(range(20)))
@example('{"a": 4111 1111', list(range(16)))
@example("trueann@b.com", list(range(14)))
def test_any_cut_gives_what_the_whole_gives(text: str, places: list[int]) -> None:
    assert in_pieces(text, places) == hide_json(RULES, text)
    try:
        json.loads(text, strict=False)
    except ValueError:
        return
    json.loads(in_pieces(text, places), strict=False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r'{"body":"Hi,\nann@b.com"}', r'{"body":"Hi,\n[MAIL]"}'),
        (r'{"to":"\u0061nn@b.com \u00fc\/"}', r'{"to":"[MAIL] \u00fc\/"}'),
        ('{"card":4111111111111111 , "n": 1.50}', '{"card":"[CARD]" , "n": 1.50}'),
        ("4111111111111111", '"[CARD]"'),
        (r'{"k":"sk\u002dabcdef"}', '{"k":"a \\"k\\\\\\n😀"}'),
        (r'{"ann@b.com":[true,null,"x"]}', '{"[MAIL]":[true,null,"x"]}'),
    ],
)
def test_as_it_is_read(text: str, shown: str) -> None:
    rules = [MAIL, CARD, KEY]
    assert hide_json(rules, text) == shown
    for size in range(1, len(text)):
        assert in_pieces(text, list(range(0, len(text), size)), rules) == shown


@pytest.mark.parametrize(
    "text",
    [
        "write to ann@b.com, card 4111111111111111",
        "card: 4111111111111111",
        "nullann@b.com",
        "4111111111111111-x",
        "01 4111111111111111",
        '{"a": 1, card 4111111111111111}',
        "{'to': 'ann@b.com'}",
    ],
)
def test_what_is_no_json_is_hidden_as_plain_text(text: str) -> None:
    assert hide_json(RULES, text) == hide(RULES, text)
    assert in_pieces(text, list(range(len(text)))) == hide(RULES, text)


def test_a_number_and_something_after_it_is_no_number() -> None:
    card = HidingRule(r"(?:\d{4} ?){4}", lambda match: "[CARD]")
    text = '{"card": 4111 1111 1111 1111}'
    assert hide_json([card], text) == '{"card": [CARD]}'
    assert in_pieces(text, list(range(len(text))), [card]) == '{"card": [CARD]}'


def test_only_what_is_undecided_waits() -> None:
    hider = JSONHider([KEY])
    assert hider.feed('{"a":"x s') == '{"a":"x '
    assert hider.feed("o") == "so"
    assert hider.feed("\\u00") == ""
    assert hider.feed("e9") == "\\u00e9"
    assert hider.feed('", "n": 12') == '", "n": '
    assert hider.waits
    assert hider.feed("3}") == "123}"
    assert not hider.waits


def test_a_number_without_an_end_is_not_waited_for_without_an_end() -> None:
    hider = JSONHider([KEY])
    with pytest.raises(UndecidedError):
        for _ in range(MAX_WAITING + 2):
            hider.feed("1")
    assert hide_json([CARD], "1" * 10_000).count("[CARD]") == 625


def test_a_text_that_holds_nothing_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JSONHider, "run", None)
    text = json.dumps({"a": ["x", 1, "\n\\"] * 1000, "\u00fc": "ann at b.com"})
    assert hide_json(RULES, text) is text


@pytest.mark.parametrize("item", ["a", 1, "x\n", {"b": "é"}])
@pytest.mark.parametrize("secret", ["ann@b.com", 4111111111111111, "éb"])
def test_in_a_long_text_only_what_holds_something_is_taken_apart(
    item: Any, secret: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = [item] * 6000
    for place in (0, 1, 3000, 5998, 5999):
        value[place] = secret
    text = json.dumps(value)
    expected = JSONHider(RULES).run(text, last=True)
    taken: list[str] = []
    run = JSONHider.run
    monkeypatch.setattr(JSONHider, "run", lambda self, text, *, last: taken.append(text) or run(self, text, last=last))
    assert hide_json(RULES, text) == expected != text
    if "é" not in json.dumps(item, ensure_ascii=False):
        assert taken == [json.dumps(secret)] * 5


def test_a_long_text_that_is_no_json_is_plain_text_from_its_beginning() -> None:
    text = '["ann@b.com",' * (LONG // 10)
    assert hide_json(RULES, text) == hide(RULES, text)
    assert hide_json(RULES, "[" * 100_000 + "ann@b.com") == "[" * 100_000 + "[MAIL]"


@pytest.mark.parametrize("pattern", [r"^a$", r"\bab\b", r"(?m)^ab$", r"a\B"])
@pytest.mark.parametrize("text", ['["a"]', r'["\u0061b", "xab"]', '["x", 1]', r'["y\nab"]'])
def test_positions_are_those_of_each_string(pattern: str, text: str) -> None:
    rule = HidingRule(pattern, lambda match: "#")
    shown = json.loads(in_pieces(text, list(range(len(text))), [rule]))
    assert shown == [hide([rule], one) if isinstance(one, str) else one for one in json.loads(text)]


def test_nesting_of_any_depth_is_read() -> None:
    text = "[" * 5000 + '"ann@b.com"' + "]" * 5000
    assert hide_json(RULES, text) == "[" * 5000 + '"[MAIL]"' + "]" * 5000
