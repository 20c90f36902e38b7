"""Every official Python SDK before every provider API; and the table in the docs has every pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.subjects.gateway import client_apis
from tests.matrix.clients import CLIENTS, Client
from tests.matrix.page import HEAD, first_cells
from tests.matrix.rows import rows, wire_speakers
from tests.matrix.run import run

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


@pytest.mark.parametrize("client", [pytest.param(one, id=one.name) for one in CLIENTS if not one.vercel])
async def test_every_provider_api_says_the_same(client: Client) -> None:
    """Text, reasoning, calls, finish reason and usage, streamed and whole, as the provider's own SDK reads them."""
    outcomes = await run([client], wire_speakers())
    assert {outcome.exact is not None for outcome in outcomes} == {True, False}
    assert [problem for outcome in outcomes for problem in outcome.problems] == []


def test_every_client_api_has_its_sdks() -> None:
    assert {client.api for client in CLIENTS} == set(client_apis())


def test_the_page_has_every_provider_and_every_client() -> None:
    head, titles = first_cells(PAGE.read_text())
    assert head == HEAD, "run `make matrix`"
    assert titles == [row.title for row in rows()], "run `make matrix`"
