"""The tables of docs/providers.md are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.presets import PRESETS
from providers.provider import Provider
from providers.reference import COLUMNS, reference_markdown, with_reference
from providers.registry import provider_registry

DOC = Path(__file__).parents[2] / "docs" / "providers.md"


def test_the_document_is_current() -> None:
    text = DOC.read_text(encoding="utf-8")
    assert text == with_reference(text), "run: python -m providers docs/providers.md"


def test_every_type_is_in_it() -> None:
    lines = reference_markdown().splitlines()
    for name in provider_registry().names():
        assert sum(line.startswith(f"| `{name}` |") for line in lines) == 1


def test_markers_must_be_there() -> None:
    with pytest.raises(ValueError, match="markers"):
        with_reference("# no markers\n")


def test_what_the_code_has_is_what_it_can_do() -> None:
    def has(name: str) -> set[str]:
        return set(provider_registry().get(name).capabilities()) - {"chat", "streaming", "passthrough"}

    assert has("anthropic") == {"tools", "count_tokens"}
    assert has("openai") == {"tools", "embeddings", "completions", "count_tokens"}
    assert has("openai-compatible") == {"tools", "embeddings", "completions"}
    assert has("mistral") == {"tools", "embeddings"}
    assert has("groq") == {"tools"}
    assert has("perplexity") == set()
    assert has("moonshot") == {"tools", "count_tokens"}
    for preset in PRESETS:
        assert ("embeddings" in has(preset.name)) == ("embeddings" in preset.endpoints)
        assert ("completions" in has(preset.name)) == ("completions" in preset.endpoints)


def test_a_provider_of_ones_own_can_do_what_it_overrides() -> None:
    class Own(Provider):
        async def embed(self, request):  # type: ignore[no-untyped-def]
            raise NotImplementedError

    assert Own.capabilities() == {"chat", "streaming", "tools", "embeddings"}
    assert {name for name, _ in COLUMNS} >= {"embeddings", "streaming", "tools"}
