"""The list of models as OpenAI's clients read it, whichever of its APIs they speak. Imports the client API's types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.apis.base import ModelCard


def encode_models(models: Sequence[ModelCard]) -> bytes:
    """The answer of `GET /v1/models`."""
    return msgspec.json.encode({"object": "list", "data": [_card(model) for model in models]})


def encode_model(model: ModelCard) -> bytes:
    """The answer of `GET /v1/models/{id}`."""
    return msgspec.json.encode(_card(model))


def _card(model: ModelCard) -> dict[str, Any]:
    card: dict[str, Any] = {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.provider,
    }
    if model.description:
        card["description"] = model.description
    if model.metadata:
        card["metadata"] = model.metadata
    if model.capabilities:
        card["capabilities"] = model.capabilities
    return card
