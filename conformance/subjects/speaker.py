"""`Speaker`: a provider class and one API that it speaks. A class that speaks several, as configured, is several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from conformance.subjects.base import Depth
from conformance.subjects.configs import SubjectError
from conformance.wires import WIRES, WireFormat
from providers.http import WireProvider
from providers.provider import Provider


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    cls: type[Provider]
    wire: WireFormat
    config: Mapping[str, object] = {}
    """What its schema does not tell, and what chooses the API."""
    variant: bool = False
    """The API is not the class's own, but one of its `variants`."""
    depth: Depth = "full"

    @property
    def name(self) -> str:
        """`openai`, or `openai[openai-responses]` for a variant."""
        own = self.cls.metadata.name
        return f"{own}[{self.wire.api}]" if self.variant else own

    @property
    def model(self) -> str:
        """A model name that no path and no pattern takes for something else."""
        return self.name.replace("[", ".").replace("]", "")


def speakers_of(cls: type[Provider], config: Mapping[str, object] = {}) -> Iterator[Speaker]:
    """One for each API of the class. Raises `SubjectError` for an API that the suite cannot read."""
    yield Speaker(cls=cls, wire=wire_of(cls, cls.api), config=config)
    for api, chosen in cls.variants.items():
        yield Speaker(cls=cls, wire=wire_of(cls, api), config={**config, **chosen}, variant=True)


def wire_of(cls: type[Provider], api: str) -> WireFormat:
    """The wire format of an API. Raises `SubjectError` if the suite cannot read it."""
    if api in WIRES:
        return WIRES[api]
    raise SubjectError(
        f"provider '{cls.metadata.name}' speaks {api or 'an API that it does not name'!r}, "
        "which the suite cannot read: add its wire format to conformance/wires"
    )


_READS_ANSWERS = (
    "execute",
    "execute_streaming",
    "stream_decoder",
    "response_in",
    "chunk_in",
    "error_in",
    "stream_content_types",
)
"""What of a provider class, beside its codec, decides how answers are read."""


def with_depths(speakers: Sequence[Speaker]) -> list[Speaker]:
    """The speakers in their order, each with the depth that still says something beside the others.

    Of those that read alike, the class that adds least to what it inherits stands for the code; of several such, the
    one that the API is named after.
    """

    def precedence(speaker: Speaker) -> tuple[int, bool]:
        return len(speaker.cls.__mro__), not speaker.wire.api.startswith(speaker.cls.metadata.name)

    chosen: list[Speaker] = []
    for speaker in sorted(speakers, key=precedence):
        if not speaker.cls.metadata.preset_of and not any(_reads_alike(speaker, other) for other in chosen):
            chosen.append(speaker)
    return [msgspec.structs.replace(speaker, depth=_depth(speaker, chosen)) for speaker in speakers]


def _depth(speaker: Speaker, chosen: Sequence[Speaker]) -> Depth:
    if speaker.cls.metadata.preset_of:
        return "sample"
    return "full" if any(speaker is one for one in chosen) else "kin"


def _reads_alike(one: Speaker, other: Speaker) -> bool:
    """Whether two speakers read one API with the same code."""
    codec = _codec_of(one)
    if one.wire.api != other.wire.api or codec is None or codec is not _codec_of(other):
        return False
    return all(getattr(one.cls, name, None) is getattr(other.cls, name, None) for name in _READS_ANSWERS)


def _codec_of(speaker: Speaker) -> object:
    """What the class reads this API with, if it tells. None: it may be anything."""
    if not issubclass(speaker.cls, WireProvider):
        return None
    known = [speaker.cls.wire, *(wire for wire, _ in speaker.cls.wires.values())]
    return next((wire for wire in known if wire.api == speaker.wire.api), None)
