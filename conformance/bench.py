"""`Bench`: the stage and the open subjects of one process, and what is done with them: a recording's cases, a probe.

Questions are put one after the other: only so can what a case leaves behind be told apart from what runs beside it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec
import trio

from conformance.answered import Answered
from conformance.cases import Case, Scope, Take, cases_of, selects
from conformance.checks import ANSWER_CHECKS, PROBES, BrokenPromiseError, Probe, Seen, TooLateError
from conformance.checks.no_leak import NoLeak
from conformance.crash import SUITE, innermost
from conformance.crash import told as told_crash
from conformance.deliveries import BASELINE
from conformance.facts import Usage
from conformance.leaks import SETTLE_SECONDS, LeakMeter
from conformance.oracles import ORACLES, MissingSDKError, Reading, ask_sdk, oracle_of
from conformance.oracles.expected import Expected, expect
from conformance.replay import FAULTS, Delivery, Fault, Play
from conformance.replay.answer import Piece
from conformance.replay.faults import Fin, Reset, Stall, StatusFault
from conformance.result import Evidence, Result, failed
from conformance.stage import Stage
from conformance.subjects.base import Question, Subject, Traits
from providers.replay.recording import Recording

PROBE_SECONDS = 120.0
PATIENT_HANGS = 3
"""After so many questions in a row that never ended, somebody else's gateway is asked no more."""
PROBE_EXCHANGES = 20
"""Of how many of a probe's requests a report tells."""
SENT_BYTES = 24 * 1024
"""How much of an answer's bytes a report shows."""


class Bench:
    def __init__(
        self,
        stage: Stage,
        subjects: Sequence[Subject],
        *,
        deliveries: Mapping[str, Delivery],
        scope: Scope = "full",
        only: Sequence[str] = (),
        oracles: dict[str, Expected] | None = None,
        patience: float = SETTLE_SECONDS,
    ) -> None:
        """`patience`: how long what is left of a case may take to go, in seconds.
        `oracles`: what is known of recordings already, by their keys; what is found out is added to it."""
        self.stage = stage
        self.subjects = list(subjects)
        self._meters = {subject.name: LeakMeter(subject, stage, patience=patience) for subject in subjects}
        self._deliveries = deliveries
        self._scope: Scope = scope
        self._only: Collection[str] = only
        self._oracles = oracles
        self._hangs: dict[str, int] = {}
        """Questions in a row that had no end, by subject."""
        self._unasked: dict[str, int] = {}

    def select(self, only: Iterable[str]) -> None:
        """From now on only these cases: ids, or patterns as of `--only`; none: all."""
        self._only = frozenset(only)

    # -- what there is to do ------------------------------------------------------------------------------------------

    def cases(self, take: Take) -> Iterator[tuple[Subject, list[Case]]]:
        """The chosen cases of a recording, for each subject that it concerns."""
        for subject in self.subjects:
            if subject.upstream.api != take.recording.api:
                continue
            planned = cases_of(take, subject.name, subject.traits, self._deliveries, self._scope)
            chosen = [case for case in planned if selects(self._only, case)]
            if chosen:
                yield subject, chosen

    def probes(self) -> Iterator[tuple[Subject, Probe, str, Case]]:
        """The chosen probes."""
        for subject in self.subjects:
            for probe, variant, case in probes_of(subject.name, subject.upstream.api, subject.traits):
                if selects(self._only, case):
                    yield subject, probe, variant, case

    def notes(self) -> list[str]:
        """What was not asked, and why."""
        return [
            f"{name} was given up after {PATIENT_HANGS} questions in a row that had no end: {count} cases and probes"
            for name, count in self._unasked.items()
        ]

    # -- doing it -----------------------------------------------------------------------------------------------------

    async def run_take(self, take: Take) -> AsyncGenerator[Result, None]:
        """Every chosen case of a recording. Raises `MissingSDKError`; whatever else goes wrong is a case's failure."""
        expected = self._oracles.get(take.key) if self._oracles is not None else None
        for subject, cases in self.cases(take):
            baseline: Answered | None = None
            for number, case in enumerate(cases):
                if self._is_given_up(subject):
                    continue
                started = trio.current_time()
                try:
                    if expected is None:
                        expected = await expect(take.recording, self.stage)
                        if self._oracles is not None:
                            self._oracles[take.key] = expected
                    if not number and (case.fault or case.delivery != BASELINE):
                        baseline = await self._unasked_baseline(take, subject, expected)
                    seen = await self._ask(take, subject, case, expected, baseline)
                except MissingSDKError:
                    raise
                except Exception as error:  # noqa: BLE001 - told, and the others are asked
                    self._drop_all()
                    yield failed(case, SUITE, told_crash(error))
                    continue
                if seen is None:
                    continue
                self._note_end(subject, hung=seen.answered.hung)
                if seen.is_baseline:
                    baseline = seen.answered
                for result in judge(seen):
                    result.seconds = trio.current_time() - started
                    yield result

    async def _unasked_baseline(self, take: Take, subject: Subject, expected: Expected) -> Answered | None:
        """What the other deliveries are held against, though it was not asked for."""
        first = next(iter(cases_of(take, subject.name, subject.traits, self._deliveries, self._scope)))
        seen = await self._ask(take, subject, first, expected, None)
        return seen.answered if seen is not None else None

    def _is_given_up(self, subject: Subject) -> bool:
        if self._hangs.get(subject.name, 0) < PATIENT_HANGS or subject.traits.strict:
            return False
        self._unasked[subject.name] = self._unasked.get(subject.name, 0) + 1
        return True

    def _note_end(self, subject: Subject, *, hung: bool) -> None:
        self._hangs[subject.name] = self._hangs.get(subject.name, 0) + 1 if hung else 0

    def _drop_all(self) -> None:
        for prompt in self.stage.prompts():
            self.stage.drop(prompt)

    async def run_probe(self, subject: Subject, probe: Probe, variant: str, case: Case) -> list[Result]:
        """One probe, and whether it left anything behind (which a broken promise may, and is not asked)."""
        if self._is_given_up(subject):
            return []
        started = trio.current_time()
        meter = self._meters[subject.name]
        await meter.mark()
        before = self.stage.server.received
        reason = f"no end within {PROBE_SECONDS:g} s"
        hung = True
        with trio.move_on_after(PROBE_SECONDS):
            try:
                await probe.run(subject, self.stage, variant)
                reason = ""
                hung = False
            except Exception as error:  # noqa: BLE001 - told, and the others are asked
                found = innermost(error)
                reason = str(found) if isinstance(found, BrokenPromiseError) else told_crash(found)
                hung = isinstance(found, TooLateError)
        self._note_end(subject, hung=hung)
        results = [Result(case=case, check=probe.name, outcome="passed")]
        if reason:
            evidence = evidence_of_probe(self.stage, probe, variant, before, reason)
            results = [failed(case, probe.name, reason, evidence)]
        left = await meter.settle(self.stage.prompts())
        self._drop_all()
        if not reason:
            leaks = "; ".join(left)
            results.append(Result(case=case, check=NoLeak.name, outcome="failed" if leaks else "passed", reason=leaks))
        for result in results:
            result.seconds = trio.current_time() - started
        return results

    async def _ask(
        self, take: Take, subject: Subject, case: Case, expected: Expected, baseline: Answered | None
    ) -> Seen | None:
        fault = FAULTS[case.fault] if case.fault else None
        delivery = self._deliveries[case.delivery]
        if not await subject.prepare(take.recording, delivery):
            return None
        play = Play(_without_wait(take), delivery, fault)
        answer = play.answer
        streamed = take.recording.kind == "stream" or (take.recording.kind == "error" and bool(_asked_for_stream(take)))
        prompt = self.stage.prompt_for(play)
        meter = self._meters[subject.name]
        await meter.mark()
        counted = subject.counted()
        question = Question(prompt=prompt, stream=streamed, impatient=isinstance(fault, Stall))
        answered = await subject.ask(question)
        leaks = await meter.settle([prompt], impatient=question.impatient)
        requests = self.stage.received(prompt)
        counted = _difference(counted, subject.counted())
        sdk: Reading | None = None
        oracle = oracle_of(subject.wire.api) if _is_for_sdk(take, subject, fault, baseline) else None
        if oracle is not None and not answered.hung:
            model = subject.model + ("-impatient" if question.impatient and subject.traits.strict else "")
            sdk = await ask_sdk(oracle, subject.base_url, model, prompt, streamed, subject.headers)
            await meter.settle([prompt], impatient=question.impatient)
        self.stage.drop(prompt)
        return Seen(
            case=case,
            traits=subject.traits,
            wire=subject.wire,
            upstream=subject.upstream,
            recording=take.recording,
            play=play,
            fault=fault,
            expectation=fault.expect(answer) if fault is not None else None,
            expected=expected,
            baseline=baseline if fault is None else None,
            answered=answered,
            requests=requests,
            counted=counted,
            sdk=sdk,
            leaks=leaks,
        )


def probes_of(subject: str, api: str, traits: Traits) -> Iterator[tuple[Probe, str, Case]]:
    """Every probe of a subject, its variants, and the case that each is."""
    if not traits.probed:
        return
    for probe in PROBES:
        for variant in probe.variants(traits):
            name = f"{probe.name}: {variant}" if variant else probe.name
            yield probe, variant, Case(subject=subject, api=api, probe=name)


def judge(seen: Seen) -> Iterator[Result]:
    """What every check that applies says of a case."""
    for check in ANSWER_CHECKS:
        try:
            if not check.applies(seen):
                continue
            reason = check.judge(seen)
        except Exception as error:  # noqa: BLE001 - told as the check's failure
            reason = told_crash(error)
        if reason is None:
            yield Result(case=seen.case, check=check.name, outcome="passed")
        else:
            yield failed(seen.case, check.name, reason, evidence_of(seen))


def evidence_of(seen: Seen) -> Evidence:
    reference = seen.baseline or seen.expected.answered
    wanted = msgspec.structs.replace(reference)
    if seen.wire.api != seen.upstream.api or not seen.traits.http:
        wanted.document, wanted.events, wanted.decoded = None, reference.events, []
    return Evidence(
        sent=_sent(seen.play.plan().pieces, SENT_BYTES),
        expected=_bounded(wanted.lines()),
        received=_bounded(seen.answered.lines()),
    )


def evidence_of_probe(stage: Stage, probe: Probe, variant: str, before: int, reason: str) -> Evidence:
    """What the probe's requests (those after the first `before`) met, and what was promised of them."""
    server = stage.server
    exchanges = list(server.exchanges)[max(0, len(server.exchanges) - (server.received - before)) :]
    received = [reason, f"requests that reached the provider: {server.received - before}"]
    for exchange in exchanges[-PROBE_EXCHANGES:]:
        ending = [
            word
            for word, moment in (("all of it", exchange.completed), ("the peer closed", exchange.peer_closed))
            if moment.is_set()
        ]
        request = exchange.request
        received.append(
            f"{request.method} {request.target}: {exchange.bytes_written} bytes were written"
            + "".join(f", {word}" for word in ending)
        )
    sent = ""
    if exchanges:
        last = exchanges[-1]
        sent = _sent(Play.plan(last.play).pieces, min(SENT_BYTES, last.bytes_written))
    expected = [probe.sentence, f"{probe.name}: {variant}" if variant else probe.name]
    return Evidence(sent=sent, expected=expected, received=_bounded(received))


def _sent(pieces: Iterable[Piece], limit: int) -> str:
    kept = bytearray()
    for piece in pieces:
        kept += piece.data
        if len(kept) > limit:
            del kept[limit:]
            kept += b"\n[cut here for the report]"
            break
    return kept.decode("utf-8", "backslashreplace")


def _bounded(lines: list[str]) -> list[str]:
    kept = [line if len(line) <= 2000 else line[:2000] + " [cut]" for line in lines[:300]]
    return kept + [f"[{len(lines) - 300} more lines]"] * (len(lines) > 300)


def _asked_for_stream(take: Take) -> bool:
    request = take.recording.request
    if request is None:
        return False
    # Some APIs say it in the body, some in the path (`:streamGenerateContent`, `/converse-stream`).
    return "stream" in request.path.lower() or (isinstance(request.body, dict) and bool(request.body.get("stream")))


def _without_wait(take: Take) -> Recording:
    """The recording, with `Retry-After: 0` for its own: waits have faults of their own, and need not be long."""
    recording = take.recording
    headers = recording.response.headers
    if "retry-after" not in headers:
        return recording
    response = msgspec.structs.replace(recording.response, headers={**headers, "retry-after": "0"})
    return msgspec.structs.replace(recording, response=response)


def _is_for_sdk(take: Take, subject: Subject, fault: Fault | None, baseline: Answered | None) -> bool:
    """Whether the official SDK is asked too: about every recording in the baseline, and about faults on the exemplar.

    Not if that takes seconds again. What an SDK makes of a fault that a foreign gateway lets through is the fault's,
    but for a connection that broke.
    """
    if not subject.traits.http or subject.wire.api not in ORACLES:
        return False
    if fault is None:
        return baseline is None
    waits = isinstance(fault, StatusFault) and fault.retry_after
    return take.is_exemplar and (subject.traits.strict or isinstance(fault, (Fin, Reset))) and not waits


def _difference(before: Usage | None, after: Usage | None) -> Usage | None:
    if before is None or after is None:
        return None
    return Usage(input=(after.input or 0) - (before.input or 0), output=(after.output or 0) - (before.output or 0))
