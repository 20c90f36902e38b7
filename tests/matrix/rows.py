"""The rows: every provider type of the registry, once for each API that it speaks; the presets are one row."""

from __future__ import annotations

import msgspec

from conformance.subjects.builtin import builtin_speakers
from conformance.subjects.speaker import Speaker

PRESETS = "presets of `openai-compatible`"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    speakers: tuple[Speaker, ...]
    """One, but for the presets."""


def rows() -> list[Row]:
    """In the registry's order, the presets last."""
    speakers = builtin_speakers()
    own = [speaker for speaker in speakers if not speaker.cls.metadata.preset_of]
    presets = tuple(speaker for speaker in speakers if speaker.cls.metadata.preset_of)
    return [*(Row(title=_title(one), speakers=(one,)) for one in own), Row(title=PRESETS, speakers=presets)]


def wire_speakers() -> list[Speaker]:
    """One provider for each API that providers speak: the first whose code no other stands for."""
    chosen: dict[str, Speaker] = {}
    for speaker in sorted(builtin_speakers(), key=lambda speaker: speaker.depth != "full"):
        chosen.setdefault(speaker.wire.api, speaker)
    return list(chosen.values())


def _title(speaker: Speaker) -> str:
    chosen = f" with `api: {speaker.config['api']}`" if speaker.variant else ""
    return f"`{speaker.cls.metadata.name}`{chosen}"
