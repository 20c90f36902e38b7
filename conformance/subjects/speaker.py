"""`Speaker`: a provider class and one API that it speaks. A class that speaks several, as configured, is several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from conformance.subjects.configs import SubjectError
from conformance.wires import WIRES, WireFormat
from providers.provider import Provider


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    cls: type[Provider]
    wire: WireFormat
    config: Mapping[str, object] = {}
    """What its schema does not tell, and what chooses the API."""
    variant: bool = False
    """The API is not the class's own, but one of its `variants`."""

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
