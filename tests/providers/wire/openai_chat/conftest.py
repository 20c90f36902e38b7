"""Helpers of these tests: the recordings, and the official SDK as the judge of what a stream says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

RECORDINGS = Path(__file__).parents[5] / "shared" / "recordings" / "openai-chat"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in ("stream", "json", "error"):
        fixture = f"{kind}_recording"
        if fixture in metafunc.fixturenames:
            files = sorted((RECORDINGS / kind).glob("*.body"))
            params = [pytest.param(file, id=file.stem) for file in files]
            missing = pytest.param(None, marks=pytest.mark.skip(reason=f"no recordings in {RECORDINGS.name}/{kind}"))
            metafunc.parametrize(fixture, params or [missing])


def sdk_chunks(body: bytes) -> list[dict[str, Any]]:
    """The JSON that the SDK reads from a streamed body, up to `[DONE]`."""
    found: list[dict[str, Any]] = []
    for event in SSEDecoder().iter_bytes(iter([body])):
        if event.data.startswith("[DONE]"):
            break
        found.append(json.loads(event.data))
    return found


def sdk_completion(body: bytes) -> ChatCompletion:
    """What the SDK's own accumulator builds from a streamed body. Every chunk is validated strictly first."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in sdk_chunks(body):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot


@pytest.fixture
def read_with_sdk() -> Callable[[bytes], ChatCompletion]:
    return sdk_completion


@pytest.fixture
def chunks_with_sdk() -> Callable[[bytes], list[dict[str, Any]]]:
    return sdk_chunks
