"""What docs/plugins.md shows works as it stands there: the whole plugin, and the tool loop, for both SDKs."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from conformance.replay import Answer, Play, ReceivedRequest, ReplayServer
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from tests.support import facts
from tests.support.gateway import HI, Running, model, serving

GUIDE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
WHOLE = Play(load_recording(BUNDLED / "openai-chat" / "json" / "text.json"))


def example(name: str) -> str:
    found = re.search(re.escape(f"<!-- example: {name} -->") + r".*?```python\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


@asynccontextmanager
async def with_plugin(
    folder: Path, file: str, entry: dict[str, Any], script: Any
) -> AsyncIterator[tuple[ReplayServer, Running]]:
    path = folder / file
    path.write_text(example(file))
    async with ReplayServer(script) as upstream:
        models = [model("openai-chat", upstream.url)]
        async with serving(models, extensions=[path], plugins=[entry]) as gateway:
            yield upstream, gateway


async def test_the_whole_plugin_counts_and_refuses(tmp_path: Path) -> None:
    entry = {"name": "daily-tokens", "config": {"tokens": 5, "exempt": ["ops"]}}
    async with with_plugin(tmp_path, "daily_tokens.py", entry, WHOLE) as (_, gateway), gateway.openai() as client:
        ask = client.chat.completions.with_raw_response.create
        with pytest.raises(openai.BadRequestError, match="say who you are"):
            await ask(model="m", messages=HI)
        first = await ask(model="m", messages=HI, user="joe")
        assert first.headers["x-tokens-left"] == "5"

        refused: openai.RateLimitError | None = None
        for _ in range(100):  # what an answer cost is counted after it was sent
            try:
                await ask(model="m", messages=HI, user="joe")
            except openai.RateLimitError as error:
                refused = error
                break
        assert refused is not None
        assert 0 < int(refused.response.headers["retry-after"]) <= 86400
        for user in ("jane", "ops"):
            assert (await ask(model="m", messages=HI, user=user)).status_code == 200


CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "current_time", "arguments": "{}"}}
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


class ClockUser:
    """A model that asks for the time first, with a word before, and tells it then."""

    def __init__(self, tool: str = "current_time") -> None:
        self._call = {**CALL, "function": {"name": tool, "arguments": "{}"}}

    def __call__(self, request: ReceivedRequest) -> Play:
        body = json.loads(request.body)
        told = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        assert any(tool["function"]["name"] == "current_time" for tool in body["tools"])
        if told:
            parts, finish = [{"content": "It is "}, {"content": str(told[-1])[:4]}], "stop"
        else:
            parts, finish = [{"content": "Let me see. "}, {"tool_calls": [self._call]}], "tool_calls"
        if not body.get("stream"):
            text = "".join(part.get("content", "") for part in parts)
            calls = {} if told else {"tool_calls": [self._call]}
            message = {"role": "assistant", "content": text, **calls}
            choice = {"index": 0, "message": message, "finish_reason": finish}
            whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice]}
            return Play(_json({**whole, "usage": USAGE}))
        deltas = [{"role": "assistant", "content": ""}, *parts, {}]
        events = [
            {
                "id": "c",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "x",
                "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else finish}],
            }
            for delta in deltas
        ]
        events.append({**events[0], "choices": [], "usage": USAGE})
        stream = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
        return Play(Answer(headers={"content-type": "text/event-stream"}, body=stream))


def _json(content: Any) -> Answer:
    return Answer(headers={"content-type": "application/json"}, body=json.dumps(content).encode())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_tool_loop_is_one_answer(tmp_path: Path, stream: bool) -> None:
    async with with_plugin(tmp_path, "clock.py", {"name": "clock"}, ClockUser()) as (upstream, gateway):
        async with gateway.openai() as client:
            if stream:
                options: Any = {"include_usage": True}
                chunks = await client.chat.completions.create(
                    model="m", messages=HI, stream=True, stream_options=options
                )
                said = facts.of_openai_stream([chunk.model_dump() async for chunk in chunks])
            else:
                said = facts.of_openai((await client.chat.completions.create(model="m", messages=HI)).model_dump())
        assert upstream.received == 2
        async with gateway.anthropic() as other:
            if stream:
                async with other.messages.stream(model="m", messages=HI, max_tokens=9) as events:
                    message = await events.get_final_message()
            else:
                message = await other.messages.create(model="m", messages=HI, max_tokens=9)
        second = facts.of_anthropic(message.model_dump())
    text = "Let me see. It is 20" if stream else "It is 20"
    for found in (said, second):
        assert found.text.startswith(text)
        assert found.tool_calls == []
        assert found.finish == "stop"
    if stream:
        assert (said.prompt_tokens, said.completion_tokens) == (20, 8)


async def test_a_call_of_the_client_s_own_tool_is_left_to_it(tmp_path: Path) -> None:
    async with with_plugin(tmp_path, "clock.py", {"name": "clock"}, ClockUser("weather")) as (upstream, gateway):
        async with gateway.openai() as client:
            chunks = await client.chat.completions.create(model="m", messages=HI, stream=True)
            said = facts.of_openai_stream([chunk.model_dump() async for chunk in chunks])
        assert upstream.received == 1
    assert said.text == "Let me see. "
    assert said.tool_calls == [("weather", {})]
    assert said.finish == "tool_calls"


def test_the_guide_s_table_names_every_field() -> None:
    from proxy.plugins import PHASES, PluginContext, PluginResult

    for name in (*PHASES, *PluginResult.__struct_fields__):
        assert f"`{name}" in GUIDE, name
    public = {name for name in (*PluginContext.__slots__, *vars(PluginContext)) if not name.startswith("_")}
    for name in public - {"all_credentials"}:
        assert name in GUIDE, name
