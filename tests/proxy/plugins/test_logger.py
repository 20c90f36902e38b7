"""`logger`: what a record holds, and what it does not unless it is told to."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from providers.errors import ErrorKind, GatewayError
from providers.model import (
    ImagePart,
    LLMRequest,
    Message,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
    text_response,
)
from proxy.observe.logs import configure_logging
from proxy.plugins.builtin.logger import Logger
from proxy.plugins.pipeline import PipelineRun
from tests.proxy.plugins.runs import configured, let_in

USAGE = Usage(prompt_tokens=3, completion_tokens=2, extra={"service_tier": msgspec.Raw(b'"x"')})


def conversation() -> LLMRequest:
    return LLMRequest(
        model="m",
        messages=[
            Message(role="user", content=[TextPart(text="question " * 10), ImagePart(data="cGl4ZWxz")]),
            Message(role="assistant", content=[ToolCallPart(id="c", name="f", arguments='{"a":1}')]),
            Message(role="tool", content=[ToolResultPart(tool_call_id="c", content=[TextPart(text="found")])]),
        ],
    )


async def over(**config: Any) -> PipelineRun:
    """A run that is over, its detached work done."""
    run = await let_in(await configured(Logger, **config), request=conversation(), request_id="req_1", project="p")
    context = run.context
    context.key_id, context.status, context.metrics = "team-a", 200, {"duration_ms": 12.5}
    context.metadata = {"tier": "gold"}
    context.response = text_response("the answer", usage=USAGE)
    run.close()
    await run.detached()
    return run


async def record(tmp_path: Path, **config: Any) -> dict[str, Any]:
    file = tmp_path / "records.jsonl"
    run = await over(file=str(file), **config)
    await run.pipeline.plugins[0].plugin.aclose()
    (line,) = file.read_text().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


async def test_a_record_holds_no_word_unless_told_to(tmp_path: Path) -> None:
    found = await record(tmp_path)
    assert found["request_id"] == "req_1"
    assert found["key_id"] == "team-a"
    assert found["status"] == 200
    assert found["duration_ms"] == 12.5
    assert found["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "extra": {"service_tier": "x"}}
    assert found["metadata"] == {"tier": "gold"}
    text = json.dumps(found)
    assert not any(word in text for word in ("question", "found", "answer", "cGl4ZWxz"))


@pytest.mark.parametrize(
    ("content", "asked", "answered"), [("request", True, False), ("response", False, True), ("both", True, True)]
)
async def test_whose_words_are_recorded(tmp_path: Path, content: str, asked: bool, answered: bool) -> None:
    found = await record(tmp_path, content=content, metadata=False)
    assert ("messages" in found, "answer" in found) == (asked, answered)
    assert "metadata" not in found
    if asked:
        assert found["messages"][1]["content"] == [
            {"type": "tool_call", "id": "c", "name": "f", "arguments": '{"a":1}'}
        ]
        assert found["messages"][2]["content"][0]["content"] == [{"type": "text", "text": "found"}]
        assert found["messages"][0]["content"][1] == {"type": "image"}, "of a picture only that it was there"
    if answered:
        assert found["answer"] == [{"content": [{"type": "text", "text": "the answer"}], "finish_reason": "stop"}]


async def test_long_texts_are_cut(tmp_path: Path) -> None:
    found = await record(tmp_path, content="request", maxChars=8)
    assert found["messages"][0]["content"][0]["text"] == "question [82 more characters]"


async def test_a_file_may_be_moved_away(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    plugin = await configured(Logger, file=str(file))
    for name in ("one", "two"):
        run = await let_in(plugin, request=conversation(), request_id=name)
        await run.detached()
        file.rename(tmp_path / f"{name}.jsonl")
    await plugin.plugin.aclose()
    assert [json.loads((tmp_path / f"{name}.jsonl").read_text())["request_id"] for name in ("one", "two")] == [
        "one",
        "two",
    ]


async def test_without_a_file_it_is_a_line_of_the_log() -> None:
    configure_logging("info", "json", io.StringIO())  # whatever tests before have left
    with structlog.testing.capture_logs() as lines:
        await over()
    assert [line["event"] for line in lines] == ["exchange"]
    assert lines[0]["request_id"] == "req_1"


async def test_a_failure_is_told_by_its_kind_only(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    plugin = await configured(Logger, file=str(file), content="both")
    run = await let_in(plugin, request=conversation())
    run.context.error = GatewayError("the provider said: canary", kind=ErrorKind.RATE_LIMIT, status=429)
    run.context.status = 429
    await run.detached()
    await plugin.plugin.aclose()
    assert json.loads(file.read_text())["error"] == "rate_limit"
    assert "canary" not in file.read_text()


async def test_a_path_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await configured(Logger, file=str(tmp_path / "nowhere" / "x.jsonl"))
