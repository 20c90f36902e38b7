"""A plugin that has the model asked again, in place of a stream or in its middle, and what came before."""

from __future__ import annotations

import json

import anthropic
import openai
import pytest

from conformance.replay import FAULTS, Answer, Play
from providers.model import TextPart, text_chunk
from providers.replay.provider import BUNDLED
from providers.replay.recording import load_recording
from proxy.plugins import ContextUpdate, PluginContext, PluginResult
from tests.gateway.test_plugins import APIS, play, post, said
from tests.support.gateway import gateway_to
from tests.support.plugins import plugin_class


@pytest.mark.parametrize("api", APIS)
async def test_a_stream_is_asked_for_again_before_its_first_byte(api: str) -> None:
    def again(context: PluginContext) -> PluginResult | None:
        if context.retry_count == 2:
            return None
        return PluginResult(emit_chunk=False) if not context.final_chunk else PluginResult(reevaluate_request=True)

    async with gateway_to(api, play(api), plugins=[plugin_class("again", after_chunk=again)]) as (upstream, gateway):
        found = await said(gateway, api)
        assert upstream.received == 3
    async with gateway_to(api, play(api)) as (_, gateway):
        once = await said(gateway, api)
    assert found.text == once.text


@pytest.mark.parametrize("api", APIS)
async def test_a_stream_goes_on_with_another_answer(api: str) -> None:
    """The turn's finish is taken away, and the next turn follows in the same message."""

    def go_on(context: PluginContext) -> PluginResult | None:
        if context.retry_count or not context.final_chunk:
            return None
        return PluginResult(continue_request=True)

    async with gateway_to(api, play(api), plugins=[plugin_class("goes-on", after_chunk=go_on)]) as (upstream, gateway):
        found = await said(gateway, api)
        assert upstream.received == 2
    async with gateway_to(api, play(api)) as (_, gateway):
        once = await said(gateway, api)
    assert found.text == once.text * 2
    assert found.finish == once.finish
    assert found.completion_tokens == (once.completion_tokens or 0) * 2


@pytest.mark.parametrize("status", [503, 529])
@pytest.mark.parametrize("api", APIS)
async def test_a_turn_that_fails_after_the_first_one_is_told_in_band(api: str, status: int) -> None:
    """The provider's refusal is a JSON body; in a stream that has begun it must be an event, or SDKs see a good end."""
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}
    refusal = Answer(status=status, headers={"content-type": "application/json"}, body=json.dumps(body).encode())

    def go_on(context: PluginContext) -> PluginResult | None:
        return PluginResult(continue_request=True) if context.final_chunk else None

    plugins = [plugin_class("goes-on", after_chunk=go_on)]
    async with gateway_to(api, [play(api), Play(refusal)], plugins=plugins) as (upstream, gateway):
        with pytest.raises((openai.APIError, anthropic.APIStatusError)) as told:
            await said(gateway, api)
        assert "overloaded" in str(told.value)
        assert upstream.received == 2


@pytest.mark.parametrize("api", APIS)
async def test_what_a_plugin_around_holds_goes_on_in_the_next_turn(api: str) -> None:
    """To the outer plugin the turns are one stream; what it keeps of the one is joined by the next."""

    def go_on(context: PluginContext) -> PluginResult | None:
        return PluginResult(continue_request=True) if context.final_chunk and not context.retry_count else None

    def hold(context: PluginContext) -> PluginResult | None:
        context.stream_data["seen"] = context.stream_data.get("seen", 0) + 1
        if not context.final_chunk:
            return PluginResult(emit_chunk=False)
        seen.append(context.stream_data["seen"])
        return None

    seen: list[int] = []
    plugins = [
        plugin_class("holds", after_chunk=hold),
        plugin_class("goes-on", after_chunk=go_on),
    ]
    async with gateway_to(api, play(api), plugins=plugins) as (_, gateway):
        found = await said(gateway, api)
    async with gateway_to(api, play(api)) as (_, gateway):
        once = await said(gateway, api)
    assert found.text == once.text * 2
    assert len(seen) == 1


def keep(context: PluginContext) -> PluginResult:
    """Keep a stream's text to its end, where it says it."""
    kept: list[str] = context.stream_data.setdefault("text", [])
    if context.final_chunk:
        return PluginResult(context=ContextUpdate(chunk=text_chunk("".join(kept))))
    assert context.chunk is not None
    for choice in context.chunk.choices:
        kept += [part.text for part in choice.delta.content if isinstance(part, TextPart)] if choice.delta else []
    return PluginResult(emit_chunk=False)


@pytest.mark.parametrize("api", APIS)
async def test_what_was_kept_of_a_stream_that_is_void_is_gone(api: str) -> None:
    def again(context: PluginContext) -> PluginResult | None:
        return (
            PluginResult(reevaluate_request=True) if context.final_chunk and not context.retry_count else keep(context)
        )

    async with gateway_to(api, play(api), plugins=[plugin_class("keeps", after_chunk=again)]) as (upstream, gateway):
        found = await said(gateway, api)
        assert upstream.received == 2
    async with gateway_to(api, play(api)) as (_, gateway):
        once = await said(gateway, api)
    assert found.text == once.text
    assert found.completion_tokens == (once.completion_tokens or 0) * 2


@pytest.mark.parametrize("api", APIS)
async def test_what_was_kept_of_a_stream_that_failed_is_gone(api: str) -> None:
    def ask_again(context: PluginContext) -> PluginResult:
        return PluginResult(reevaluate_request=True)

    plugins = [plugin_class("keeps", after_chunk=keep), plugin_class("again", on_model_error=ask_again)]
    cut = Play(load_recording(BUNDLED / api / "stream" / "text.json"), fault=FAULTS["fin-between-events"])
    async with gateway_to(api, [cut, play(api)], plugins=plugins) as (upstream, gateway):
        found = await said(gateway, api)
        assert upstream.received == 2
    async with gateway_to(api, play(api)) as (_, gateway):
        once = await said(gateway, api)
    assert found.text == once.text


@pytest.mark.parametrize("api", APIS)
async def test_a_whole_answer_of_several_turns_has_the_usage_of_all(api: str) -> None:
    def again(context: PluginContext) -> PluginResult | None:
        return PluginResult(reevaluate_request=True) if context.retry_count < 2 else None

    whole = play(api, shape="json")
    async with gateway_to(api, whole, plugins=[plugin_class("again", after_model=again)]) as (_, gateway):
        found = (await post(gateway, api, stream=False)).json()["usage"]
    async with gateway_to(api, whole) as (_, gateway):
        once = (await post(gateway, api, stream=False)).json()["usage"]
    name = "completion_tokens" if api == "openai-chat" else "output_tokens"
    assert found[name] == once[name] * 3
