"""Which subjects a run has: every API of every provider class, by names that stay apart."""

from __future__ import annotations

import pytest

from conformance.replay import Play
from conformance.stage import open_stage
from conformance.subjects.base import Question
from conformance.subjects.configs import SubjectError
from conformance.subjects.gateway import open_gateway
from conformance.subjects.provider import open_provider
from conformance.subjects.speaker import Speaker, speakers_of
from conformance.wires import WIRES
from providers.builtin.openai import OpenAIProvider
from providers.builtin.openai_compatible import CompatibleProvider
from providers.extension import Config, extension
from providers.http import http_schema
from providers.replay.recording import BUNDLED, load_recording
from providers.wire.anthropic_messages import WIRE as ANTHROPIC

CLIENTS = [WIRES["openai-chat"], WIRES["anthropic-messages"]]


@extension(
    name="polyglot",
    version="1.0.0",
    configuration_schema=http_schema(baseUrl={}, speak={"enum": ["chat", "messages"], "default": "chat"}),
)
class Polyglot(CompatibleProvider):
    wires = {}
    variants = {"anthropic-messages": {"speak": "messages"}}

    async def configure(self, config: Config) -> None:
        await super().configure(config)
        if config["speak"] == "messages":
            self.wire = ANTHROPIC  # type: ignore[misc]
            self.api = ANTHROPIC.api


def test_a_class_with_variants_is_several_speakers() -> None:
    speakers = list(speakers_of(Polyglot, {"timeout": 1000}))
    assert [(one.name, one.model, one.wire.api, one.config) for one in speakers] == [
        ("polyglot", "polyglot", "openai-chat", {"timeout": 1000}),
        (
            "polyglot[anthropic-messages]",
            "polyglot.anthropic-messages",
            "anthropic-messages",
            {"timeout": 1000, "speak": "messages"},
        ),
    ]


async def test_a_variant_is_asked_in_its_own_api() -> None:
    _, variant = speakers_of(Polyglot)
    recording = load_recording(BUNDLED / "anthropic-messages" / "stream" / "text.json")
    async with open_stage() as stage, open_provider(variant, stage.url) as subject:
        answered = await subject.ask(Question(prompt=stage.prompt_for(Play(recording)), stream=True))
    assert subject.name == "provider:polyglot[anthropic-messages]"
    assert answered.failure is None
    assert answered.terminated
    assert answered.events[0].name == "message_start"


async def test_the_gateway_has_a_subject_for_each_speaker_and_client_api() -> None:
    async with open_stage() as stage, open_gateway(speakers_of(Polyglot), CLIENTS, stage.url) as subjects:
        names = [subject.name for subject in subjects]
        assert len(names) == len(set(names))
        assert "gateway:openai-chat>polyglot[anthropic-messages]" in names
        recording = load_recording(BUNDLED / "anthropic-messages" / "stream" / "text.json")
        for subject in subjects:
            if subject.upstream.api == "anthropic-messages":
                answered = await subject.ask(Question(prompt=stage.prompt_for(Play(recording)), stream=True))
                assert answered.failure is None, subject.name


def test_an_api_that_nobody_can_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Polyglot, "variants", {"smoke-signals": {}})
    with pytest.raises(SubjectError, match="'polyglot' speaks 'smoke-signals', which the suite cannot read"):
        list(speakers_of(Polyglot))


def test_speakers_are_plain_data() -> None:
    speaker = Speaker(cls=OpenAIProvider, wire=WIRES["openai-chat"])
    assert (speaker.name, speaker.model, speaker.variant) == ("openai", "openai", False)
