"""What became of a request, and where it is recorded: one log line and the metrics. Does not wait."""

from __future__ import annotations

import msgspec
from prometheus_client import Counter

from providers.errors import GatewayError, ProviderError
from providers.model import RequestNotes, Usage
from proxy.exchange.model import ServedModel
from proxy.observe import metrics
from proxy.observe.logs import log_request

CLIENT_GONE = 499
"""The status recorded for a client that left before its answer was complete (nginx's number for it)."""


class Outcome(msgspec.Struct, kw_only=True):
    """The account of one request: begun with it, filled in as it goes, recorded when it is over. Times in seconds."""

    request_id: str
    api: str
    operation: str
    project: str = ""
    client: tuple[str, int] | None = None
    requested_model: str | None = None
    served: ServedModel | None = None
    stream: bool = False
    """The client asked for a stream."""
    status: int = 0
    """The HTTP status sent; 0: none."""
    in_band: bool = False
    """A stream has begun, so an error can only be told in band."""
    error: GatewayError | None = None
    departed: str | None = None
    """Why nobody hears the answer: `disconnect` or `write_timeout`."""
    duration: float = 0.0
    first_token: float | None = None
    usage: Usage | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    chunks: int = 0
    dropped_blocks: int = 0
    unsaid: list[str] = []
    """The kind of each of these, of a whole answer."""
    notes: RequestNotes | None = None
    answered_by: str | None = None
    """The plugin that answered in the model's place."""
    asked_again: int = 0
    """How many times plugins had the model asked again."""

    @property
    def dropped(self) -> list[str]:
        """What the client is told was left out: its own parameters, and as `answer.KIND` what its API cannot say."""
        parameters = self.notes.dropped if self.notes is not None else []
        if not self.unsaid:
            return parameters
        return [*parameters, *(f"answer.{kind}" for kind in dict.fromkeys(self.unsaid))]

    @property
    def recorded_status(self) -> int:
        """499 for a client that left; the error's own status also when it was told in band."""
        if self.departed is not None:
            return CLIENT_GONE
        return self.error.status if self.error is not None else self.status


def record(outcome: Outcome) -> None:
    """Count the outcome and write its log line."""
    _log(outcome)
    _count(outcome)


def _count(outcome: Outcome) -> None:
    served = outcome.served
    model = served.metrics if served is not None else metrics.no_model(outcome.project)
    model.request(outcome.api, outcome.recorded_status).inc()
    model.duration.observe(outcome.duration)
    if outcome.first_token is not None:
        model.first_token.observe(outcome.first_token)
    if outcome.departed is not None:
        if served is None:
            phase = "request"
        else:
            phase = "stream" if outcome.in_band else "waiting"
        model.departure(phase, outcome.departed).inc()
    if isinstance(outcome.error, ProviderError):
        model.upstream_error(outcome.error.kind).inc()
    usage = outcome.usage
    if usage is not None:
        _add(model.prompt_tokens, usage.prompt_tokens)
        _add(model.completion_tokens, usage.completion_tokens)
        details = usage.details
        if details is not None:
            _add(model.cached_tokens, details.cached_tokens)
            _add(model.reasoning_tokens, details.reasoning_tokens)
    notes = outcome.notes
    if notes is not None:
        if notes.retries:
            model.retries.inc(notes.retries)
        if notes.skipped_events:
            model.skipped_events.inc(notes.skipped_events)
        if notes.dropped:
            model.dropped_parameters.inc(len(notes.dropped))
    if outcome.dropped_blocks:
        model.dropped_blocks.inc(outcome.dropped_blocks)


def _add(counter: Counter, tokens: int | None) -> None:
    """Count what a provider says that it used, unless it is nothing that can be counted."""
    if isinstance(tokens, int) and tokens > 0:
        counter.inc(tokens)


def _log(outcome: Outcome) -> None:
    line: dict[str, object] = {
        "request_id": outcome.request_id,
        "project": outcome.project,
        "api": outcome.api,
        "model": outcome.requested_model[:200] if outcome.requested_model is not None else None,
        "status": outcome.recorded_status,
        "duration_ms": round(outcome.duration * 1000, 1),
        "bytes_in": outcome.bytes_in,
        "bytes_out": outcome.bytes_out,
    }
    if outcome.operation != "complete":
        line["operation"] = outcome.operation
    if outcome.served is not None:
        line["entry"] = outcome.served.name
        line["provider"] = outcome.served.provider_type
    if outcome.answered_by is not None:
        line["answered_by"] = outcome.answered_by
    if outcome.asked_again:
        line["asked_again"] = outcome.asked_again
    if outcome.stream:
        line["stream"] = True
        line["chunks"] = outcome.chunks
    if outcome.first_token is not None:
        line["ttft_ms"] = round(outcome.first_token * 1000, 1)
    usage = outcome.usage
    if usage is not None:
        line["prompt_tokens"] = usage.prompt_tokens
        line["completion_tokens"] = usage.completion_tokens
    notes = outcome.notes
    if notes is not None:
        if notes.retries:
            line["retries"] = notes.retries
        if notes.skipped_events:
            line["skipped_events"] = notes.skipped_events
        if notes.upstream_request_id:
            line["upstream_request_id"] = notes.upstream_request_id
    if dropped := outcome.dropped:
        line["dropped"] = dropped
    if outcome.dropped_blocks:
        line["dropped_blocks"] = outcome.dropped_blocks
    if outcome.client is not None:
        line["client"] = outcome.client[0]
    error = outcome.error
    if outcome.departed is not None:
        line["departed"] = outcome.departed
    elif error is not None:
        # The kind, not the message: a provider's message may quote the prompt.
        line["error"] = error.kind.value
        if error.param:
            line["param"] = error.param
        if outcome.in_band:
            line["in_band"] = True
        if isinstance(error, ProviderError) and error.upstream_status is not None:
            line["upstream_status"] = error.upstream_status
    log_request(line)
