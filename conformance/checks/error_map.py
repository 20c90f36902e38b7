"""Error map: the caller gets the right status, the right name for it, and a retry where one makes sense."""

from __future__ import annotations

from conformance.answered import Failure
from conformance.checks.base import AnswerCheck, Seen
from conformance.checks.before_the_cut import told_before_the_cut
from conformance.oracles.expected import read_answer
from conformance.replay.faults import Expectation, StatusFault
from conformance.replay.faults.status import RETRIED

KINDS: dict[int, tuple[str, ...]] = {
    400: ("invalid_request",),
    401: ("authentication",),
    403: ("permission",),
    404: ("not_found",),
    408: ("timeout",),
    409: ("conflict",),
    413: ("request_too_large",),
    422: ("unprocessable",),
    429: ("rate_limit",),
    500: ("server_error",),
    502: ("server_error",),
    # Out of order, overloaded or shut: a 503 says no more, and a provider's body may.
    503: ("unavailable", "overloaded", "server_error"),
    529: ("overloaded",),
}
"""The names that the model in the middle has for a provider's status, stated again: a check must not take its table
from what it checks."""


class ErrorMap(AnswerCheck):
    name = "error map"
    sentence = (
        "an error has the right status, a type that its API knows, and is tried again exactly where that is right"
    )

    def applies(self, seen: Seen) -> bool:
        if seen.answered.hung:
            return False
        if seen.recording.kind == "error" and seen.fault is None:
            return seen.is_baseline
        if seen.expectation is None or seen.expectation.outcome != "error":
            return False
        return seen.traits.strict or (isinstance(seen.fault, StatusFault) and seen.fault.body == "json")

    def judge(self, seen: Seen) -> str | None:
        failure = seen.answered.failure
        if failure is None:
            return None  # for "honest ending" to tell
        expectation = seen.expectation
        if expectation is None:
            status = seen.recording.response.status
            expectation = Expectation(outcome="error", status=status, retried=status in RETRIED)
        wrong = _wrong_status(seen, failure, expectation) or _wrong_name(seen, failure, expectation)
        return wrong or _wrong_retry(seen, failure, expectation)


def _wrong_status(seen: Seen, failure: Failure, expectation: Expectation) -> str | None:
    if expectation.in_band:
        if failure.in_band or _had_nothing_to_say(seen):
            return None
        return f"the stream had begun, but the error came with status {failure.status}"
    if failure.in_band:
        return f"no event had come, but the error came in band: {failure.message}"
    if failure.status is None or failure.status < 400:
        return f"the error came without an error status: {failure.message}"
    if expectation.status is not None and failure.status != expectation.status:
        return f"status {failure.status}, expected {expectation.status}"
    return None


def _had_nothing_to_say(seen: Seen) -> bool:
    """Whether nothing that came before the fault can be said in the caller's API, so that no stream had begun there."""
    if seen.wire.api == seen.upstream.api or seen.fault is None:
        return False
    told = told_before_the_cut(seen)
    # Where calls are said whole or not at all, the last one may not have been over.
    calls = told.tool_calls if seen.wire.says_cut_calls else told.tool_calls[:-1]
    return not (told.text or told.reasoning or calls)


def _wrong_name(seen: Seen, failure: Failure, expectation: Expectation) -> str | None:
    if not failure.shaped:
        return f"not in the shape of {seen.wire.api}: {failure.message}"
    if seen.traits.http:
        own = _word_of_the_provider(seen)
        if seen.traits.lossless and failure.type == own:
            return None
        if not failure.type and seen.traits.strict:
            return "the error has no type"
        wanted = None if expectation.in_band else seen.wire.error_types.get(failure.status or 0)
        if wanted and failure.type != wanted and not seen.traits.lossless:
            return f"type '{failure.type}' for status {failure.status}, expected '{wanted}'"
        return None
    allowed = tuple(str(kind) for kind in expectation.kinds) or KINDS.get(expectation.status or 0)
    if allowed and failure.kind not in allowed:
        return f"kind '{failure.kind}', expected {' or '.join(allowed)}"
    return None


def _word_of_the_provider(seen: Seen) -> str | None:
    """The type that the provider itself gave the error, if it was one in its API's shape."""
    answer = seen.play.answer if seen.fault is None else seen.fault.edit(seen.play.answer)
    failure = read_answer(seen.upstream, answer).failure
    return failure.type if failure is not None else None


def _wrong_retry(seen: Seen, failure: Failure, expectation: Expectation) -> str | None:
    if not seen.traits.strict or not seen.traits.replayed or expectation.retried is None:
        return None
    if not expectation.retried and seen.requests > 1:
        return f"it was tried again ({seen.requests} requests)"
    if expectation.retried and seen.requests < 2:
        return "it was not tried again, although a retry was allowed"
    status = expectation.status
    if failure.retryable is not None and status in KINDS and failure.retryable != (status in RETRIED):
        return f"`retryable` is {failure.retryable} for status {status}"
    return None
