"""What a client may know of a model entry: its card. Imports the configuration's types."""

from __future__ import annotations

from providers.provider import Provider
from proxy.apis.base import ModelCard
from proxy.config.settings import ModelEntry


def card_of(entry: ModelEntry, created: int) -> ModelCard:
    """`created`: Unix time in seconds at which the configuration was loaded."""
    return ModelCard(
        id=entry.name,
        created=created,
        provider=entry.type,
        description=entry.description or None,
        metadata=entry.metadata,
        capabilities=_capabilities(entry),
    )


def _capabilities(entry: ModelEntry) -> tuple[str, ...]:
    """What the provider's code can do, and over it what the file says of this model: `metadata.capabilities`.

    The file may take away what the model cannot do, and add words of its own (`vision: true`).
    """
    cls: type[Provider] = entry.provider_class
    found: set[str] = set(cls.capabilities())
    if entry.passthrough is None:
        found.discard("passthrough")
    said = entry.metadata.get("capabilities")
    for name, has in said.items() if isinstance(said, dict) else ():
        if has:
            found.add(name)
        else:
            found.discard(name)
    return tuple(sorted(found))
