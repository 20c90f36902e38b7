"""One answer through the gateway, held against what the provider said. Does no I/O."""

from __future__ import annotations

import msgspec

from conformance.checks.same_message import as_told_in
from conformance.facts import Facts, differences
from conformance.wires import WireFormat
from tests.matrix.clients import Client, Said


def differing(client: Client, upstream: WireFormat, told: Facts, received: Said) -> list[str]:
    """What differs in text, reasoning, tool calls, finish reason and usage; each begins with its name.

    `told`: as the provider's own SDK reads it, straight. Usage that the provider did not tell may come as zeros.
    """
    if received.error:
        return [f"error: {received.error}"]
    expected, got = as_told_in(client.wire, upstream, told.bare(), received.facts.bare())
    if client.vercel:  # it keeps signatures among the metadata of each API, where `exactly` sees them
        expected, got = expected.unsigned(), got.unsigned()
    if not client.reads_reasoning:
        expected = msgspec.structs.replace(expected, reasoning="")
    if expected.usage.or_zero() == got.usage.or_zero():
        got = msgspec.structs.replace(got, usage=expected.usage)
    return differences(expected, got)


def exactly(straight: Said, through: Said) -> bool:
    """One API on both sides: whether the SDK holds the same, field for field, as without the gateway."""
    return (straight.whole, straight.error) == (through.whole, through.error)
