"""Recorded Gemini answers, google-genai's reading of them, and events written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from google import genai
from google.genai import types

from conformance.oracles.base import tls_context
from providers.model import Accumulator, LLMRequest, LLMResponse
from providers.wire.gemini_generate import WIRE

RECORDINGS = Path(__file__).parents[5] / "shared" / "recordings" / "gemini-generate"

CLIENT_REQUEST = LLMRequest(model="the-model")


def recordings(kind: str) -> list[Any]:
    """Parameters for `parametrize`, one for each recorded body."""
    paths = sorted((RECORDINGS / kind).glob("*.body"))
    if not paths:
        skip = pytest.mark.skip(reason="the shared recordings are not beside this checkout")
        return [pytest.param(None, id="none", marks=skip)]
    return [pytest.param(path, id=path.stem) for path in paths]


def is_answer(body: bytes) -> bool:
    """Whether a recorded stream is one of generateContent: the folder has Google's other APIs too."""
    return b'"candidates"' in body


def event(*parts: dict[str, Any], **more: Any) -> bytes:
    """One event with these parts in its first candidate. `finish`, `index`, `usage`: more of what it may hold."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}}
    if "finish" in more:
        candidate["finishReason"] = more.pop("finish")
    if "index" in more:
        candidate["index"] = more.pop("index")
    candidate.update(more.pop("candidate", {}))
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r-1"}
    if "usage" in more:
        body["usageMetadata"] = more.pop("usage")
    return data({**body, **more})


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


END = event(finish="STOP")


def decode(*pieces: bytes) -> list[LLMResponse]:
    decoder = WIRE.stream_decoder()
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    return chunks + decoder.eof()


def accumulate(chunks: Iterable[LLMResponse]) -> LLMResponse:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


def without_raw(chunk: LLMResponse) -> LLMResponse:
    return msgspec.structs.replace(chunk, raw=None)


def encode(chunks: Iterable[LLMResponse]) -> bytes:
    """The whole stream that a Gemini client gets for these chunks, which come from another API."""
    chunks = [without_raw(chunk) for chunk in chunks]
    encoder = WIRE.stream_encoder(CLIENT_REQUEST)
    return b"".join(encoder.encode(chunk) for chunk in chunks) + encoder.finish(accumulate(chunks))


def sdk(status: int, body: bytes, content_type: str = "application/json") -> genai.Client:
    """google-genai over a wire that answers every request with these bytes."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"content-type": content_type}, content=body)

    options = types.HttpOptions(
        base_url="http://upstream",
        httpx_client=httpx.Client(transport=httpx.MockTransport(answer)),
        client_args={"verify": tls_context()},
        async_client_args={"verify": tls_context(), "ssl": tls_context()},
    )
    return genai.Client(api_key="none", http_options=options)


def sdk_stream(body: bytes) -> list[types.GenerateContentResponse]:
    client = sdk(200, body, "text/event-stream")
    return list(client.models.generate_content_stream(model="m", contents="hi"))


def sdk_answer(body: bytes) -> types.GenerateContentResponse:
    return sdk(200, body).models.generate_content(model="m", contents="hi")


class Said:
    """What google-genai's own models hold, added up the plain way. Knows nothing of this project's code."""

    def __init__(self, answers: Iterable[types.GenerateContentResponse], index: int = 0) -> None:
        self.text = ""
        self.thoughts = ""
        self.signatures: list[str] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.finish: str | None = None
        self.usage: dict[str, int] = {}
        for answer in answers:
            if answer.usage_metadata is not None:
                counts = answer.usage_metadata.model_dump(exclude_none=True)
                self.usage.update({name: count for name, count in counts.items() if isinstance(count, int)})
            for candidate in answer.candidates or ():
                if (candidate.index or 0) != index:
                    continue
                if candidate.finish_reason is not None:
                    self.finish = candidate.finish_reason.value
                for part in (candidate.content.parts or ()) if candidate.content is not None else ():
                    self._add(part)

    def _add(self, part: types.Part) -> None:
        if part.thought_signature:
            self.signatures.append(part.model_dump(mode="json")["thought_signature"].translate(_STANDARD))
        if part.text:
            if part.thought:
                self.thoughts += part.text
            else:
                self.text += part.text
        if part.function_call is not None and part.function_call.name:
            self.calls.append((part.function_call.name, part.function_call.args or {}))


_STANDARD = str.maketrans("-_", "+/")
