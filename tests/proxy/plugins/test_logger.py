"""`logger`: what a record holds, and what it does not unless it is told to."""

from __future__ import annotations

import errno
import io
import json
import os
from contextlib import nullcontext
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
from proxy.observe.metrics import PLUGIN_FAILURES
from proxy.plugins import ContextUpdate, PluginContext, PluginResult
from proxy.plugins.builtin.logger import Logger, RecordFile
from proxy.plugins.builtin.regex_hider.plugin import RegexHider
from proxy.plugins.conditions import CompiledConditions, Conditions
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import Pipeline, PipelineRun
from tests.proxy.plugins.runs import configured, let_in
from tests.support.plugins import loaded

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


# -- what plugins hide -------------------------------------------------------------------------------------------------

MAIL = {"name": "mail", "pattern": r"[a-z]+@[a-z]+\.com"}


async def recorded(
    tmp_path: Path, *plugins: LoadedPlugin, answer: str | None = None, outcome: type[GatewayError] | None = None
) -> dict[str, Any]:
    """The record of a request that says `ann@b.com`, with these plugins around."""
    file = tmp_path / "records.jsonl"
    logger = await configured(Logger, file=str(file), content="both")
    request = LLMRequest(model="m", messages=[Message(role="user", content=[TextPart(text="to ann@b.com")])])
    run = PipelineRun(Pipeline([*plugins, logger]), PluginContext(request=request))
    with pytest.raises(outcome) if outcome is not None else nullcontext():
        await run.before_model()
        run.context.response = text_response(answer, usage=USAGE) if answer is not None else None
        await run.after_model()
    run.close()
    await run.detached()
    await logger.plugin.aclose()
    (line,) = file.read_text().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("priority", [50, 150])
async def test_what_is_put_back_for_the_client_is_not_put_back_here(tmp_path: Path, priority: int) -> None:
    hider = await configured(RegexHider, rules=[MAIL], restore=True)
    hider.priority = priority
    found = await recorded(tmp_path, hider, answer="sent to [MAIL_1]")
    assert found["messages"][0]["content"][0]["text"] == "to [MAIL_1]"
    assert found["answer"][0]["content"][0]["text"] == "sent to [MAIL_1]"
    assert found["usage"]["prompt_tokens"] == 3
    assert "left_out" not in found


async def test_an_answer_that_was_withheld_before_anything_in_it_was_hidden(tmp_path: Path) -> None:
    hider = await configured(RegexHider, rules=[{**MAIL, "in": "response"}])
    judge = loaded("judge", priority=120, after_model=lambda context: PluginResult(success=False, error="no"))
    found = await recorded(tmp_path, hider, judge, answer="sent to bob@b.com", outcome=GatewayError)
    assert found["answer"][0]["content"][0]["text"] == "sent to [MAIL]"


@pytest.mark.parametrize(
    "first",
    [
        lambda context: PluginResult(success=False, status=429, error="slow down"),
        lambda context: PluginResult(skip_remaining=True),
        lambda context: PluginResult(terminate=True, context=ContextUpdate(response=text_response("to ann@b.com"))),
    ],
)
async def test_no_word_is_recorded_of_what_a_plugin_that_hides_has_not_seen(tmp_path: Path, first: Any) -> None:
    hider = await configured(RegexHider, rules=[MAIL])
    before = loaded("before", priority=1, before_model=first)
    refused = first(None).error is not None
    found = await recorded(tmp_path, before, hider, answer="ann@b.com", outcome=GatewayError if refused else None)
    assert found["left_out"] == "a plugin that hides has not seen the request"
    assert "ann@b.com" not in json.dumps(found)
    assert not {"messages", "answer"} & set(found)


async def test_nor_of_what_it_failed_on(tmp_path: Path) -> None:
    hides = loaded("hides", before_model=lambda context: 1 / 0)
    hides.plugin.hides = True  # type: ignore[misc]
    found = await recorded(tmp_path, hides, answer="ann@b.com")
    assert found["left_out"]


async def test_one_whose_conditions_do_not_hold_hides_nothing(tmp_path: Path) -> None:
    hider = await configured(RegexHider, rules=[MAIL])
    hider.conditions = CompiledConditions(Conditions(models=("other",)))
    found = await recorded(tmp_path, hider, answer="fine")
    assert found["messages"][0]["content"][0]["text"] == "to ann@b.com"


# -- what goes wrong with the file -------------------------------------------------------------------------------------


def failures() -> float:
    counted: float = PLUGIN_FAILURES.labels("", "logger", "detached_after_response", "raised")._value.get()
    return counted


async def test_a_full_disk_is_the_plugin_s_failure_and_prints_no_record(capfd: pytest.CaptureFixture[str]) -> None:
    before = failures()
    configure_logging("info", "json", io.StringIO())
    with structlog.testing.capture_logs() as lines:
        await over(file="/dev/full", content="both")
    assert [(line["event"], line["plugin"], line["reason"]) for line in lines] == [
        ("a plugin failed", "logger", "raised")
    ]
    assert lines[0]["exception"] == "OSError"
    assert "question" not in json.dumps(lines)
    assert failures() == before + 1
    assert "question" not in "".join(capfd.readouterr())


async def test_a_line_that_did_not_fit_does_not_spoil_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.jsonl"
    file = RecordFile(str(path))
    write, room = os.write, [4]

    def into_little_room(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(descriptor, data[: room[0]])
        room[0] -= count
        return count

    with monkeypatch.context() as patched:
        patched.setattr("proxy.plugins.builtin.logger.os.write", into_little_room)
        with pytest.raises(OSError, match="No space"):
            file.append(b'{"a":1}')
    file.append(b'{"b":2}')
    file.append(b'{"c":3}')
    file.close()
    assert path.read_text().splitlines() == ['{"a"', '{"b":2}', '{"c":3}']


async def test_a_folder_that_is_gone_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "records.jsonl"
    path.parent.mkdir()
    file = RecordFile(str(path))
    path.parent.rename(tmp_path / "old")
    for _ in range(2):
        with pytest.raises(OSError, match="No such file"):
            file.append(b"lost")
    path.parent.mkdir()
    file.append(b"kept")
    file.close()
    assert path.read_text() == "kept\n"
