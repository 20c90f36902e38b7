"""Which API and vendor an exchange is of, and what its recording is called."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.capture.build import Choice, build
from conformance.capture.captured import Captured, CapturedRequest
from conformance.capture.recognise import api_of_answer, recognise_api, recognise_vendor
from conformance.capture.scrubber import Scrubber
from providers.replay.recording import load_recordings
from tests.support.recordings import SHARED


def a_post(path: str, body: Any = None, host: str = "api.example.com") -> Captured:
    data = b"" if body is None else json.dumps(body).encode()
    return Captured(request=CapturedRequest(method="POST", host=host, path=path, body=data))


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/chat/completions", "openai-chat"),
        ("/openai/deployments/gpt/chat/completions", "openai-chat"),
        ("/v1/responses", "openai-responses"),
        ("/v1/messages", "anthropic-messages"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict", "anthropic-messages"),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini-generate"),
        ("/model/us.amazon.nova-micro-v1%3A0/converse-stream", "bedrock-converse"),
        ("/v2/chat", "cohere-chat"),
        ("/api/chat", "ollama-chat"),
        ("/v1/messages/count_tokens", None),
        ("/v1beta/models/gemini-2.5-flash:countTokens", None),
        ("/api/tags", None),
        ("/somewhere", None),
    ],
)
def test_an_api_by_its_path(path: str, api: str | None) -> None:
    assert recognise_api(a_post(path)) == api


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here")
def test_an_api_by_its_answer() -> None:
    """Whatever the path is. Filed under these names there are some answers of other APIs, and one of none."""
    unknown = {
        recording.name
        for recording in load_recordings(SHARED)
        if recording.kind != "error"
        and api_of_answer(recording.response.body, recording.content_type) != recording.api
        and b'"event_type":"interaction' not in recording.response.body
    }
    assert unknown == {
        "gemini-google-live-speech-translation-v",
        "demo-endpoints-pydantic-workers-dev-test-invalid-response-1",
        "openai-openai-realtime-speech-translation-v",
    }


@pytest.mark.parametrize(
    ("host", "api", "vendor"),
    [
        ("api.openai.com", "openai-chat", "openai"),
        ("my.openai.azure.com", "openai-chat", "azure"),
        ("api.groq.com", "openai-chat", "groq"),
        ("us-central1-aiplatform.googleapis.com", "gemini-generate", "vertex"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock-converse", "bedrock"),
        ("runtime.sagemaker.us-east-1.amazonaws.com", "openai-chat", "runtime-sagemaker-us-east-1-amazonaws-com"),
        ("notopenai.com", "openai-chat", "notopenai-com"),
        ("127.0.0.1", "openai-chat", "localhost"),
        ("::1", "openai-chat", "localhost"),
        ("localhost", "ollama-chat", "ollama"),
        ("", "anthropic-messages", "anthropic"),
    ],
)
def test_a_vendor_by_its_host(host: str, api: str, vendor: str) -> None:
    assert recognise_vendor(host, api) == vendor


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"content": "What's up?"}]}, "gpt-4.1-what-s-up"),
        ("/v1/responses", {"model": "org/o5", "input": "One two three four five six"}, "o5-one-two-three-four-five"),
        (
            "/v1beta/models/gemini-3:generateContent",
            {"contents": [{"parts": [{"text": "Hi"}]}]},
            "gemini-3-hi",
        ),
        ("/v1/chat/completions", {"messages": "wrong"}, "openai-chat-wrong"),
        ("/v1/chat/completions", None, "openai-chat"),
        ("/v1/chat/completions", {"model": "../../etc", "messages": []}, "etc"),
    ],
)
def test_names_say_model_and_words(path: str, body: Any, name: str) -> None:
    assert build(a_post(path, body), Scrubber(), Choice()).name == name


def test_the_user_decides() -> None:
    recording = build(a_post("/somewhere"), Scrubber(), Choice(api="cohere-chat", vendor="me", name="mine"))
    assert (recording.api, recording.vendor, recording.name) == ("cohere-chat", "me", "mine")
