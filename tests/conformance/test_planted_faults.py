"""The suite can fail: a provider or gateway with one fault is caught by the check for it, and by no other.

What a relay changes in the events that it relays is "lossless"'s to find, whatever it changes; so only providers, and
gateways with such a provider inside, can be wrong about messages and usage alone. Whether somebody else's gateway
keeps connections too long cannot be seen from outside: "no leak" is shown on providers.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from conformance.bench import Bench
from conformance.cases import cases_of, load_takes
from conformance.checks import CHECKS
from conformance.deliveries import run_deliveries
from conformance.oracles.expected import Expected
from conformance.result import Result
from conformance.stage import Stage, open_stage
from conformance.subjects.base import Subject, Traits
from conformance.subjects.gateway import open_gateway
from conformance.subjects.provider import open_provider
from conformance.subjects.speaker import Speaker
from conformance.subjects.target import TargetSubject
from conformance.wires import WIRES
from providers.builtin.openai import OpenAIProvider
from providers.provider import Provider
from tests.conformance.planted import decoding, flow, relays, upkeep

PROVIDERS: Sequence[tuple[type[Provider], str]] = (
    (decoding.MergesToolCalls, "same message"),
    (decoding.DiesOfTheUnknown, "same message"),
    (decoding.DropsWhatItDoesNotKnow, "lossless"),
    (decoding.SwallowsUnknownEvents, "lossless"),
    (decoding.CutsCharacters, "split-proof"),
    (decoding.TakesAReadForAnEvent, "split-proof"),
    (flow.HidesTheCut, "honest ending"),
    (decoding.CallsEverythingInternal, "error map"),
    (decoding.TriesEverythingAgain, "error map"),
    (decoding.CountsTwice, "usage"),
    (decoding.LosesUsageOnACut, "usage"),
    (upkeep.LeaksSockets, "no leak"),
    (upkeep.LeaksTasks, "no leak"),
    (upkeep.LeaksSlots, "no leak"),
    (flow.AccumulatesAgain, "linear"),
    (flow.KeepsEveryPrefix, "linear"),
    (decoding.LooksAtItAllAgain, "linear"),
    (flow.IgnoresDisconnects, "cancel"),
    (flow.IgnoresEarlyDisconnects, "cancel"),
    (flow.ReadsAhead, "back-pressure"),
    (flow.HoldsOneBack, "on time"),
)
"""Each with the one check that must catch it."""

INSIDE = [one for one in PROVIDERS if one[1] in ("lossless", "honest ending", "usage")]
"""Faults that a gateway in front of the provider must not hide from the suite."""

RELAYS: Sequence[tuple[type[relays.Relay], *tuple[str, ...]]] = (
    (relays.DropsNamedEvents, "lossless"),
    (relays.DecodesEachRead, "split-proof"),
    (relays.EndsEveryStreamWell, "honest ending"),
    (relays.EndsCutsInGoodOrder, "honest ending"),
    (relays.AlwaysFine, "error map"),
    (relays.ReadsItAllAgain, "linear"),
    (relays.ReadsOn, "cancel"),
    (relays.ReadsAhead, "back-pressure"),
    (relays.HoldsBack, "on time"),
    # It holds the whole answer, too.
    (relays.Buffers, "on time", "back-pressure"),
)

DELIVERIES = ("event", "bytes-1", "bytes-7", "crlf")
FAULTS = (
    "fin-before-head",
    "fin-between-events",
    "reset-in-event",
    "stall-in-event",
    "error-late",
    "early-end",
    "malformed-late",
    "unknown-event",
    "unknown-fields",
    "401-json",
    "429-json",
    "500-html",
)
RECORDINGS = ("stream/text", "stream/tools", "json/text", "error/rate-limit")
"""Enough of the matrix for every check to be asked, and little enough for every fault to be tried."""
PATIENCE = 1.0
"""Seconds; what leaks leaks for ever."""
OPENAI = WIRES["openai-chat"]
CLIENTS = [OPENAI, WIRES["anthropic-messages"]]

_oracles: dict[str, Expected] = {}
"""What the SDKs read from the recordings, once for all tests."""


def speaker_of(cls: type[Provider]) -> Speaker:
    return Speaker(cls=cls, wire=WIRES[cls.api])


def bench_of(stage: Stage, subject: Subject) -> Bench:
    return Bench(stage, [subject], deliveries=run_deliveries(0), patience=PATIENCE, oracles=_oracles)


async def verdicts(bench: Bench, subject: Subject) -> list[Result]:
    """What every check says of `subject`, on a piece of the matrix that none of them is left out of."""
    deliveries = run_deliveries(0)
    takes = {take.key: take for take in load_takes([]) if take.recording.api == subject.upstream.api}
    results: list[Result] = []
    for name in RECORDINGS:
        take = takes[f"bundled/{subject.upstream.api}/{name}"]
        planned = cases_of(take, subject.name, subject.traits, deliveries, "full")
        bench.select(
            case.id for case in planned if (case.fault in FAULTS if case.fault else case.delivery in DELIVERIES)
        )
        results += [result async for result in bench.run_take(take)]
    bench.select(())
    for probe in bench.probes():
        results += await bench.run_probe(*probe)
    return results


def failed(results: Sequence[Result]) -> set[str]:
    return {result.check for result in results if result.outcome == "failed"}


def told(results: Sequence[Result]) -> str:
    return "\n".join(f"{r.check}: {r.case.id}: {r.reason[:200]}" for r in results if r.outcome == "failed")


async def of_provider(cls: type[Provider]) -> list[Result]:
    async with open_stage() as stage, open_provider(speaker_of(cls), stage.url) as subject:
        return await verdicts(bench_of(stage, subject), subject)


async def test_a_sound_provider_is_asked_everything_and_passes() -> None:
    results = await of_provider(OpenAIProvider)
    assert not failed(results), told(results)
    assert {result.check for result in results} == {check.name for check in CHECKS}


def one_for_each_check(planted: Sequence[tuple[type[Provider], str]]) -> list[object]:
    """`make test` plants one fault for each check, `make exhaustive` the others."""
    first = {check: cls for cls, check in reversed(planted)}
    return [
        pytest.param(cls, check, id=cls.__name__, marks=[] if first[check] is cls else pytest.mark.exhaustive)
        for cls, check in planted
    ]


@pytest.mark.parametrize(("cls", "check"), one_for_each_check(PROVIDERS))
async def test_a_provider_with_one_fault(cls: type[Provider], check: str) -> None:
    results = await of_provider(cls)
    assert failed(results) == {check}, told(results)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("cls", "check"), INSIDE, ids=[cls.__name__ for cls, _ in INSIDE])
async def test_the_same_fault_inside_the_gateway(cls: type[Provider], check: str) -> None:
    async with open_stage() as stage, open_gateway([speaker_of(cls)], CLIENTS, stage.url) as subjects:
        # The other API's client sees what the provider decoded; what is relayed byte for byte stays as it was.
        subject = next(one for one in subjects if one.traits.lossless == (check == "lossless"))
        results = await verdicts(bench_of(stage, subject), subject)
    assert failed(results) == {check}, told(results)


async def of_relay(relay: relays.Relay) -> list[Result]:
    async with open_stage() as stage, relays.serving(relay, stage.url) as url:
        subject = TargetSubject(OPENAI, url)
        return await verdicts(bench_of(stage, subject), subject)


async def test_a_sound_relay_passes() -> None:
    results = await of_relay(relays.Relay())
    assert not failed(results), told(results)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("relay", "checks"), [(r, set(c)) for r, *c in RELAYS], ids=[r[0].__name__ for r in RELAYS])
async def test_a_gateway_elsewhere_with_one_fault(relay: type[relays.Relay], checks: set[str]) -> None:
    results = await of_relay(relay())
    assert failed(results) == checks, told(results)


def test_every_check_has_a_fault_that_it_catches() -> None:
    assert {check for _, check in PROVIDERS} == {check.name for check in CHECKS}


def test_deliveries_and_faults_of_the_piece_exist() -> None:
    planned = [case for take in load_takes([]) for case in cases_of(take, "x", Traits(), run_deliveries(0), "full")]
    assert set(FAULTS) <= {case.fault for case in planned}
    assert set(DELIVERIES) <= {case.delivery for case in planned}
