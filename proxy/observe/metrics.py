"""The gateway's Prometheus metrics. Imports nothing of the gateway.

With several workers every process writes its values to files in `PROMETHEUS_MULTIPROC_DIR`, which must be set before
this module is imported (`triway serve` does), and any worker answers `/metrics` with the sum over all.

The `model` label is the entry's name in `gateway.yaml`, never the client's word: the number of series is bounded by
the configuration. Times are in seconds, as Prometheus wants them.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_REGISTRY = CollectorRegistry()
_MODEL = ("project", "model", "provider")

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_GAPS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

REQUESTS = Counter(
    "triway_requests_total",
    "Requests, by the status the client got (499: it left; after a stream began: the in-band error's).",
    (*_MODEL, "api", "status"),
    registry=_REGISTRY,
)
OPEN_REQUESTS = Gauge("triway_open_requests", "Requests under way.", registry=_REGISTRY, multiprocess_mode="livesum")
OPEN_STREAMS = Gauge(
    "triway_open_streams",
    "Streams that have begun and not ended.",
    _MODEL,
    registry=_REGISTRY,
    multiprocess_mode="livesum",
)
FIRST_TOKEN = Histogram(
    "triway_time_to_first_token_seconds",
    "From the request's arrival to the stream's first event.",
    _MODEL,
    buckets=_LATENCY,
    registry=_REGISTRY,
)
GAP = Histogram(
    "triway_stream_gap_seconds",
    "Between two reads of a stream that brought events.",
    _MODEL,
    buckets=_GAPS,
    registry=_REGISTRY,
)
DURATION = Histogram(
    "triway_request_duration_seconds",
    "From the request's arrival to the answer's end.",
    _MODEL,
    buckets=_LATENCY,
    registry=_REGISTRY,
)
TOKENS = Counter(
    "triway_tokens_total",
    "Tokens: prompt, completion; cached and reasoning are parts of these.",
    (*_MODEL, "kind"),
    registry=_REGISTRY,
)
RETRIES = Counter("triway_retries_total", "Upstream requests made again.", _MODEL, registry=_REGISTRY)
DEPARTURES = Counter(
    "triway_client_departures_total",
    "Clients gone before their answer was complete, by phase and reason.",
    (*_MODEL, "phase", "reason"),
    registry=_REGISTRY,
)
UPSTREAM_ERRORS = Counter(
    "triway_upstream_errors_total", "Failures of providers, by kind.", (*_MODEL, "kind"), registry=_REGISTRY
)
FALLBACKS = Counter(
    "triway_fallbacks_total", "Failures of a model after which another one was asked.", _MODEL, registry=_REGISTRY
)
HEDGES = Counter(
    "triway_hedges_total",
    "Models asked beside one that was silent (started), and those cancelled since another one won (lost).",
    (*_MODEL, "outcome"),
    registry=_REGISTRY,
)
SKIPPED_EVENTS = Counter(
    "triway_skipped_events_total", "Malformed provider events left out of streams.", _MODEL, registry=_REGISTRY
)
DROPPED_BLOCKS = Counter(
    "triway_dropped_blocks_total",
    "Parts of answers that the client's API cannot say (provider-run tools ...).",
    _MODEL,
    registry=_REGISTRY,
)
DROPPED_PARAMETERS = Counter(
    "triway_dropped_parameters_total",
    "Request parameters that the provider's API cannot say.",
    _MODEL,
    registry=_REGISTRY,
)

RATE_LIMITED = Counter(
    "triway_rate_limited_total",
    "Requests that a rate limit refused; unit: requests, tokens or concurrency.",
    ("project", "limit", "unit"),
    registry=_REGISTRY,
)
RATE_LIMIT_STORE_ERRORS = Counter(
    "triway_rate_limit_store_errors_total",
    "Calls of the rate limits' store that failed, and what is owed to it but could not be remembered.",
    registry=_REGISTRY,
)
CACHE_LOOKUPS = Counter(
    "triway_cache_lookups_total",
    "Requests that the cache saw; outcome: hit, miss, off or no-cache (as the client wished).",
    ("project", "outcome"),
    registry=_REGISTRY,
)
PLUGIN_FAILURES = Counter(
    "triway_plugin_failures_total",
    "Calls of plugins that failed: they raised, took too long, returned nonsense or held back too much.",
    ("project", "plugin", "phase", "reason"),
    registry=_REGISTRY,
)
PLUGIN_DURATION = Histogram(
    "triway_plugin_duration_seconds",
    "One call of a plugin's phase.",
    ("project", "plugin", "phase"),
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30),
    registry=_REGISTRY,
)
PLUGIN_REEVALUATIONS = Counter(
    "triway_plugin_reevaluations_total",
    "Times that a plugin had the model asked again; refused: past maxRetries, or the stream had begun.",
    ("project", "plugin", "outcome"),
    registry=_REGISTRY,
)
DETACHED_DROPPED = Counter(
    "triway_detached_dropped_total",
    "Detached work of plugins that was dropped: the queue was full, or the shutdown's deadline passed.",
    ("reason",),
    registry=_REGISTRY,
)
DETACHED_WAITING = Gauge(
    "triway_detached_waiting",
    "Requests whose detached work waits or runs.",
    registry=_REGISTRY,
    multiprocess_mode="livesum",
)
LOST_LOG_LINES = Counter(
    "triway_lost_log_lines_total",
    "Lines of the log that were dropped: nobody took them for long, or writing them failed.",
    registry=_REGISTRY,
)


class PluginMetrics:
    """The series of one plugin entry."""

    def __init__(self, project: str, plugin: str) -> None:
        self._labels = (project, plugin)
        self._durations: dict[str, Histogram] = {}

    def failure(self, phase: str, reason: str) -> Counter:
        return PLUGIN_FAILURES.labels(*self._labels, phase, reason)

    def duration(self, phase: str) -> Histogram:
        histogram = self._durations.get(phase)
        if histogram is None:
            histogram = self._durations[phase] = PLUGIN_DURATION.labels(*self._labels, phase)
        return histogram

    def reevaluation(self, outcome: str) -> Counter:
        return PLUGIN_REEVALUATIONS.labels(*self._labels, outcome)


class ModelMetrics:
    """The series of one model entry, looked up once: labels cost more than counting does."""

    def __init__(self, model: str, provider: str, project: str) -> None:
        labels = (project, model, provider)
        self._labels = labels
        self.open_streams = OPEN_STREAMS.labels(*labels)
        self.first_token = FIRST_TOKEN.labels(*labels)
        self.gap = GAP.labels(*labels)
        self.duration = DURATION.labels(*labels)
        self.retries = RETRIES.labels(*labels)
        self.fallbacks = FALLBACKS.labels(*labels)
        self.skipped_events = SKIPPED_EVENTS.labels(*labels)
        self.dropped_blocks = DROPPED_BLOCKS.labels(*labels)
        self.dropped_parameters = DROPPED_PARAMETERS.labels(*labels)
        self.prompt_tokens = TOKENS.labels(*labels, "prompt")
        self.completion_tokens = TOKENS.labels(*labels, "completion")
        self.cached_tokens = TOKENS.labels(*labels, "cached")
        self.reasoning_tokens = TOKENS.labels(*labels, "reasoning")
        self._requests: dict[tuple[str, int], Counter] = {}

    def request(self, api: str, status: int) -> Counter:
        key = (api, status)
        counter = self._requests.get(key)
        if counter is None:
            counter = self._requests[key] = REQUESTS.labels(*self._labels, api, str(status))
        return counter

    def departure(self, phase: str, reason: str) -> Counter:
        return DEPARTURES.labels(*self._labels, phase, reason)

    def hedge(self, outcome: str) -> Counter:
        return HEDGES.labels(*self._labels, outcome)

    def upstream_error(self, kind: str) -> Counter:
        return UPSTREAM_ERRORS.labels(*self._labels, kind)


_no_model: dict[str, ModelMetrics] = {}


def no_model(project: str) -> ModelMetrics:
    """For a project's requests that never came to a model."""
    found = _no_model.get(project)
    if found is None:
        found = _no_model[project] = ModelMetrics("", "", project)
    return found


def render() -> bytes:
    """The exposition text, summed over all workers. Reads files with several workers: not for the hot path."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(_REGISTRY)
