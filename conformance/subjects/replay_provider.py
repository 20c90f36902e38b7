"""The `replay` provider: it plays a file, so it is made anew for each recording; a delivery is its chunk size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance.answered import Answered, Failure
from conformance.replay import Delivery
from conformance.subjects.base import Question, Subject, Traits
from conformance.subjects.provider import ask_provider, close_all, configured
from conformance.wires import WireFormat
from providers.extension import check_config
from providers.provider import Provider
from providers.replay.recording import Recording, save_recording

CHUNK_SIZES: dict[str, int | None] = {"event": None, "bytes-1": 1, "bytes-7": 7, "whole": 1 << 20}
"""What a delivery is in this provider's words. The others mean nothing to it: it has no wire."""


def name_of(cls: type[Provider], wire: WireFormat) -> str:
    return f"provider:{cls.metadata.name}/{wire.short}"


class ReplaySubject(Subject):
    def __init__(self, cls: type[Provider], wire: WireFormat, folder: Path) -> None:
        self.name = name_of(cls, wire)
        self.wire = self.upstream = wire
        self.traits = Traits(http=False, replayed=False)
        self._cls = cls
        self._folder = folder
        self._saved: tuple[Recording, Path] | None = None
        self._config: dict[str, object] = {}

    async def prepare(self, recording: Recording, delivery: Delivery) -> bool:
        if delivery.name not in CHUNK_SIZES:
            return False
        if self._saved is None or self._saved[0] is not recording:
            # Under one name, so that none is left beside it as its twin.
            alone = self._folder / str(recording.kind)
            for old in alone.glob("*/*/*"):
                old.unlink()
            path = save_recording(recording, alone)
            self._saved = recording, path
        size = CHUNK_SIZES[delivery.name]
        self._config = {"api": self.wire.api, "file": str(self._saved[1]), "pace": 0}
        if size is not None:
            self._config["chunkSize"] = size
        return True

    async def ask(self, question: Question) -> Answered:
        filled, problems = check_config(self._cls.metadata.configuration_schema, self._config)
        verdict = problems[0].message if problems else self._cls().validate_config(filled)
        if verdict is not True:
            return Answered(failure=Failure(message=f"the recording was refused: {verdict}", shaped=False))
        provider = await configured(self._cls, filled)
        try:
            return await ask_provider(provider, self.wire, question)
        finally:
            await close_all([provider])


@asynccontextmanager
async def open_replay_provider(
    cls: type[Provider], wire: WireFormat, url: str, config: Mapping[str, object] = {}
) -> AsyncIterator[ReplaySubject]:
    with TemporaryDirectory(prefix="triway-conformance-") as folder:
        yield ReplaySubject(cls, wire, Path(folder))
