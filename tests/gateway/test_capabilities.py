"""GET /v1/models says what each model can be asked for."""

from __future__ import annotations

from typing import Any

from tests.support.gateway import serving

NOWHERE = "http://127.0.0.1:9"


def entry(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "config": {"baseUrl": NOWHERE, "apiKey": "k"}, **more}


async def test_it_is_what_the_code_says_unless_the_file_knows_better() -> None:
    models = [
        entry("plain", "openai"),
        entry("other", "anthropic"),
        entry("open", "openai", passthrough={"paths": ["/files"]}),
        entry("told", "openai", metadata={"capabilities": {"tools": False, "vision": True}}),
        entry("some-*", "groq"),
    ]
    async with serving(models) as gateway, gateway.openai() as client:
        listed = {card.id: card.model_dump()["capabilities"] for card in (await client.models.list()).data}
        of_pattern = (await client.models.retrieve("some-llama")).model_dump()
    assert listed == {
        "plain": ["chat", "completions", "count_tokens", "embeddings", "streaming", "tools"],
        "other": ["chat", "count_tokens", "streaming", "tools"],
        "open": ["chat", "completions", "count_tokens", "embeddings", "passthrough", "streaming", "tools"],
        "told": ["chat", "completions", "count_tokens", "embeddings", "streaming", "vision"],
        "some-*": ["chat", "streaming", "tools"],
    }
    assert of_pattern["id"] == "some-llama"
    assert of_pattern["capabilities"] == ["chat", "streaming", "tools"]
