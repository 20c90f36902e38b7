"""`python -m tests.matrix [FILE]` asks every provider by every client, and writes what came of it.

It stands here and not among the commands of `triway`, because it needs the checkout: the npm project, and the page.
Exits with 1 if an answer differs, and with 2 if a client cannot be asked.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import trio

from conformance.subjects.speaker import Speaker
from tests.matrix.clients import CLIENTS
from tests.matrix.page import page
from tests.matrix.rows import rows
from tests.matrix.run import Outcome, run
from tests.support import vercel

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
PYTHON_SDKS = ("openai", "anthropic", "google-genai")


async def _run_all(speakers: Sequence[Speaker]) -> list[Outcome]:
    """One provider at a time, each with a gateway of its own."""
    outcomes = []
    for speaker in speakers:
        outcomes += await run(CLIENTS, [speaker])
        print(speaker.name, len(outcomes), flush=True)
    return outcomes


def main() -> int:
    reasons = {client.why_not() for client in CLIENTS} - {""}
    if reasons:
        print(f"the table needs every client: {'; '.join(sorted(reasons))}", file=sys.stderr)
        return 2
    matrix = rows()
    speakers = [speaker for row in matrix for speaker in row.speakers]
    outcomes = trio.run(_run_all, speakers)
    versions = {name: version(name) for name in PYTHON_SDKS} | vercel.versions()
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(outcomes, matrix, versions, datetime.datetime.now(datetime.UTC).date()))
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    print(f"{len(outcomes)} answers, {len(problems)} differences: {target}")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
