"""The subjects of a plain run: every provider of the registry, and this gateway with every client API before each.

A provider that cannot be tested fails the run, so that none can be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

from conformance.subjects.configs import SubjectError
from conformance.wires import WIRES, WireFormat
from providers.provider import Provider
from providers.registry import provider_registry

CONFIGS: dict[str, Mapping[str, object]] = {}
"""What a provider type needs beside what its schema tells; see `configs.complete_config`."""

WITHOUT_WIRE = "replay"
"""The one provider that plays recordings of any API itself."""


def wire_providers() -> list[tuple[type[Provider], WireFormat]]:
    """Every built-in provider that calls a service, with its wire format. Raises `SubjectError`."""
    found: list[tuple[type[Provider], WireFormat]] = []
    for name, cls in provider_registry().items():
        if name == WITHOUT_WIRE:
            continue
        wire = WIRES.get(cls.api)
        if wire is None:
            raise SubjectError(
                f"provider '{name}' speaks {cls.api or 'an API that it does not name'!r}, which the suite cannot read: "
                "add its wire format to conformance/wires"
            )
        found.append((cls, wire))
    return found


def replay_provider() -> type[Provider]:
    return provider_registry().get(WITHOUT_WIRE)
