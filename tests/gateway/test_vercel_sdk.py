"""The Vercel AI SDK, run by node: each of its packages through the gateway, to every provider API.

All packages are asked by one process, because node and the SDK take a second to start.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from conformance.replay import DELIVERIES, Play
from conformance.stage import open_stage
from providers.replay.recording import BUNDLED, load_recordings
from tests.matrix.clients import CLIENTS, Ask, ask_all
from tests.matrix.judging import exactly
from tests.matrix.rows import wire_speakers
from tests.matrix.run import CONTENTS, gateway_for, run
from tests.support import vercel

pytestmark = pytest.mark.skipif(bool(vercel.why_not()), reason=vercel.why_not() or "it is here")

PACKAGES = [client for client in CLIENTS if client.vercel]
TOOLS = ("get_tide", "get_departures")
"""What the recorded calls call."""


def plays(api: str) -> Iterator[tuple[str, Play, bool]]:
    """Every bundled recording of an API, streams in other pieces too; errors to a stream and to a whole answer."""
    for recording in load_recordings(BUNDLED, api=api):
        name = f"{recording.kind}/{recording.name}"
        if recording.kind != "json":
            yield name, Play(recording), True
        if recording.kind != "stream":
            yield name, Play(recording), False
        elif recording.name in CONTENTS:
            yield f"{name}, bytes-7", Play(recording, DELIVERIES["bytes-7"]), True


async def test_same_api_equals_field_for_field() -> None:
    """Parts, accumulated answer and error are those that the SDK has without the gateway."""
    speakers = {speaker.wire.api: speaker for speaker in wire_speakers()}
    async with open_stage() as stage, gateway_for(list(speakers.values()), stage.url) as gateway:
        straight = [
            Ask(
                client=client,
                url=stage.url,
                model=speakers[client.api].model,
                prompt=stage.prompt_for(play),
                stream=stream,
                tools=TOOLS,
            )
            for client in PACKAGES
            for _, play, stream in plays(client.api)
        ]
        through = [msgspec.structs.replace(ask, url=gateway.url) for ask in straight]
        said = await ask_all([*straight, *through])
    expected, received = said[: len(straight)], said[len(straight) :]
    assert 0 < sum(bool(one.error) for one in expected) < len(expected) / 2
    names = [f"{client.name}: {name}" for client in PACKAGES for name, _, _ in plays(client.api)]
    assert [
        (name, alone.error, with_gateway.error)
        for name, alone, with_gateway in zip(names, expected, received, strict=True)
        if not exactly(alone, with_gateway)
    ] == []


async def test_every_provider_api_says_the_same() -> None:
    """Text, reasoning, calls, finish reason and usage, streamed and whole, as the provider's own SDK reads them."""
    outcomes = await run(PACKAGES, wire_speakers())
    assert {outcome.client.name for outcome in outcomes} == {client.name for client in PACKAGES}
    assert [problem for outcome in outcomes for problem in outcome.problems] == []
