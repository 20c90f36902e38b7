"""One request of a client, and what it becomes on each wire: golden files, reviewed as data.

`golden/NAME.json` holds the client's API and body, and under each wire the model, the body that must come out and the
parameters that it does not carry; or, where the wire refuses, the parameter that it names and what comes out under
`dropUnsupported`. `openai-chat/VENDOR` is a vendor's dialect, which clients of the same API meet too. To renew the
outputs after a wanted change, run with TRIWAY_UPDATE_GOLDEN=1 and review the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from providers.builtin.openai_compatible import CompatibleProvider
from providers.errors import RequestError, UnsupportedParameterError
from providers.model import LLMRequest
from providers.registry import provider_registry
from providers.wire import load_wire
from providers.wire.base import EncodedRequest, Translation, Wire
from providers.wire.openai_chat.dialect_request import encode_in_dialect, relay_in_dialect
from providers.wire.openai_chat.mistral import patch_message

FOLDER = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))

MODELS = {
    "anthropic-messages": "claude-sonnet-4-5",
    "bedrock-converse": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere-chat": "command-a-reasoning-08-2025",
    "gemini-generate": "gemini-2.5-pro",
    "ollama-chat": "gpt-oss:20b",
    "openai-chat": "gpt-5",
    "openai-responses": "gpt-5",
}
"""The wires that the requests are translated to, each for one model."""


VENDORS = {
    "deepseek": "deepseek-v4-pro",
    "groq": "openai/gpt-oss-120b",
    "mistral": "magistral-medium-latest",
    "openrouter": "anthropic/claude-sonnet-4.5",
    "zai": "glm-5.3",
}
"""Dialects of OpenAI Chat that the requests are put into, each for one model."""

Encode = Callable[[LLMRequest, Translation], EncodedRequest]


def encoder_of(target: str) -> tuple[str, Encode]:
    """The model, and what encodes a request for it."""
    if target in MODELS:
        wire, model = load_wire(target), MODELS[target]
        return model, lambda request, translation: wire.encode_request(request, model, translation)
    vendor = target.partition("/")[2]
    model = VENDORS[vendor]
    cls = provider_registry().get(vendor)
    assert issubclass(cls, CompatibleProvider)
    patch = patch_message if vendor == "mistral" else None

    def encode(request: LLMRequest, translation: Translation) -> EncodedRequest:
        put = relay_in_dialect if request.metadata.api == "openai-chat" else encode_in_dialect
        return put(request, model, translation, cls.dialect, patch)

    return model, encode


def outcome(target: str, client: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a request becomes."""
    source = load_wire(client)
    assert isinstance(source, Wire)
    model, put = encoder_of(target)

    def encode(*, drop: bool) -> dict[str, Any]:
        request = source.decode_request(json.dumps(body).encode())
        request.metadata.api = client
        encoded = put(request, Translation(target, drop_unsupported=drop, client=client))
        return {"body": msgspec.json.decode(encoded.body), "dropped": encoded.dropped}

    try:
        return {"model": model, **encode(drop=False)}
    except UnsupportedParameterError as error:
        told = {"param": error.param, "message": error.message}
        try:
            return {"model": model, "refused": told, "under dropUnsupported": encode(drop=True)}
        except RequestError as second:
            return {"model": model, "refused": told, "under dropUnsupported": {"refused": second.message}}


@pytest.mark.parametrize("target", [*MODELS, *(f"openai-chat/{vendor}" for vendor in VENDORS)])
@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, target: str) -> None:
    path = FOLDER / f"{name}.json"
    golden = json.loads(path.read_text())
    if golden["client"] == target:
        pytest.skip("a client of the same API is relayed, not translated")
    became = outcome(target, golden["client"], golden["request"])
    if os.environ.get("TRIWAY_UPDATE_GOLDEN"):
        golden.setdefault("wires", {})[target] = became
        path.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
    assert became == golden["wires"].get(target)


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
