"""Faults of the decoded view alone: the bytes are right, and a detail beside the text is wrong.

A client of the provider's own API gets the bytes; whoever reads what was decoded (plugins, and clients of other APIs)
gets the fault. Each is caught in the provider class itself, and in a gateway by a client whose API can say the detail.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from conformance.bench import Bench
from conformance.cases import load_takes
from conformance.deliveries import run_deliveries
from conformance.result import Result
from conformance.stage import Stage, open_stage
from conformance.subjects.base import Subject
from conformance.subjects.gateway import open_gateway
from conformance.subjects.provider import open_provider
from conformance.subjects.speaker import Speaker
from conformance.wires import WIRES
from providers.builtin.openai import OpenAIProvider
from providers.provider import Provider
from tests.conformance.planted import decoding

PLANTED: Sequence[tuple[type[Provider], str, str, str]] = (
    (decoding.LosesCallIds, "tools", "same message", ""),
    (decoding.GivesAllCallsOneId, "tools", "same message", "anthropic-messages"),
    (decoding.GarblesOtherChoices, "choices", "same message", "gemini-generate"),
    (decoding.LosesUsageDetails, "reasoning", "usage", "anthropic-messages"),
    (decoding.LosesUsageDetails, "reasoning", "usage", "openai-responses"),
    (decoding.LosesCitations, "annotations", "same message", ""),
    (decoding.LosesLogprobs, "logprobs", "same message", ""),
    (decoding.TakesRefusalsForText, "refusal", "same message", "openai-responses"),
    (decoding.NamesTheAnswerAnew, "text", "same message", ""),
)
"""Each with the recording that has the detail, the check, and the client API that can say it, if one other can."""
IDS = [f"{cls.__name__}-{api or 'provider'}" for cls, _, _, api in PLANTED]


async def asked(stage: Stage, subject: Subject, recording: str) -> list[Result]:
    bench = Bench(stage, [subject], deliveries=run_deliveries(0), only=["*::event"])
    take = next(one for one in load_takes([]) if one.key == f"bundled/openai-chat/stream/{recording}")
    return [result async for result in bench.run_take(take)]


def failed(results: Sequence[Result]) -> set[str]:
    return {result.check for result in results if result.outcome == "failed"}


async def of_provider(cls: type[Provider], recording: str) -> list[Result]:
    speaker = Speaker(cls=cls, wire=WIRES[cls.api])
    async with open_stage() as stage, open_provider(speaker, stage.url) as subject:
        return await asked(stage, subject, recording)


async def of_gateway(cls: type[Provider], recording: str, api: str) -> list[Result]:
    speaker = Speaker(cls=cls, wire=WIRES[cls.api])
    async with open_stage() as stage, open_gateway([speaker], [WIRES[api]], stage.url) as (subject,):
        return await asked(stage, subject, recording)


@pytest.mark.parametrize(("cls", "recording", "check", "api"), PLANTED, ids=IDS)
async def test_a_detail_that_is_wrong_is_caught(cls: type[Provider], recording: str, check: str, api: str) -> None:
    assert failed(await of_provider(cls, recording)) == {check}
    if api:
        assert failed(await of_gateway(cls, recording, api)) == {check}


@pytest.mark.parametrize("recording", sorted({recording for _, recording, *_ in PLANTED}))
@pytest.mark.parametrize("api", ["anthropic-messages", "openai-responses", "gemini-generate", "openai-chat"])
async def test_a_sound_provider_passes(recording: str, api: str) -> None:
    assert not failed(await of_provider(OpenAIProvider, recording))
    assert not failed(await of_gateway(OpenAIProvider, recording, api))
