"""The replay provider: what it emits, when, and what it says to a wrong configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from providers.errors import ErrorKind, GatewayError, ProviderError, RequestError
from providers.extension import check_config
from providers.model import Accumulator, EventKind, LLMRequest, LLMResponse
from providers.provider import ChunkEmitter
from providers.replay.provider import ReplayProvider
from providers.replay.recording import (
    BUNDLED,
    RecordedResponse,
    Recording,
    load_recording,
    load_recordings,
    save_recording,
)

REQUEST = LLMRequest(model="any")
OPENAI_ERROR = b'data: {"error":{"message":"The server is tired.","type":"server_error","param":null,"code":null}}\n\n'


class Collector(ChunkEmitter):
    """Keeps what is emitted, and when."""

    def __init__(self) -> None:
        self.accumulator = Accumulator()
        self.chunks: list[LLMResponse] = []
        self.firsts: list[bool] = []
        self.times: list[float] = []
        self.final: LLMResponse | None = None
        self.error: GatewayError | None = None

    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        await trio.lowlevel.checkpoint()
        assert self.final is None, "nothing comes after the final call"
        assert self.error is None, "nothing comes after an error"
        if final:
            self.final = chunk
            return
        self.chunks.append(chunk)
        self.firsts.append(first)
        self.times.append(trio.current_time())
        self.accumulator.add(chunk)

    async def emit_error(self, error: GatewayError) -> None:
        await trio.lowlevel.checkpoint()
        self.error = error

    @property
    def raw(self) -> bytes:
        return b"".join(chunk.raw.body for chunk in self.chunks if chunk.raw is not None)


async def provider(**config: Any) -> ReplayProvider:
    """A provider that has gone through the life of an extension."""
    filled, problems = check_config(ReplayProvider.metadata.configuration_schema, config)
    assert problems == []
    made = ReplayProvider()
    assert made.validate_config(filled) is True
    await made.configure(filled)
    return made


def own_recording(folder: Path, body: bytes, *, kind: Any = "stream", name: str = "own") -> str:
    content_type = "text/event-stream" if kind == "stream" else "application/json"
    response = RecordedResponse(status=200, headers={"content-type": content_type}, body=body)
    recording = Recording(name=name, api="openai-chat", vendor="me", kind=kind, response=response)
    return str(save_recording(recording, folder))


STREAMS = [recording for recording in load_recordings(BUNDLED, kind="stream") if recording.name != "failed"]
"""Those that end well; what a recorded failure gives is tested with the wires."""

WITHOUT_TERMINATOR = {"gemini-generate"}


@pytest.mark.parametrize("recording", STREAMS, ids=lambda recording: f"{recording.api}-{recording.name}")
@pytest.mark.parametrize("chunk_size", [None, 7])
async def test_a_stream_is_emitted_byte_for_byte(recording: Recording, chunk_size: int | None) -> None:
    size = {} if chunk_size is None else {"chunkSize": chunk_size}
    replay = await provider(api=recording.api, recording=recording.name, pace=0, **size)
    collector = Collector()
    request = LLMRequest(model="any")
    assert await replay.execute_streaming(request, collector) is None
    assert replay.api == recording.api
    assert collector.raw == recording.response.body
    assert collector.firsts == [True] + [False] * (len(collector.chunks) - 1)
    terminators = [chunk.kind for chunk in collector.chunks].count(EventKind.DONE)
    assert terminators == (0 if recording.api in WITHOUT_TERMINATOR else 1)
    assert collector.final is not None
    assert collector.final.choices[0].message is not None
    assert collector.final.choices[0].finish_reason is not None
    assert request.notes.skipped_events == 0


@pytest.mark.parametrize("api", ["openai-chat", "anthropic-messages"])
@pytest.mark.parametrize("name", ["text", "reasoning", "tools"])
async def test_streamed_and_whole_are_the_same_answer(api: str, name: str) -> None:
    replay = await provider(api=api, recording=name, pace=0)
    whole = await replay.execute(REQUEST)
    assert whole.raw is not None
    assert whole.raw.body == load_recording(BUNDLED / api / "json" / f"{name}.json").response.body
    collector = Collector()
    await replay.execute_streaming(REQUEST, collector)
    assert collector.final is not None
    one, other = whole.choices[0], collector.final.choices[0]
    assert one.message is not None
    assert other.message is not None
    assert (one.message.text, one.message.reasoning) == (other.message.text, other.message.reasoning)
    assert [(call.id, call.name, json.loads(call.arguments)) for call in one.message.tool_calls] == [
        (call.id, call.name, json.loads(call.arguments)) for call in other.message.tool_calls
    ]
    assert one.finish_reason == other.finish_reason
    assert whole.usage is not None
    assert collector.final.usage is not None
    assert whole.usage.completion_tokens == collector.final.usage.completion_tokens


async def test_a_stream_alone_is_folded_for_a_whole_answer() -> None:
    whole = await (await provider(api="openai-chat", recording="choices")).execute(REQUEST)
    assert [choice.message.text for choice in whole.choices if choice.message] == [
        "Sourdough, with a crust that sings.",
        "Brioche, if there is butter enough, and patience.",
    ]
    assert whole.raw is None


async def test_a_whole_answer_alone_is_streamed_as_one_chunk(tmp_path: Path) -> None:
    body = load_recording(BUNDLED / "openai-chat" / "json" / "text.json").response.body
    replay = await provider(api="openai-chat", file=own_recording(tmp_path, body, kind="json"))
    collector = Collector()
    await replay.execute_streaming(REQUEST, collector)
    assert len(collector.chunks) == 1
    assert collector.firsts == [True]
    assert collector.final is not None
    assert collector.final.choices[0].message is not None
    assert collector.final.choices[0].message.text.startswith("The night train")


async def test_a_file_finds_its_whole_twin(tmp_path: Path) -> None:
    stream = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json").response.body
    whole = load_recording(BUNDLED / "openai-chat" / "json" / "reasoning.json").response.body
    path = own_recording(tmp_path, stream)
    own_recording(tmp_path, whole, kind="json")
    answer = await (await provider(api="openai-chat", file=path)).execute(REQUEST)
    assert answer.raw is not None
    assert answer.raw.body == whole


async def test_the_pace_is_kept_between_events(autojump_clock: trio.testing.MockClock) -> None:
    replay = await provider(api="openai-chat", recording="text", pace=100)
    collector = Collector()
    begin = trio.current_time()
    await replay.execute_streaming(REQUEST, collector)
    assert collector.times[0] == begin
    gaps = [later - earlier for earlier, later in zip(collector.times, collector.times[1:], strict=False)]
    assert gaps == pytest.approx([0.1] * (len(collector.chunks) - 1))


async def test_the_default_pace(autojump_clock: trio.testing.MockClock) -> None:
    collector = Collector()
    begin = trio.current_time()
    await (await provider(api="openai-chat")).execute_streaming(REQUEST, collector)
    assert trio.current_time() - begin == pytest.approx(0.02 * (len(collector.chunks) - 1))


async def test_a_cancelled_stream_lets_go_at_once(autojump_clock: trio.testing.MockClock) -> None:
    replay = await provider(api="openai-chat", pace=60_000)
    collector = Collector()
    with trio.move_on_after(70) as scope:
        await replay.execute_streaming(REQUEST, collector)
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(70)
    assert len(collector.chunks) == 2
    assert collector.final is None
    assert collector.error is None


@pytest.mark.parametrize(
    ("api", "name", "status", "kind", "retry_after"),
    [
        ("openai-chat", "rate-limit", 429, ErrorKind.RATE_LIMIT, 20),
        ("openai-chat", "bad-request", 400, ErrorKind.INVALID_REQUEST, None),
        ("anthropic-messages", "rate-limit", 429, ErrorKind.RATE_LIMIT, 12),
        ("anthropic-messages", "overloaded", 529, ErrorKind.OVERLOADED, None),
    ],
)
async def test_a_recorded_error_is_raised_either_way(
    api: str, name: str, status: int, kind: ErrorKind, retry_after: float | None
) -> None:
    replay = await provider(api=api, recording=name)
    collector = Collector()
    for call in (replay.execute(REQUEST), replay.execute_streaming(REQUEST, collector)):
        with pytest.raises(ProviderError) as caught:
            await call
        error = caught.value
        assert (error.status, error.upstream_status, error.kind, error.retry_after) == (
            status,
            status,
            kind,
            retry_after,
        )
        assert error.raw is not None
        assert error.raw.body == load_recording(BUNDLED / api / "error" / f"{name}.json").response.body
    assert collector.chunks == []
    assert collector.error is None


async def test_an_error_event_is_raised_before_the_first_chunk_and_emitted_after(tmp_path: Path) -> None:
    first = await provider(api="openai-chat", file=own_recording(tmp_path, OPENAI_ERROR))
    with pytest.raises(ProviderError, match="tired"):
        await first.execute_streaming(REQUEST, Collector())
    with pytest.raises(ProviderError, match="tired"):
        await first.execute(REQUEST)

    events = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json").response.body.split(b"\n\n")
    begun = b"\n\n".join(events[:3]) + b"\n\n"
    late = await provider(api="openai-chat", pace=0, file=own_recording(tmp_path, begun + OPENAI_ERROR, name="late"))
    collector = Collector()
    execution = await late.execute_streaming(REQUEST, collector)
    assert collector.raw == begun
    assert isinstance(collector.error, ProviderError)
    assert collector.error.message == "The server is tired."
    assert collector.error.raw is not None
    assert collector.error.raw.body == OPENAI_ERROR
    assert execution is not None
    assert not execution.success
    assert collector.final is None


async def test_a_stream_that_was_cut_ends_in_an_error(tmp_path: Path) -> None:
    body = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json").response.body
    for size in (len(body) // 2, body.index(b"\n\n", 900) + 2):
        replay = await provider(api="openai-chat", pace=0, file=own_recording(tmp_path, body[:size]))
        collector = Collector()
        await replay.execute_streaming(REQUEST, collector)
        assert collector.error is not None
        assert collector.error.kind is ErrorKind.BAD_RESPONSE
        with pytest.raises(ProviderError):
            await replay.execute(REQUEST)


async def test_malformed_events_are_noted(tmp_path: Path) -> None:
    body = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json").response.body
    cut = body.index(b"\n\n") + 2
    path = own_recording(tmp_path, body[:cut] + b"data: {nonsense\n\n" + body[cut:])
    request = LLMRequest(model="any")
    collector = Collector()
    await (await provider(api="openai-chat", pace=0, file=path)).execute_streaming(request, collector)
    assert collector.raw == body
    assert request.notes.skipped_events == 1


async def test_it_cannot_count_tokens() -> None:
    with pytest.raises(RequestError) as caught:
        await (await provider(api="anthropic-messages")).count_tokens(REQUEST)
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({}, ("api",)),
        ({"api": "soap"}, ("api",)),
        ({"api": "openai-chat", "pace": -1}, ("pace",)),
        ({"api": "openai-chat", "chunkSize": 0}, ("chunkSize",)),
        ({"api": "openai-chat", "speed": 3}, ("speed",)),
    ],
)
def test_the_schema_refuses(config: dict[str, Any], path: tuple[str, ...]) -> None:
    _, problems = check_config(ReplayProvider.metadata.configuration_schema, config)
    assert [problem.path for problem in problems] == [path]


def test_wrong_names_are_explained(tmp_path: Path) -> None:
    check = ReplayProvider().validate_config
    assert "there are bad-request, choices" in str(check({"api": "openai-chat", "recording": "annotation"})).replace(
        "annotations, ", ""
    )
    assert "not both" in str(check({"api": "openai-chat", "recording": "text", "file": "x.json"}))
    assert "No such file" in str(check({"api": "openai-chat", "file": str(tmp_path / "x.json")}))
    path = own_recording(tmp_path, b"data: [DONE]\n\n")
    assert "is a recording of openai-chat" in str(check({"api": "anthropic-messages", "file": path}))
