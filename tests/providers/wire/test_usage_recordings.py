"""Token counts of every recording: what went in and what came out are the total that the provider states."""

from __future__ import annotations

import pytest

from providers.model import Usage
from providers.replay.recording import Kind, Recording
from providers.wire import load_wire
from tests.providers.wire.reading import accumulate, decode
from tests.support.recordings import recordings

APIS = ("openai-chat", "openai-responses", "gemini-generate", "bedrock-converse", "cohere-chat", "ollama-chat")
"""The APIs but Anthropic's, which states no total."""

EXCEPTIONS = {
    "gemini-google-live-speech-translation-v": "the Live API's counters: its output is in `responseTokenCount`",
    "gemini-test-native-output-with-builtin-tools-stream-1": (
        "the last event, which answers the code's output, totals its own prompt and thoughts and leaves out the "
        "candidates that earlier events counted"
    ),
}
"""Recordings whose total is another sum, and why."""


def _cases(*kinds: Kind) -> list[object]:
    return [
        pytest.param(api, kind, *case.values, id=f"{api}-{kind}-{case.id}", marks=case.marks)  # type: ignore[attr-defined]
        for api in APIS
        for kind in kinds
        for case in recordings(api, kind)
    ]


def _usage(api: str, kind: Kind, recording: Recording) -> Usage | None:
    body = recording.response.body
    response = load_wire(api).decode_response(body) if kind == "json" else accumulate(decode(api, body))
    return response.usage


@pytest.mark.parametrize(("api", "kind", "recording"), _cases("stream", "json"))
def test_what_went_in_and_out_is_the_total(api: str, kind: Kind, recording: Recording) -> None:
    usage = _usage(api, kind, recording)
    if usage is None or usage.total_tokens is None:
        return
    is_sum = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0) == usage.total_tokens
    assert is_sum == (recording.name not in EXCEPTIONS)


@pytest.mark.parametrize(("api", "kind", "recording"), _cases("stream", "json"))
def test_reasoning_is_a_part_of_the_output(api: str, kind: Kind, recording: Recording) -> None:
    usage = _usage(api, kind, recording)
    if usage is not None and usage.details is not None and usage.details.reasoning_tokens:
        assert usage.completion_tokens is not None
        assert usage.completion_tokens >= usage.details.reasoning_tokens
