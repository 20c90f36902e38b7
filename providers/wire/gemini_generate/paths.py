"""Where the API's methods are: in the path, with the model. Does no I/O."""

from __future__ import annotations

from urllib.parse import quote

_KEPT = "/-._~@"
"""Vertex writes versions of models as `name@version`."""


def model_path(model: str) -> str:
    """The model's name as a resource: `models/gemini-3-pro`, unless it is one already (`tunedModels/...`)."""
    return model if "/" in model else f"models/{model}"


def method_target(resource: str, method: str) -> str:
    """The path of a method of a resource, percent-encoded."""
    return f"{quote(resource, safe=_KEPT)}:{method}"


def completion_target(resource: str, *, stream: bool) -> str:
    """Path and query of a completion. `alt=sse`: without it Google streams a JSON array."""
    return (
        method_target(resource, "streamGenerateContent") + "?alt=sse"
        if stream
        else method_target(resource, "generateContent")
    )
