"""The rows against what the vendors really sent and took, in the shared recordings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from providers.presets import PRESETS
from providers.replay.recording import Kind, Recording
from providers.wire.base import Translation
from providers.wire.openai_chat import WIRE
from providers.wire.openai_chat.dialect import Dialect
from providers.wire.openai_chat.dialect_request import relay_in_dialect
from providers.wire.openai_chat.mistral import DIALECT as MISTRAL
from providers.wire.openai_chat.mistral import patch_message
from tests.support.recordings import recordings

ROWS = {preset.name: preset for preset in PRESETS}


def of_vendors(is_wanted: Callable[[Recording], bool]) -> list[Any]:
    """The recordings, whole or streamed, that are wanted; those of the shared set are skipped where it is not."""
    kinds: tuple[Kind, ...] = ("stream", "json")
    params: list[Any] = [param for kind in kinds for param in recordings("openai-chat", kind)]
    return [param for param in params if param.values[0] is None or is_wanted(param.values[0])]


def _has_request(recording: Recording) -> bool:
    known = recording.vendor in {*ROWS, "mistral"}
    return known and recording.request is not None and isinstance(recording.request.body, dict)


def _has_row(recording: Recording) -> bool:
    return recording.vendor in ROWS


@pytest.mark.parametrize("recording", of_vendors(_has_request))
def test_what_a_vendor_took_is_relayed_to_it_unchanged(recording: Recording) -> None:
    assert recording.request is not None
    assert isinstance(recording.request.body, dict)
    asked = {name: value for name, value in recording.request.body.items() if name != "stream_options"}
    body = msgspec.json.encode(asked)
    request = WIRE.decode_request(body)
    translation = Translation(recording.vendor)
    if recording.vendor == "mistral":
        encoded = relay_in_dialect(request, request.model, translation, MISTRAL, patch_message)
    else:
        encoded = relay_in_dialect(request, request.model, translation, ROWS[recording.vendor].dialect)
    sent = json.loads(encoded.body)
    sent.pop("stream_options", None)
    assert encoded.dropped == []
    if recording.vendor == "mistral":  # ids of another service, and nulls where nothing stands, were taken in passing
        return
    assert sent == _renamed(asked, ROWS[recording.vendor].dialect)


def _renamed(asked: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    names = {"max_completion_tokens": dialect.max_tokens}
    return {names.get(name, name): value for name, value in asked.items() if not (name == "n" and value == 1)} | (
        {"n": 1} if asked.get("n") == 1 and "n" not in dialect.refuses else {}
    )


def _messages(recording: Recording) -> Iterator[dict[str, Any]]:
    """Every event of a stream, or the whole answer."""
    if recording.kind == "json":
        yield json.loads(recording.response.body)
        return
    for line in recording.response.body.splitlines():
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


@pytest.mark.parametrize("recording", of_vendors(_has_row))
def test_reasoning_and_usage_are_where_the_row_says(recording: Recording) -> None:
    row = ROWS[recording.vendor]
    usage: set[str] = set()
    reasoning: set[str] = set()
    for event in _messages(recording):
        usage |= {"usage"} if event.get("usage") else set()
        usage |= {"x_groq.usage"} if (event.get("x_groq") or {}).get("usage") else set()
        for choice in event.get("choices") or []:
            usage |= {"choices[].usage"} if choice.get("usage") else set()
            message = choice.get("delta") or choice.get("message") or {}
            reasoning |= {name for name in ("reasoning", "reasoning_content", "reasoning_details") if message.get(name)}
    if "error" not in recording.name:
        assert usage & {*row.usage_at, *(["usage"] if recording.kind == "json" else [])}
    if reasoning:
        assert row.reasoning_at in reasoning
