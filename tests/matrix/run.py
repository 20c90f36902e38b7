"""Every client before every provider, over the bundled recordings, streamed and whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import msgspec

from conformance.facts import Facts
from conformance.oracles import oracle_of
from conformance.replay import Play
from conformance.stage import Stage, open_stage
from conformance.subjects.configs import complete_config
from conformance.subjects.speaker import Speaker
from conformance.wires import WireFormat
from providers.replay.recording import BUNDLED, Kind, Recording, load_recordings
from tests.matrix.clients import Ask, Client, Said, ask_all
from tests.matrix.judging import differing, exactly
from tests.support.gateway import Running, serving

TOOLS = "tools"
CONTENTS = ("text", "reasoning", TOOLS)
KINDS: tuple[Kind, ...] = ("stream", "json")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one client made of one recording through the gateway."""

    client: Client
    speaker: Speaker
    recording: Recording
    differing: list[str]
    exact: bool | None
    """Field for field as without the gateway; None: the two sides speak different APIs."""

    @property
    def problems(self) -> list[str]:
        """In sentences; empty: it is as it must be."""
        found = [*self.differing, *(["not what the SDK holds without the gateway"] if self.exact is False else [])]
        how = "streamed" if self.recording.kind == "stream" else "whole"
        return [f"{self.client.name} < {self.speaker.name}, {self.recording.name} {how}: {one}" for one in found]


def recordings_of(wire: WireFormat) -> list[Recording]:
    """Text, reasoning and tool calls of an API, streamed and whole."""
    found = [
        recording
        for kind in KINDS
        for recording in load_recordings(BUNDLED, api=wire.api, kind=kind)
        if recording.name in CONTENTS
    ]
    missing = len(CONTENTS) * len(KINDS) - len(found)
    if missing:
        raise LookupError(f"{wire.api} lacks {missing} of the bundled recordings {', '.join(CONTENTS)}")
    return found


def recordings_for(speaker: Speaker) -> list[Recording]:
    """Those that its vendor could have sent: one that takes no tools calls none, and refuses a caller's by name."""
    takes_tools = "tools" in speaker.cls.capabilities()
    return [recording for recording in recordings_of(speaker.wire) if takes_tools or recording.name != TOOLS]


async def run(clients: Sequence[Client], speakers: Sequence[Speaker]) -> list[Outcome]:
    """An outcome for each client, speaker and recording."""
    async with open_stage() as stage, gateway_for(speakers, stage.url) as gateway:
        told = await _told(stage, {speaker.wire.api: speaker.wire for speaker in speakers}.values())
        straight: list[Ask] = []
        through: list[Ask] = []
        pairs: list[tuple[Client, Speaker, Recording]] = []
        for client in clients:
            for speaker in speakers:
                for recording in recordings_for(speaker):
                    names = tuple(dict.fromkeys(name for name, _ in told[_key(recording)].tool_calls))
                    ask = Ask(
                        client=client,
                        url=gateway.url,
                        model=speaker.model,
                        prompt=stage.prompt_for(Play(recording)),
                        stream=recording.kind == "stream",
                        tools=names,
                    )
                    through.append(ask)
                    pairs.append((client, speaker, recording))
                    if client.api == speaker.wire.api:
                        straight.append(msgspec.structs.replace(ask, url=stage.url))
        said = await ask_all([*straight, *through])
    alone = dict(zip((ask.prompt for ask in straight), said, strict=False))
    outcomes = []
    for (client, speaker, recording), ask, received in zip(pairs, through, said[len(straight) :], strict=True):
        without: Said | None = alone.get(ask.prompt)
        outcomes.append(
            Outcome(
                client=client,
                speaker=speaker,
                recording=recording,
                differing=differing(client, speaker.wire, told[_key(recording)], received),
                exact=None if without is None else exactly(without, received),
            )
        )
    return outcomes


@asynccontextmanager
async def gateway_for(speakers: Sequence[Speaker], upstream: str) -> AsyncIterator[Running]:
    """With a model for each speaker, named as `Speaker.model` is. Nothing is tried twice: failures are compared too."""
    models = [
        {
            "name": speaker.model,
            "type": speaker.cls.metadata.name,
            "config": complete_config(speaker.cls, upstream, {**speaker.config, "retryAttempts": 0}),
        }
        for speaker in speakers
    ]
    async with serving(models) as running:
        yield running


def _key(recording: Recording) -> tuple[str, Kind, str]:
    return recording.api, recording.kind, recording.name


async def _told(stage: Stage, wires: Collection[WireFormat]) -> dict[tuple[str, Kind, str], Facts]:
    """What each recording says, by the SDK of its own API, straight from the replay server."""
    told = {}
    for wire in wires:
        oracle = oracle_of(wire.api)
        assert oracle is not None
        for recording in recordings_of(wire):
            prompt = stage.prompt_for(Play(recording))
            reading = await oracle(stage.url, "m", prompt, recording.kind == "stream")
            assert reading.error is None, (recording.name, reading.error)
            told[_key(recording)] = reading.facts
    return told
