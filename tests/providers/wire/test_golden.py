"""One request of a client, and what it becomes on each wire: golden files, reviewed as data.

`golden/NAME.json` holds the client's API and body, and under each wire the model, the body that must come out and the
parameters that it does not carry; or, where the wire refuses, the parameter that it names and what comes out under
`dropUnsupported`. To renew the outputs after a wanted change, run with TRIWAY_UPDATE_GOLDEN=1 and review the
difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from providers.errors import RequestError, UnsupportedParameterError
from providers.wire import load_wire
from providers.wire.base import Translation, Wire

FOLDER = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))

MODELS = {
    "anthropic-messages": "claude-sonnet-4-5",
    "bedrock-converse": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere-chat": "command-a-reasoning-08-2025",
    "ollama-chat": "gpt-oss:20b",
    "openai-chat": "gpt-5",
}
"""The wires that the requests are translated to, each for one model."""


def outcome(api: str, model: str, client: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a request becomes."""
    wire, source = load_wire(api), load_wire(client)
    assert isinstance(source, Wire)

    def encode(*, drop: bool) -> dict[str, Any]:
        request = source.decode_request(json.dumps(body).encode())
        request.metadata.api = client
        encoded = wire.encode_request(request, model, Translation(api, drop_unsupported=drop))
        return {"body": msgspec.json.decode(encoded.body), "dropped": encoded.dropped}

    try:
        return {"model": model, **encode(drop=False)}
    except UnsupportedParameterError as error:
        told = {"param": error.param, "message": error.message}
        try:
            return {"model": model, "refused": told, "under dropUnsupported": encode(drop=True)}
        except RequestError as second:
            return {"model": model, "refused": told, "under dropUnsupported": {"refused": second.message}}


@pytest.mark.parametrize("api", MODELS)
@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, api: str) -> None:
    path = FOLDER / f"{name}.json"
    golden = json.loads(path.read_text())
    if golden["client"] == api:
        pytest.skip("a client of the same API is relayed, not translated")
    became = outcome(api, MODELS[api], golden["client"], golden["request"])
    if os.environ.get("TRIWAY_UPDATE_GOLDEN"):
        golden.setdefault("wires", {})[api] = became
        path.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
    assert became == golden["wires"].get(api)


def test_there_is_one_for_every_kind_of_content() -> None:
    assert set(NAMES) >= {
        "sampling",
        "tools",
        "tool-choice",
        "tool-results",
        "structured-output",
        "images",
        "files",
        "reasoning-effort",
        "reasoning-history",
        "cache-control",
        "roles",
        "unsupported",
    }
