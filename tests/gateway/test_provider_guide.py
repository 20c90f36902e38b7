"""What docs/providers.md shows works as it stands there: the whole provider, and the one without `HTTPProvider`."""

from __future__ import annotations

import io
import json
import re
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from conformance.replay import DELIVERIES, Answer, Play, ReceivedRequest, ReplayServer
from proxy.config import ConfigError
from tests.support import facts
from tests.support.client import RawClient
from tests.support.gateway import HI, Running, serving

GUIDE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
TOKENS = ["Lorem", " ipsum", " dolor 🌊", " sit"]
TEXT = "".join(TOKENS)


def code_after(marker: str) -> str:
    """The first Python block behind `marker`."""
    found = re.search(re.escape(marker) + r".*?```python\n(.*?)```", GUIDE, re.DOTALL)
    assert found, f"docs/providers.md has no Python behind {marker!r}"
    return found[1]


LOREM = code_after("<!-- example: lorem_provider.py -->")


class LoremService:
    """The service that the guide's provider is written for. `fail` says what to answer instead."""

    def __init__(self, delivery: str = "event") -> None:
        self.fail: Answer | None = None
        self.in_stream: list[dict[str, Any]] = []
        """Put into the stream after the second token."""
        self._delivery = DELIVERIES[delivery]

    def __call__(self, request: ReceivedRequest) -> Play:
        if self.fail is not None:
            return Play(self.fail)
        body = json.loads(request.body)
        end = {"why": "limit" if "limit" in body else "end", "in": 7, "out": len(TOKENS)}
        if not body["stream"]:
            whole = {"text": TEXT, "engine": body["engine"], **end}
            return Play(Answer(headers={"content-type": "application/json"}, body=json.dumps(whole).encode()))
        events: list[Any] = [{"token": token} for token in TOKENS]
        events[2:2] = [{"beat": 1}, *self.in_stream]
        events.append(end)
        stream = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
        stream = stream.replace(b'"broken"', b'"broken')
        return Play(Answer(headers={"content-type": "text/event-stream"}, body=stream), self._delivery)


@asynccontextmanager
async def lorem(folder: Path, service: LoremService, **config: Any) -> AsyncIterator[tuple[ReplayServer, Running]]:
    path = folder / "lorem_provider.py"
    path.write_text(LOREM)
    async with ReplayServer(service) as upstream:
        settings = {"apiKey": "sk-upstream", "baseUrl": upstream.url, "retryDelay": 1, **config}
        models = [{"name": "lorem", "type": "lorem", "config": settings}]
        async with serving(models, extensions=[path]) as gateway:
            yield upstream, gateway


def test_the_guide_s_provider_is_short() -> None:
    lines = [line for line in LOREM.splitlines() if line.strip()]
    assert len(lines) <= 65


@pytest.mark.parametrize("delivery", ["whole", "event", "bytes-1", "comments", "gzip"])
async def test_it_streams_to_the_openai_sdk(tmp_path: Path, delivery: str) -> None:
    async with lorem(tmp_path, LoremService(delivery)) as (_, gateway), gateway.openai() as client:
        stream = await client.chat.completions.create(
            model="lorem", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        said = facts.of_openai_stream([chunk.model_dump() async for chunk in stream])
    assert said == facts.Facts(text=TEXT, finish="stop", prompt_tokens=7, completion_tokens=4)


@pytest.mark.parametrize("delivery", ["whole", "event", "bytes-1"])
async def test_it_streams_to_the_anthropic_sdk(tmp_path: Path, delivery: str) -> None:
    async with lorem(tmp_path, LoremService(delivery)) as (_, gateway), gateway.anthropic() as client:
        async with client.messages.stream(model="lorem", messages=HI, max_tokens=5) as stream:
            message = await stream.get_final_message()
    said = facts.of_anthropic(message.model_dump())
    assert said == facts.Facts(text=TEXT, finish="length", prompt_tokens=7, completion_tokens=4)


async def test_it_answers_whole_to_both_sdks(tmp_path: Path) -> None:
    service = LoremService()
    async with lorem(tmp_path, service, style="florid", customHeaders={"x-team": "blue"}) as (upstream, gateway):
        async with gateway.openai() as client:
            answer = await client.chat.completions.create(model="lorem", messages=HI)
        async with gateway.anthropic() as other:
            message = await other.messages.create(model="lorem", messages=HI, max_tokens=5)
        sent = upstream.requests
    assert facts.of_openai(answer.model_dump()).text == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 11
    assert facts.of_anthropic(message.model_dump()).text == TEXT
    assert message.stop_reason == "max_tokens"
    assert [json.loads(request.body) for request in sent] == [
        {"engine": "lorem-1", "prompt": "user: hi", "style": "florid", "stream": False},
        {"engine": "lorem-1", "prompt": "user: hi", "style": "florid", "stream": False, "limit": 5},
    ]
    for request in sent:
        assert request.target == "/generate"
        assert request.header(b"authorization") == b"Bearer sk-upstream"
        assert request.header(b"x-team") == b"blue"


async def test_what_it_cannot_do_is_a_400_that_names_the_field(tmp_path: Path) -> None:
    async with lorem(tmp_path, LoremService()) as (upstream, gateway), gateway.openai() as client:
        tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        with pytest.raises(openai.BadRequestError, match="Lorem has no tools") as error:
            await client.chat.completions.create(model="lorem", messages=HI, tools=[tool])
        assert upstream.received == 0
    assert error.value.param == "tools"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_its_service_s_error_keeps_status_and_message(tmp_path: Path, stream: bool) -> None:
    service = LoremService()
    service.fail = Answer(status=422, body=b'{"detail": "too florid"}')
    async with lorem(tmp_path, service) as (_, gateway):
        async with gateway.openai() as client:
            with pytest.raises(openai.UnprocessableEntityError, match="too florid"):
                await client.chat.completions.create(model="lorem", messages=HI, stream=stream)
        async with gateway.anthropic() as other:
            with pytest.raises(anthropic.UnprocessableEntityError, match="too florid"):
                await other.messages.create(model="lorem", messages=HI, max_tokens=5, stream=stream)


async def test_an_error_body_that_its_function_cannot_read_keeps_its_status(tmp_path: Path) -> None:
    service = LoremService()
    service.fail = Answer(status=503, body=b"<html>maintenance</html>")
    async with lorem(tmp_path, service, retryAttempts=0) as (_, gateway), gateway.openai() as client:
        with pytest.raises(openai.InternalServerError) as error:
            await client.chat.completions.create(model="lorem", messages=HI, stream=True)
    assert error.value.status_code == 503
    assert "maintenance" not in str(error.value)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_answer_that_its_function_cannot_read_is_a_502(tmp_path: Path, stream: bool) -> None:
    service = LoremService()
    service.fail = Answer(headers={"content-type": "application/json"}, body=b'{"text": "canary')
    async with lorem(tmp_path, service, retryAttempts=0) as (_, gateway), gateway.openai() as client:
        with pytest.raises(openai.InternalServerError) as error:
            await client.chat.completions.create(model="lorem", messages=HI, stream=stream)
    assert error.value.status_code == 502
    assert "canary" not in str(error.value)


async def test_an_error_in_mid_stream_is_told_in_band(tmp_path: Path) -> None:
    service = LoremService()
    service.in_stream = [{"detail": "ink ran out"}]
    said: list[Any] = []
    async with lorem(tmp_path, service) as (_, gateway), gateway.openai() as client:
        with pytest.raises(openai.APIError, match="ink ran out"):
            async for chunk in await client.chat.completions.create(model="lorem", messages=HI, stream=True):
                said.append(chunk.model_dump())
    assert facts.of_openai_stream(said).text == "".join(TOKENS[:2])


async def test_a_malformed_event_is_skipped(tmp_path: Path) -> None:
    service = LoremService()
    service.in_stream = [{"broken": 1}]
    async with lorem(tmp_path, service) as (_, gateway), gateway.openai() as client:
        stream = await client.chat.completions.create(model="lorem", messages=HI, stream=True)
        said = facts.of_openai_stream([chunk.model_dump() async for chunk in stream])
    assert (said.text, said.finish) == (TEXT, "stop")


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"style": "baroque"}, "models[0].config.style: expected one of 'plain', 'florid'"),
        ({"apiKey": None}, "models[0].config.apiKey"),
        ({"stile": "plain"}, "models[0].config.stile: unknown key; did you mean 'style'?"),
        ({"timeout": "soon"}, "models[0].config.timeout: expected integer, got string"),
        ({"baseUrl": "lorem.example"}, "baseUrl: expected an http:// or https:// URL"),
    ],
)
async def test_its_schema_is_enforced(tmp_path: Path, config: dict[str, Any], problem: str) -> None:
    path = tmp_path / "lorem_provider.py"
    path.write_text(LOREM)
    settings = {name: value for name, value in {"apiKey": "k", **config}.items() if value is not None}
    with pytest.raises(ConfigError) as error:
        async with serving([{"name": "l", "type": "lorem", "config": settings}], extensions=[path]):
            pass
    assert problem in str(error.value)


BARE = """
import trio

from providers import (
    ErrorKind, LLMResponse, Provider, ProviderError, extension, finish_chunk, text_chunk, text_response,
)


class Model:
    async def generate(self, prompt):
        for word in ("you ", "said ", prompt):
            await trio.sleep(0)
            yield word


@extension(
    name="bare",
    version="1.0.0",
    description="no HTTP",
    configuration_schema={"type": "object", "properties": {"mood": {"type": "string"}}},
)
class Bare(Provider):
    async def configure(self, config):
        self.mood = config.get("mood")
        self.model = Model()

    async def execute(self, request):
        if self.mood == "sick":
            raise RuntimeError("canary in execute")
        return text_response("whole")

{snippet}

    async def _nothing(self, request, emitter):
        pass

    async def _sick(self, request, emitter):
        raise RuntimeError("canary before the first chunk")

    async def _sick_later(self, request, emitter):
        await emitter.emit_chunk(text_chunk("half"), first=True)
        raise RuntimeError("canary after the first chunk")

    async def _nursery(self, request, emitter):
        async def fail():
            raise ProviderError("the pipe burst", kind=ErrorKind.OVERLOADED, status=529)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()

    async def _final(self, request, emitter):
        await emitter.emit_chunk(text_chunk("all"), first=True)
        await emitter.emit_chunk(emitter.accumulator.response(), final=True)
        await emitter.emit_chunk(text_chunk("too late"))

    async def _emitted_error(self, request, emitter):
        await emitter.emit_chunk(text_chunk("half"), first=True)
        await emitter.emit_error(ProviderError("it broke", kind=ErrorKind.SERVER, status=500))
        await emitter.emit_chunk(text_chunk("too late"))

    async def execute_in_mood(self, request, emitter):
        await getattr(self, "_" + self.mood)(request, emitter)


_from_the_guide = Bare.execute_streaming


async def _dispatch(self, request, emitter):
    if self.mood:
        return await self.execute_in_mood(request, emitter)
    return await _from_the_guide(self, request, emitter)


Bare.execute_streaming = _dispatch
"""


@asynccontextmanager
async def bare(folder: Path, mood: str | None = None, log: io.StringIO | None = None) -> AsyncIterator[Running]:
    """A gateway with the guide's provider without `HTTPProvider`; with a `mood` it does something else instead."""
    path = folder / "bare.py"
    path.write_text(BARE.replace("{snippet}", textwrap.indent(code_after("## Without `HTTPProvider`"), "    ")))
    config = {"mood": mood} if mood else {}
    async with serving([{"name": "m", "type": "bare", "config": config}], extensions=[path], log=log) as gateway:
        yield gateway


async def streams(gateway: Running) -> tuple[facts.Facts, facts.Facts]:
    """What the two SDKs read."""
    async with gateway.openai() as client:
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
        said = facts.of_openai_stream([chunk.model_dump() async for chunk in stream])
    async with gateway.anthropic() as other:
        events = await other.messages.create(model="m", messages=HI, max_tokens=5, stream=True)
        also = facts.of_anthropic_stream([event.model_dump() async for event in events])
    return said, also


async def test_the_provider_without_http_streams_and_answers_whole(tmp_path: Path) -> None:
    async with bare(tmp_path) as gateway:
        for said in await streams(gateway):
            assert (said.text, said.finish, said.failed) == ("you said hi", "stop", False)
        async with gateway.openai() as client:
            answer = await client.chat.completions.create(model="m", messages=HI)
    assert answer.choices[0].message.content == "whole"


async def test_a_provider_that_emits_nothing_gives_an_empty_answer(tmp_path: Path) -> None:
    async with bare(tmp_path, "nothing") as gateway:
        for said in await streams(gateway):
            assert (said.text, said.finish, said.failed) == ("", "stop", False)
        async with RawClient(gateway.port) as client:
            await client.ask(headers={"connection": "close"})
            received = await client.read_to_end()
    assert received.count(b'"finish_reason":"stop"') == 1
    assert received.count(b"data: [DONE]") == 1


async def test_the_final_call_may_be_the_provider_s_own_and_ends_the_stream(tmp_path: Path) -> None:
    async with bare(tmp_path, "final") as gateway:
        for said in await streams(gateway):
            assert (said.text, said.finish, said.failed) == ("all", "stop", False)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_plain_exception_is_a_500_whose_message_stays_inside(tmp_path: Path, stream: bool) -> None:
    log = io.StringIO()
    async with bare(tmp_path, "sick", log) as gateway:
        async with gateway.openai() as client:
            with pytest.raises(openai.InternalServerError) as error:
                await client.chat.completions.create(model="m", messages=HI, stream=stream)
        async with gateway.anthropic() as other:
            with pytest.raises(anthropic.InternalServerError) as also:
                await other.messages.create(model="m", messages=HI, max_tokens=5, stream=stream)
    for caught in (error.value, also.value):
        assert caught.status_code == 500
        assert "canary" not in str(caught.response.text)
    assert "canary" not in log.getvalue()
    assert "RuntimeError" in log.getvalue()
    assert "bare.py" in log.getvalue(), "the place in the code is logged"


@pytest.mark.parametrize(("mood", "message"), [("sick_later", "internal error"), ("emitted_error", "it broke")])
async def test_an_error_after_the_first_chunk_is_told_in_band(tmp_path: Path, mood: str, message: str) -> None:
    async with bare(tmp_path, mood) as gateway:
        for api, terminator in (("openai-chat", b"[DONE]"), ("anthropic-messages", b"message_stop")):
            async with RawClient(gateway.port) as client:
                await client.ask(api, headers={"connection": "close"})
                received = await client.read_to_end()
            assert received.startswith(b"HTTP/1.1 200 ")
            assert b"half" in received
            assert message.encode() in received
            assert terminator not in received
            assert b"too late" not in received
            assert b"canary" not in received


async def test_a_provider_error_inside_a_nursery_of_the_provider_is_the_client_s_error(tmp_path: Path) -> None:
    async with bare(tmp_path, "nursery") as gateway:
        async with gateway.openai() as client:
            with pytest.raises(openai.APIStatusError, match="the pipe burst") as error:
                await client.chat.completions.create(model="m", messages=HI, stream=True)
        async with gateway.anthropic() as other:
            with pytest.raises(anthropic.APIStatusError, match="the pipe burst") as also:
                await other.messages.create(model="m", messages=HI, max_tokens=5, stream=True)
    assert error.value.status_code == also.value.status_code == 529
    assert also.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]
