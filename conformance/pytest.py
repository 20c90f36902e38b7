"""The suite as tests, for authors of providers:

    from conformance.pytest import provider_suite
    from my_package import MyProvider

    TestMyProvider = provider_suite(MyProvider, api="openai-chat", config={"region": "eu"})

gives a test for each case and each probe. They run without a network and need no plugin; `pytest -k bytes-1` picks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import trio

from conformance.bench import Bench, probes_of
from conformance.cases import Case, Scope, Take, cases_of, load_takes, representative
from conformance.deliveries import run_deliveries
from conformance.oracles.expected import Expected
from conformance.result import Result
from conformance.stage import open_stage
from conformance.subjects.provider import open_provider, traits_of
from conformance.subjects.speaker import Speaker
from conformance.wires import WIRES
from providers.provider import Provider


def provider_suite(
    cls: type[Provider],
    *,
    api: str = "",
    config: Mapping[str, object] = {},
    recordings: Iterable[str | Path] = (),
    scope: Scope = "representative",
    seed: int = 0,
) -> type:
    """A class of tests that hold a provider class to every check.

    `api` is the wire format that its service speaks; default: what the class says. One of the class's `variants` brings
    the configuration that chooses it. `config` is laid over what the suite
    fills in by itself (`baseUrl`, `apiKey`, times, as far as the class's schema has them). `recordings` are folders
    beside the bundled set. Raises `LookupError` for an API that the suite cannot read.
    """
    name = api or cls.api
    if name not in WIRES:
        raise LookupError(f"the suite cannot read {name!r}; it knows {', '.join(WIRES)} (docs/conformance.md)")
    wire = WIRES[name]
    chosen = cls.variants.get(name, {})
    speaker = Speaker(cls=cls, wire=wire, config={**chosen, **config}, variant=name in cls.variants)
    subject = f"provider:{speaker.name}"
    traits = traits_of(speaker, wire.api if speaker.variant else cls.api)
    deliveries = run_deliveries(seed)
    takes = [take for take in load_takes([Path(folder) for folder in recordings]) if take.recording.api == wire.api]
    if scope == "representative":
        takes = representative(takes)
    known: dict[str, Expected] = {}
    """Oracles by recording: an SDK is asked once for each."""
    cases = [(take, case) for take in takes for case in cases_of(take, subject, traits, deliveries, scope)]
    probes = [case for _, _, case in probes_of(subject, wire.api, traits)]

    async def run(take: Take | None, case: Case) -> list[Result]:
        async with open_stage() as stage, open_provider(speaker, stage.url) as opened:
            bench = Bench(stage, [opened], deliveries=deliveries, scope=scope, only=[case.id], oracles=known)
            if take is not None:
                return [result async for result in bench.run_take(take)]
            return [result for probe in bench.probes() for result in await bench.run_probe(*probe)]

    def check(results: list[Result]) -> None:
        broken = [f"{result.check}: {result.reason}" for result in results if result.outcome == "failed"]
        assert not broken, "\n".join(broken)

    class Suite:
        @pytest.mark.parametrize(("take", "case"), cases, ids=[case.id.partition("::")[2] for _, case in cases])
        def test_case(self, take: Take, case: Case) -> None:
            check(trio.run(run, take, case))

        @pytest.mark.parametrize("case", probes, ids=[case.probe for case in probes])
        def test_probe(self, case: Case) -> None:
            check(trio.run(run, None, case))

    Suite.__name__ = Suite.__qualname__ = f"Test{cls.__name__}"
    Suite.__doc__ = f"`{cls.__name__}` against the conformance suite."
    return Suite
