"""What the requests of every client API are drawn from. The strategies of each API stand beside this.

They hold what the API's reference allows and real clients send. Left out is what says the same in more words: empty
texts and lists, and defaults that are spelled out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from providers.model import GOOGLE_SIGNATURE, ReasoningPart
from providers.wire.anthropic_messages.structs import SIGNATURE_FORMAT
from providers.wire.openai_responses.api import SUMMARY_FORMAT

Wire = dict[str, Any]
Wires = list[Wire]
Some = st.SearchStrategy

# --- values ----------------------------------------------------------------------------------------------------------

_ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=5)
_ODD_TEXTS = st.sampled_from(["Hi", "é😀\u2028", '"q"\n\\', '{"a": 1}', '{"error": "no"}', "x" * 50])
TEXTS = (_ODD_TEXTS | _ANY_TEXT).map(str)  # mapped, they are one choice beside others, not two
BLANK = st.just(" ")
NAMES = st.sampled_from(["look_up", "send", "f"])
DATA = st.sampled_from(["AA==", "aGk="])
IMAGE_TYPES = st.sampled_from(["image/png", "image/webp"])
FILE_TYPES = st.sampled_from(["application/pdf", "text/plain", "text/csv"])
IMAGE_URLS = st.sampled_from(["https://h/a.png", "https://h/show", "https://h/page.html?x=1"])
FILE_URLS = st.sampled_from(["https://h/a.pdf", "https://h/show"])
STOPS = st.lists(TEXTS, min_size=1, max_size=2)
CACHE = st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])
OBJECTS = st.dictionaries(st.sampled_from("ab"), st.integers(-9, 9) | TEXTS | st.none() | st.just([1.5]), max_size=2)
SCHEMAS: Some[Wire] = st.sampled_from(
    [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"type": "object"}]
)
TOKENS = st.sampled_from([32_000, 64_000])
"""Room enough for any thinking, so that no wire must raise it."""
BUDGETS = st.sampled_from([1024, 5000, 20_000, 30_000])
FRACTIONS = st.sampled_from([0, 0.5, 1])
COUNTS = st.integers(0, 5)
YES_OR_NO = st.booleans()

BLOCK = st.builds(
    ReasoningPart,
    text=TEXTS | st.just(""),
    signature=st.just("c2ln"),
    format=st.sampled_from([SIGNATURE_FORMAT, SUMMARY_FORMAT, GOOGLE_SIGNATURE]),
) | st.builds(ReasoningPart, redacted=st.just("eHh4"), format=st.sampled_from([SIGNATURE_FORMAT, SUMMARY_FORMAT]))
"""Signed or encrypted reasoning that the gateway told the client before, whoever made it."""

BLOCKS = st.lists(BLOCK, max_size=2).map(lambda blocks: sorted(blocks, key=is_loose))


def is_loose(block: ReasoningPart) -> bool:
    """Whether it is Google's signature of what comes next: of a text or a call, not of more reasoning."""
    return block.format == GOOGLE_SIGNATURE and not block.text


# --- objects and lists -----------------------------------------------------------------------------------------------


def wire(always: Wire, **optional: Some[Any]) -> Some[Wire]:
    """An object: what is always there, given or drawn, and any of the rest."""
    drawn = {name: value if isinstance(value, Some) else st.just(value) for name, value in always.items()}
    return st.fixed_dictionaries(drawn, optional=optional)


def merged(*objects: Some[Wire]) -> Some[Wire]:
    """One object with the fields of all."""
    return st.tuples(*objects).map(lambda drawn: {name: value for one in drawn for name, value in one.items()})


def some(items: Some[Any]) -> Some[list[Any]]:
    return st.lists(items, min_size=1, max_size=2)


def maybe(item: Some[Any]) -> Some[list[Any]]:
    return st.lists(item, max_size=1)


def chained(*lists: Some[list[Any]]) -> Some[list[Any]]:
    """One list with the items of all."""
    return st.tuples(*lists).map(lambda drawn: [item for one in drawn for item in one])


def listed(*items: Some[Any]) -> Some[list[Any]]:
    return st.tuples(*items).map(list)


def data_urls(types: Some[str]) -> Some[str]:
    return st.builds("data:{};base64,{}".format, types, DATA)


# --- conversations and tools -----------------------------------------------------------------------------------------


class Call(NamedTuple):
    id: str
    name: str
    is_custom: bool


Turn = Callable[[list[Call]], Some[Wires]]


@st.composite
def conversations(draw: st.DrawFn, asks: Some[Wires], answers: Turn, results: Turn, *, custom: bool = False) -> Wires:
    """The client asks, the model answers and may call tools, the client gives their results or asks again, and so on.

    The client has the first word and the last. `custom`: whether calls may be of custom tools.
    """
    said = list(draw(asks))
    called = st.lists(st.tuples(NAMES, st.booleans()), max_size=3)
    number = 0
    for names in draw(st.lists(called, min_size=1, max_size=3)):
        calls = [Call(f"c_{number + place}", name, free and custom) for place, (name, free) in enumerate(names)]
        number += len(calls)
        said += draw(answers(calls))
        said += draw(results(calls)) if calls else draw(asks)
    return said


def tools_and_choice(tools: Some[Wire], choice: Callable[[Wire], Some[Wire]], name: str = "tools") -> Some[Wire]:
    """No tools, or some of different names and the parameters that go with them, which may name one of them."""

    def with_choice(drawn: Wires) -> Some[Wire]:
        return st.sampled_from(drawn).flatmap(choice).map(lambda fields: {name: drawn, **fields})

    one = st.lists(tools, min_size=1, max_size=1)
    several = st.lists(tools, min_size=2, max_size=3, unique_by=name_of_tool)
    return st.just({}) | one.flatmap(with_choice) | several.flatmap(with_choice)


def name_of_tool(tool: Wire) -> str:
    """The name of a tool, in any spelling; of one that the provider runs, what it is."""
    inner: Wire = tool.get("function") or tool.get("custom") or tool
    return str(inner.get("name") or inner.get("type") or next(iter(inner)))
