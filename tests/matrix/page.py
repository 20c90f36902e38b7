"""`docs/compatibility.md`, from the outcomes. Does no I/O.

A cell says the worst of what was seen in it: a table that hides one difference in a hundred is of no use.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence

from providers.markdown import table
from tests.matrix.clients import CLIENTS, Client
from tests.matrix.rows import Row
from tests.matrix.run import CONTENTS, Outcome

CORNER = "provider"
HEAD = [CORNER, *(client.name for client in CLIENTS)]
EXACT, SAME, DIFFERS, UNTRIED = "exact", "same", "**differs**", "not run"
NO_REASONING = "¹"

_INTRODUCTION = """\
# Which client works with which provider

Made by `make matrix`, from what was seen; do not edit. Rows are the provider types, columns the official SDKs that were
asked (Python's first, then the packages of the Vercel AI SDK, run by node). In each cell a bundled recording of the
provider with {contents} was asked for through the gateway, streamed and whole.

- **exact**: client and provider speak the same API. What the SDK holds in the end, and each part of a stream, is field
  for field what it is without the gateway, but for the model's name. Text, reasoning, tool calls, finish reason and
  usage are also what the API's own SDK reads.
- **same**: two different APIs. Text, reasoning, tool calls (names and arguments), finish reason, and input and output
  tokens are what the provider's own SDK reads straight from the provider.
- **differs**: it is not so, and the list below the table says where.
"""

_NOTES = f"""\
{NO_REASONING} But for reasoning: `@ai-sdk/openai` has no place for the reasoning that Chat Completions answers carry
outside OpenAI's own format (`reasoning_content`), whoever sends it. `@ai-sdk/openai-compatible` reads it, from the same
bytes.

By design, and no difference here:

- Signatures of reasoning, and redacted reasoning, are compared where the client's API has a place for another
  provider's; they are sealed into the client API's own field elsewhere (Responses' `encrypted_content`, Anthropic's
  `signature`, Gemini's `thoughtSignature`) and come back from there.
- Responses and Gemini have one word for an answer that calls tools and for one that is over; Chat and Anthropic clients
  read `tool_calls` and `tool_use` when there are calls.
- Gemini has no place for a tool call whose arguments were cut off.
- Usage that a provider did not tell comes as zeros where the client's API demands numbers.
- What a provider runs itself (web search, code execution) reaches clients of other APIs as its text and citations,
  never as a call to run.

The presets differ from each other in what is sent; what they answer is read by the same code. Each of them was asked,
in each API that it speaks; "exact / same": exact for those that speak the client's API, same for the others.
"""


def page(outcomes: Sequence[Outcome], matrix: Sequence[Row], versions: Mapping[str, str], day: datetime.date) -> str:
    """The whole document."""
    cells: dict[tuple[str, str], list[Outcome]] = {}
    titles = {speaker.name: row.title for row in matrix for speaker in row.speakers}
    for outcome in outcomes:
        cells.setdefault((titles[outcome.speaker.name], outcome.client.name), []).append(outcome)
    body = (
        [row.title, *(_cell(client, cells.get((row.title, client.name), [])) for client in CLIENTS)] for row in matrix
    )
    problems = [f"- {problem}" for outcome in outcomes for problem in outcome.problems]
    asked = f"{len(outcomes)} answers on {day.isoformat()}, with " + ", ".join(
        f"{name} {version}" for name, version in versions.items()
    )
    introduction = _INTRODUCTION.format(contents=_listed(CONTENTS))
    found = "\n".join(["Differences:", "", *problems]) if problems else "No differences."
    return "\n".join([introduction, table(HEAD, body), "", f"{asked}. {found}", "", _NOTES + _without_tools(matrix)])


def _without_tools(matrix: Sequence[Row]) -> str:
    """Who was not asked for tool calls."""
    speakers = (speaker for row in matrix for speaker in row.speakers)
    names = [f"`{speaker.name}`" for speaker in speakers if "tools" not in speaker.cls.capabilities()]
    if not names:
        return ""
    return f"Not asked for tool calls, because the vendor takes no tools: {', '.join(names)}.\n"


def _cell(client: Client, outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return UNTRIED
    if any(outcome.problems for outcome in outcomes):
        return DIFFERS
    words = dict.fromkeys(SAME if outcome.exact is None else EXACT for outcome in outcomes)
    return " / ".join(words) + ("" if client.reads_reasoning else NO_REASONING)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1]


def first_cells(text: str) -> tuple[list[str], list[str]]:
    """The table's head, and the first cell of each of its rows."""
    lines = [_cells_of(line) for line in _table_lines(text)]
    return lines[0], [cells[0] for cells in lines[2:]]


def _table_lines(text: str) -> Iterable[str]:
    return (line for line in text.splitlines() if line.startswith("| "))


def _cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
