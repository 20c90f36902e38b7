"""The bundled plugins in a gateway, as the official SDKs meet them. What each does is tested in tests/proxy/plugins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import re2
import trio

from conformance.replay import DELIVERIES, FAULTS, Answer, Play, ReplayServer
from conformance.wires.openai_chat import WIRE as OPENAI_CHAT
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.plugins import PluginResult
from tests.support import facts
from tests.support.client import RawClient, body_for
from tests.support.gateway import HI, Running, gateway_to, model, serving, wait_until
from tests.support.plugins import plugin_class
from tests.support.process import triway_serving
from tests.support.reading import read_anthropic_stream, read_openai_stream
from tests.support.redis_server import needs_redis, redis_server

TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")
WHOLE = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")
AUTH = {"name": "basic-apikey-auth", "priority": 1, "config": {"keys": [{"id": "team-a", "key": "key-of-team-a"}]}}


# -- basic-apikey-auth -------------------------------------------------------------------------------------------------


async def test_only_known_keys_get_through_and_none_goes_upstream() -> None:
    async with gateway_to("openai-chat", Play(WHOLE), plugins=[AUTH]) as (upstream, gateway):
        async with gateway.openai(api_key="key-of-team-a") as client:
            await client.chat.completions.create(model="m", messages=HI)
        async with gateway.anthropic(api_key="key-of-team-a") as client:
            await client.messages.create(model="m", max_tokens=9, messages=HI)
        async with gateway.openai(api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError, match="not known") as refused:
                await client.chat.completions.create(model="m", messages=HI)
            assert refused.value.response.headers["www-authenticate"] == "Bearer"
            assert refused.value.code == "invalid_api_key"
        async with gateway.anthropic(api_key="wrong") as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.messages.create(model="m", max_tokens=9, messages=HI)
        assert upstream.received == 2
        assert not any(b"key-of-team-a" in value for request in upstream.requests for _, value in request.headers)


async def test_the_list_of_models_is_for_who_has_a_key_too() -> None:
    limited = {"id": "team-b", "key": "key-of-team-b", "models": ["other"]}
    plugin = {"name": "basic-apikey-auth", "config": {"keys": [limited]}}
    async with gateway_to("openai-chat", Play(WHOLE), plugins=[plugin]) as (_, gateway):
        async with gateway.openai(api_key="key-of-team-b") as client:
            assert [card.id for card in (await client.models.list()).data] == ["m"]
            assert (await client.models.retrieve("m")).id == "m"
        async with gateway.openai(api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError, match="not known") as refused:
                await client.models.list()
            assert refused.value.response.headers["www-authenticate"] == "Bearer"
        async with gateway.anthropic(api_key="wrong") as other:
            with pytest.raises(anthropic.AuthenticationError):
                await other.models.list()
        async with gateway.http() as plain:
            assert (await plain.get("/health")).status_code == 200


# -- regex-hider -------------------------------------------------------------------------------------------------------

PATTERN = r"\b[a-z]*(?:oo|ea|ou)[a-z]*\b"
HIDER = {"name": "regex-hider", "config": {"rules": [{"name": "word", "pattern": PATTERN}]}}


async def facts_through(gateway: Running, api: str) -> facts.Facts:
    """What the SDK of `api` makes of the gateway's stream."""
    if api == "openai-chat":
        async with gateway.openai() as client:
            return facts.of_openai_stream(await read_openai_stream(client))
    async with gateway.anthropic() as other:
        return facts.of_anthropic_stream(await read_anthropic_stream(other))


@pytest.mark.parametrize("client", ["openai-chat", "anthropic-messages"])
@pytest.mark.parametrize("api", ["openai-chat", "anthropic-messages"])
@pytest.mark.parametrize("kind", ["text", "reasoning", "tools"])
async def test_the_sdk_reads_the_same_message_but_for_what_is_hidden(client: str, api: str, kind: str) -> None:
    play = Play(load_recording(BUNDLED / api / "stream" / f"{kind}.json"), DELIVERIES["bytes-7"])

    def hidden(text: str) -> str:
        return str(re2.compile(PATTERN).sub("[WORD]", text))

    async with gateway_to(api, play) as (_, gateway):
        plain = await facts_through(gateway, client)
    async with gateway_to(api, play, plugins=[HIDER]) as (_, gateway):
        found = await facts_through(gateway, client)
    assert found.text == hidden(plain.text)
    assert found.reasoning == hidden(plain.reasoning)
    assert "[WORD]" in found.text + found.reasoning or kind == "tools"
    assert [name for name, _ in found.tool_calls] == [name for name, _ in plain.tool_calls]
    assert json.dumps(found.tool_calls) == hidden(json.dumps(plain.tool_calls))
    assert (found.finish, found.prompt_tokens, found.completion_tokens, found.failed) == (
        plain.finish,
        plain.prompt_tokens,
        plain.completion_tokens,
        False,
    )


def body_of(text: str) -> bytes:
    """A stream that says a text one character an event."""
    return b"".join(OPENAI_CHAT.framing.write(event) for event in OPENAI_CHAT.synthetic(text))


async def test_no_piece_of_a_secret_is_on_the_wire() -> None:
    """The provider sends it one character an event; what the client's socket gets is looked at as it comes."""
    secret = "sk-abcDEF123456"
    text = f"The key is {secret}, and ask is no key."
    plugin = {"name": "regex-hider", "config": {"rules": [{"name": "key", "pattern": "sk-[A-Za-z0-9]{6,20}"}]}}
    play = Play(Answer(headers={"content-type": "text/event-stream"}, body=body_of(text)))
    async with gateway_to("openai-chat", play, plugins=[plugin]) as (_, gateway), RawClient(gateway.port) as client:
        await client.ask(headers={"connection": "close"})
        body = await client.read_to_end()
    deltas = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
    said = "".join(facts.of_openai_stream([delta]).text for delta in deltas)
    assert said == "The key is [KEY], and ask is no key."
    shown = ""
    for delta in deltas:
        shown += facts.of_openai_stream([delta]).text
        assert "sk-" not in shown


async def test_hidden_on_the_way_in_and_put_back_on_the_way_out() -> None:
    rules = [{"name": "mail", "pattern": r"[a-z]+@[a-z]+\.com"}]
    plugin = {"name": "regex-hider", "config": {"rules": rules, "restore": True}}
    body = WHOLE.response.body.replace(b'"content": "', b'"content": "To [MAIL_1]: ', 1)
    assert body != WHOLE.response.body
    answer = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")
    answer.response.body = body
    async with gateway_to("openai-chat", Play(answer), plugins=[plugin]) as (upstream, gateway):
        async with gateway.openai() as client:
            said = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "write to ann@b.com"}]
            )
        assert b"ann@b.com" not in upstream.requests[0].body
        assert b"[MAIL_1]" in upstream.requests[0].body
        content = said.choices[0].message.content
        assert content is not None
        assert content.startswith("To ann@b.com: ")


@pytest.mark.parametrize("api", ["openai-chat", "anthropic-messages"])
async def test_plugins_that_look_at_requests_only_leave_streams_to_the_lossless_lane(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [{"name": "word", "pattern": PATTERN, "in": "request"}]
    plugins = [
        {"name": "guard", "config": {"maxMessages": 9, "maxOutputTokens": 1000}},
        {"name": "regex-hider", "config": {"rules": rules}},
    ]
    play = Play(load_recording(BUNDLED / api / "stream" / "text.json"), DELIVERIES["bytes-7"])
    path = "/v1/messages" if api == "anthropic-messages" else "/v1/chat/completions"
    monkeypatch.setattr("proxy.exchange.with_plugins.PluginEmitter", None)
    received: list[bytes] = []
    for entries in ((), plugins):
        async with gateway_to(api, play, plugins=entries) as (_, gateway), gateway.http() as client:
            body = {"model": "m", "messages": HI, "max_tokens": 9, "stream": True}
            received.append((await client.post(path, json=body)).content)
    assert received[0] == received[1]
    assert len(received[0]) > 500


async def test_what_a_failed_turn_held_back_is_no_part_of_the_next_one() -> None:
    """The first turn says `s`, which is held back, and fails; the next one says `Hello`."""
    again = plugin_class("again", on_model_error=lambda context: PluginResult(reevaluate_request=True))
    hider = {"name": "regex-hider", "config": {"rules": [{"name": "key", "pattern": "sk-[a-z]{6,20}"}]}}
    error = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
    head = {"content-type": "text/event-stream"}
    begun = body_of("s").split(b"\n\n")
    failing = b"\n\n".join(event for event in begun if b'finish_reason":"' not in event and b"[DONE]" not in event)
    plays = [Play(Answer(headers=head, body=failing + error)), Play(Answer(headers=head, body=body_of("Hello")))]
    async with gateway_to("openai-chat", plays, plugins=[again, hider]) as (upstream, gateway):
        said = await facts_through(gateway, "openai-chat")
    assert (said.text, upstream.received) == ("Hello", 2)


# -- rate-limit --------------------------------------------------------------------------------------------------------


async def test_a_limit_is_told_as_each_api_tells_it() -> None:
    limits = [{"name": "few", "requests": 2, "per": "day"}]
    plugin = {"name": "rate-limit", "config": {"limits": limits}}
    async with gateway_to("openai-chat", Play(WHOLE), plugins=[plugin]) as (upstream, gateway):
        async with gateway.openai() as client:
            first = await client.chat.completions.with_raw_response.create(model="m", messages=HI)
            assert first.headers["x-ratelimit-remaining-requests"] == "1"
            await client.chat.completions.create(model="m", messages=HI)
            with pytest.raises(openai.RateLimitError, match="2 requests per day") as refused:
                await client.chat.completions.create(model="m", messages=HI)
            assert int(refused.value.response.headers["retry-after"]) > 40_000
            assert refused.value.response.headers["x-ratelimit-remaining-requests"] == "0"
            assert refused.value.code == "rate_limit_exceeded"
        async with gateway.anthropic() as other:
            with pytest.raises(anthropic.RateLimitError) as refusal:
                await other.messages.create(model="m", max_tokens=9, messages=HI)
            assert refusal.value.response.headers["anthropic-ratelimit-requests-limit"] == "2"
        assert upstream.received == 2


async def test_exact_under_500_concurrent_requests() -> None:
    plugin = {"name": "rate-limit", "config": {"limits": [{"name": "x", "requests": 100, "per": "day"}]}}
    statuses: list[int] = []
    async with gateway_to("openai-chat", Play(WHOLE), plugins=[plugin]) as (upstream, gateway):

        async def ask() -> None:
            async with RawClient(gateway.port) as client:
                await client.ask(stream=False, headers={"connection": "close"})
                statuses.append(int((await client.read_to_end()).split(b" ")[1]))

        async with trio.open_nursery() as nursery:
            for _ in range(500):
                nursery.start_soon(ask)
        assert (statuses.count(200), statuses.count(429)) == (100, 400)
        assert upstream.received == 100


@needs_redis
async def test_two_workers_count_together_in_redis(tmp_path: Path) -> None:
    """Exact over two processes of a gateway, 500 requests at the same time."""
    with redis_server(tmp_path) as url:
        config = {"limits": [{"name": "x", "requests": 100, "per": "day"}], "redis": {"url": url, "timeout": 20_000}}
        statuses: list[int] = []
        async with (
            ReplayServer(Play(WHOLE)) as upstream,
            triway_serving(
                tmp_path,
                [model("openai-chat", upstream.url)],
                server={"workers": 2},
                plugins=[{"name": "rate-limit", "config": config}],
            ) as gateway,
        ):

            async def ask() -> None:
                async with RawClient(gateway.port) as client:
                    await client.ask(stream=False, headers={"connection": "close"})
                    statuses.append(int((await client.read_to_end()).split(b" ")[1]))

            with trio.fail_after(60):
                async with trio.open_nursery() as nursery:
                    for _ in range(500):
                        nursery.start_soon(ask)
            assert (statuses.count(200), statuses.count(429)) == (100, 400)
            assert upstream.received == 100


async def test_slots_come_back_when_clients_leave() -> None:
    plugin = {"name": "rate-limit", "config": {"limits": [{"name": "x", "concurrency": 1}]}}
    silent = Play(TEXT, fault=FAULTS["silent"])
    async with gateway_to("openai-chat", [silent, Play(WHOLE)], plugins=[plugin]) as (upstream, gateway):
        async with RawClient(gateway.port) as client:
            await client.ask()
            await upstream.wait_received()
            async with gateway.openai() as other:
                with pytest.raises(openai.RateLimitError, match="1 requests at the same time"):
                    await other.chat.completions.create(model="m", messages=HI)
        await wait_until(lambda: not gateway.gateway.exchanges)
        async with gateway.openai() as other:
            await other.chat.completions.create(model="m", messages=HI)


# -- cache -------------------------------------------------------------------------------------------------------------


async def test_the_same_question_again_is_not_asked_again_whatever_the_api() -> None:
    async with gateway_to("openai-chat", Play(TEXT), plugins=[{"name": "cache"}]) as (upstream, gateway):
        first = await facts_through(gateway, "openai-chat")
        await wait_until(lambda: not gateway.gateway.exchanges)
        await trio.sleep(0.1)  # what is kept is kept when the client has its answer
        again = await facts_through(gateway, "openai-chat")
        assert again == first
        assert upstream.received == 1
        async with gateway.http() as client:
            response = await client.post("/v1/chat/completions", json=body_for("openai-chat", stream=True))
            assert response.headers["x-triway-cache"] == "hit"
            assert response.content.count(b"data: ") > 2
            assert response.content.endswith(b"data: [DONE]\n\n")
            opted_out = await client.post(
                "/v1/chat/completions",
                json=body_for("openai-chat", stream=True),
                headers={"x-triway-cache": "no-cache"},
            )
            assert opted_out.headers["x-triway-cache"] == "bypass"
        assert upstream.received == 2


# -- prompt-manager, guard, logger -------------------------------------------------------------------------------------


async def test_a_prompt_reaches_the_model_in_its_own_api() -> None:
    plugin = {"name": "prompt-manager", "config": {"prompt": {"mode": "before", "content": "Be brief."}}}
    async with gateway_to("anthropic-messages", _anthropic_whole(), plugins=[plugin]) as (upstream, gateway):
        async with gateway.openai() as client:
            await client.chat.completions.create(model="m", messages=HI, max_tokens=9)
        async with gateway.anthropic() as other:
            await other.messages.create(model="m", max_tokens=9, messages=HI, system="Old.")
        sent = [json.loads(request.body)["system"] for request in upstream.requests]
    flat = ["".join(block["text"] for block in system) if isinstance(system, list) else system for system in sent]
    assert flat == ["Be brief.", "Be brief.\n\nOld."]


def _anthropic_whole() -> Play:
    return Play(load_recording(BUNDLED / "anthropic-messages" / "json" / "text.json"))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_breaks_its_schema_is_an_error_and_never_a_whole_one(stream: bool) -> None:
    plugin = {"name": "guard", "config": {"structuredOutput": "check"}}
    wanted: Any = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"type": "object", "required": ["a"]}},
    }
    play = Play(TEXT if stream else WHOLE)
    async with gateway_to("openai-chat", play, plugins=[plugin]) as (_, gateway), gateway.openai() as client:
        with pytest.raises(openai.APIError, match="does not follow the JSON schema"):
            answer = await client.chat.completions.create(model="m", messages=HI, response_format=wanted, stream=stream)
            if stream:
                async for _ in answer:
                    pass


async def test_records_of_good_failed_and_abandoned_requests(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    plugin = {"name": "logger", "config": {"file": str(file), "content": "both"}}
    plays = [Play(TEXT), Play(TEXT, fault=FAULTS["500-json"]), Play(TEXT, fault=FAULTS["stall-between-events"])]
    async with gateway_to("openai-chat", plays, plugins=[plugin]) as (_, gateway):
        await facts_through(gateway, "openai-chat")
        async with gateway.openai() as client:
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="m", messages=HI, stream=True)
        async with RawClient(gateway.port) as leaving:
            await leaving.ask()
            await leaving.read_until(b"data: ")
        await wait_until(lambda: not gateway.gateway.exchanges)
        await wait_until(lambda: file.read_text().count("\n") == 3)
    # Detached work is done side by side: the records come in any order.
    records = {record["status"]: record for record in map(json.loads, file.read_text().splitlines())}
    good, failed, left = (records[status] for status in (200, 500, 499))
    assert good["answer"][0]["content"][0]["text"]
    assert good["usage"]["completion_tokens"] > 0
    assert failed["error"] == "server_error"
    assert left["departed"] == "disconnect"
    assert left["answer"][0]["content"], "what the client was sent until then"


async def test_they_work_together(tmp_path: Path) -> None:
    """A key, a limit of its own, a route with a fallback, words hidden, and a record of all of it."""
    file = tmp_path / "records.jsonl"
    plugins = [
        AUTH,
        {"name": "rate-limit", "priority": 2, "config": {"limits": [{"name": "k", "by": ["key"], "requests": 5}]}},
        {"name": "model-router", "priority": 3, "config": {"model": "a", "fallbacks": ["b"]}},
        {**HIDER, "priority": 4},
        {"name": "logger", "priority": 5, "config": {"file": str(file)}},
    ]
    broken = Play(TEXT, fault=FAULTS["503-html"])
    async with ReplayServer(broken) as one, ReplayServer(Play(TEXT)) as two:
        models = [model("openai-chat", one.url, name="a"), model("openai-chat", two.url, name="b")]
        async with serving(models, plugins=plugins) as gateway:
            async with gateway.http(headers={"authorization": "Bearer key-of-team-a"}) as client:
                response = await client.post("/v1/chat/completions", json=body_for("openai-chat", stream=True))
            await wait_until(lambda: file.read_text().count("\n") == 1)
    assert response.headers["x-triway-model"] == "b"
    assert response.headers["x-ratelimit-remaining-requests"] == "4"
    assert b"[WORD]" in response.content
    record = json.loads(file.read_text())
    assert (record["key_id"], record["status"]) == ("team-a", 200)
