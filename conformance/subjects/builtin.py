"""The subjects of a plain run: every provider of the registry, and this gateway with every client API before each.

A provider that cannot be tested fails the run, so that none can be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

from conformance.subjects.speaker import Speaker, speakers_of, with_depths
from conformance.wires import WIRES, WireFormat
from providers.provider import Provider
from providers.registry import provider_registry

CONFIGS: dict[str, Mapping[str, object]] = {"bedrock": {"region": "us-east-1"}}
"""What a provider type needs beside what its schema tells; see `configs.complete_config`."""

WITHOUT_WIRE = "replay"
"""The one provider that plays recordings of any API itself."""


def builtin_speakers() -> list[Speaker]:
    """Every built-in provider that calls a service, once for each API that it speaks. Raises `SubjectError`."""
    return with_depths(
        [
            speaker
            for name, cls in provider_registry().items()
            if name != WITHOUT_WIRE
            for speaker in speakers_of(cls, CONFIGS.get(name, {}))
        ]
    )


def replay_provider() -> type[Provider]:
    return provider_registry().get(WITHOUT_WIRE)


def replayed_wires(cls: type[Provider]) -> list[WireFormat]:
    """The APIs whose recordings it plays and the suite can read. One that no provider speaks yet may be missing."""
    apis: list[str] = cls.metadata.configuration_schema["properties"]["api"]["enum"]
    return [WIRES[api] for api in apis if api in WIRES]
